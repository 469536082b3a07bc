"""The trackers by name, opened and closed together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace

from sweep.plugins.plugin_kinds import TRACKER
from sweep.spec.search.tracker_names import TrackerName
from sweep.tracking.tracker import Forgiving, Tracker
from sweep.tracking.tracker import Tracked as Tracked
from sweep.vocabulary.errors import ResultsError


@contextmanager
def tracking(
    names: Iterable[TrackerName], tracked: Tracked, warn: Callable[[str], None]
) -> Iterator[list[Tracker]]:
    """Start the trackers of these names, and close them at the end.

    Args:
        names: the trackers; repeated names count once.
        tracked: what they log.
        warn: called with what users should know: once for a tracker that fails later, for example.
            That never ends a sweep. It may be called in any thread.
    Raises:
        ResultsError: a tracker cannot be started, for example because a server does not answer.
    """
    tracked = replace(tracked, warn=warn)
    with ExitStack() as stack:
        yield [
            stack.enter_context(closing(Forgiving(name, _started(name, tracked), warn)))
            for name in dict.fromkeys(names)
        ]


def _started(name: TrackerName, tracked: Tracked) -> Tracker:
    try:
        if name in TRACKERS:
            return TRACKERS[name](tracked)
        made: Tracker = TRACKER.make(name, tracked, options={})
        return made
    except Exception as error:  # any error of a library becomes one sentence
        raise ResultsError(f"cannot log to {name}: {type(error).__name__}: {error}") from error


def _tensorboard(tracked: Tracked) -> Tracker:
    from sweep.tracking.tensorboard_tracker import TensorBoardTracker

    return TensorBoardTracker(tracked)


def _mlflow(tracked: Tracked) -> Tracker:
    from sweep.tracking.mlflow_tracker import MlflowTracker

    return MlflowTracker(tracked)


def _wandb(tracked: Tracked) -> Tracker:
    from sweep.tracking.background_tracker import InBackground
    from sweep.tracking.wandb_tracker import WandbTracker

    return InBackground(lambda: WandbTracker(tracked))


TRACKERS: Mapping[TrackerName, Callable[[Tracked], Tracker]] = {
    "tensorboard": _tensorboard,
    "mlflow": _mlflow,
    "wandb": _wandb,
}
