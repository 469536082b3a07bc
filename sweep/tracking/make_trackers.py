"""The trackers by name, opened and closed together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from sweep.plugins.plugin_kinds import TRACKER
from sweep.spec.search.tracker_names import TrackerName
from sweep.store.layout import Layout, TrialPaths
from sweep.tracking.tracker import Forgiving, Tracker
from sweep.vocabulary.errors import ResultsError


@dataclass(frozen=True, slots=True)
class Tracked:
    """What is logged.

    Args:
        name: of the sweep, or of the single trial.
        layout: of the results folder, in which local stores lie.
        paths: of a trial's files.
        nested: whether the trials belong to a sweep, or one trial stands alone.
    """

    name: str
    layout: Layout
    paths: Callable[[str], TrialPaths]
    nested: bool = True


@contextmanager
def tracking(
    names: Iterable[TrackerName], tracked: Tracked, warn: Callable[[str], None]
) -> Iterator[list[Tracker]]:
    """The trackers of these names, ready to observe, closed on leaving.

    Args:
        names: which; those that are given twice count once.
        tracked: what they log.
        warn: is told once of a tracker that fails on the way: it never ends a sweep.
    Raises:
        ResultsError: a tracker cannot even be started, such as a server that does not answer.
    """
    with ExitStack() as stack:
        trackers: list[Tracker] = []
        for name in dict.fromkeys(names):
            tracker = Forgiving(name, _started(name, tracked), warn)
            stack.callback(tracker.close)
            trackers.append(tracker)
        yield trackers


def _started(name: TrackerName, tracked: Tracked) -> Tracker:
    try:
        if name in TRACKERS:
            return TRACKERS[name](tracked)
        made: Tracker = TRACKER.make(name, tracked, options={})
        return made
    except Exception as error:  # whatever a library raises, its user needs one sentence
        raise ResultsError(f"cannot log to {name}: {type(error).__name__}: {error}") from error


def _tensorboard(tracked: Tracked) -> Tracker:
    from sweep.tracking.tensorboard_tracker import TensorBoardTracker

    return TensorBoardTracker(tracked.layout.tensorboard)


def _mlflow(tracked: Tracked) -> Tracker:
    from sweep.tracking.mlflow_tracker import MlflowTracker

    return MlflowTracker(tracked.name, tracked.layout, tracked.paths, nested=tracked.nested)


TRACKERS: Mapping[TrackerName, Callable[[Tracked], Tracker]] = {
    "tensorboard": _tensorboard,
    "mlflow": _mlflow,
}
