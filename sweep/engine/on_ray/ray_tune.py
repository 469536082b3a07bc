"""Connect Ray Tune to the controller, which makes all decisions.

A trial of Ray's is a worker: a process that trains our trials, one after the other or several in
turn. Ray's searcher and scheduler interfaces are two thin doors to the controller. Ray insists on
writing its own snapshots. They are never read: they forget rungs and finished trials, our records
do not. Ray retries nothing either: `TrialPlacement` finds out which trial a worker died of.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from ray import tune
from ray.tune import Callback
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from sweep.engine.decisions.faults import read_failures
from sweep.engine.on_ray.capacity import SECONDS_BETWEEN_LOOKS, living_nodes
from sweep.engine.on_ray.last_words import log_last_words
from sweep.engine.on_ray.trial_actor import MESSAGE, TrialActor
from sweep.engine.on_ray.workers import Workers
from sweep.engine.session.ending import Ending
from sweep.spec.search.shared_warmup import branching_epochs
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.vocabulary.errors import SweepFailed


class Stopped(Exception):
    """Stop Ray's loop early, with the reason."""

    def __init__(self, ending: Ending) -> None:
        super().__init__(ending.value)
        self.ending = ending


class NotPickled:
    """Pickled as nothing: Ray pickles searcher and scheduler into snapshots that are never read."""

    def __getstate__(self) -> dict[str, Any]:
        return {}


class DeferredError(NotPickled):
    """Hides exceptions of our own code from Ray, which would blame a trial and retry it.

    The first one (the disk is full, an error in our own code) is kept. It ends the sweep at the
    next step of Ray's loop.

    Attributes:
        failure: that exception.
    """

    def __init__(self) -> None:
        self.failure: Exception | None = None

    @contextmanager
    def __call__(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # noqa: BLE001 - raised again by `require`
            self.failure = self.failure or error

    def require(self) -> None:
        """Raise the exception that was kept, if there is one."""
        if self.failure is not None:
            raise self.failure


class ControlledSearcher(NotPickled, Searcher):  # type: ignore[misc]
    """Gives Ray a worker for each free slot, as long as there is something to train.

    Args:
        workers: of the sweep.
        door: keeps our exceptions.
        of_all: what every worker is sent.
    """

    def __init__(self, workers: Workers, door: DeferredError, of_all: Mapping[str, Any]) -> None:
        super().__init__()
        self._workers = workers
        self._door = door
        self._of_all = dict(of_all)

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        with self._door():
            name = self._workers.open()
            if name is not None:
                return {"worker": name} | self._of_all
            return str(Searcher.FINISHED) if self._workers.controller.finished else None
        return None  # the door has an exception

    def on_trial_complete(self, trial_id: str, result: Any = None, error: bool = False) -> None:
        """Nothing: ends reach the controller through the scheduler, which has the outcome."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the results folder is the only record."""

    def restore(self, checkpoint_path: str) -> None:
        """Never called: see `save`."""


class ControlledScheduler(NotPickled, FIFOScheduler):  # type: ignore[misc]
    """Passes on what workers report.

    Args:
        workers: of the sweep.
        door: keeps our exceptions.
    """

    def __init__(self, workers: Workers, door: DeferredError) -> None:
        super().__init__()
        self._workers = workers
        self._door = door

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        goes_on = True
        with self._door():
            goes_on = self._workers.take(worker_name(trial), result[MESSAGE])
        return str(TrialScheduler.CONTINUE if goes_on else TrialScheduler.STOP)


@dataclass(frozen=True, slots=True)
class Supervised:
    """What is supervised, and when it is to end.

    Args:
        door: keeps our exceptions; one of them ends the sweep.
        asked: whether a signal has asked for an interruption.
        deadline: in the time of `time.monotonic`; infinite without a time budget.
        export: exports the metrics if they are due.
        steer: takes what users ask of the sweep.
    """

    door: DeferredError
    asked: Callable[[], bool]
    deadline: float
    export: Callable[[], None]
    steer: Callable[[], object] = lambda: None


class Supervision(NotPickled, Callback):  # type: ignore[misc]
    """Ends Ray's loop between two of its steps, and hears of workers that start and die."""

    def __init__(self, workers: Workers, supervised: Supervised) -> None:
        self._workers = workers
        self._supervised = supervised
        self._look_again = -math.inf

    def on_step_begin(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """Called when no record is half-written."""
        supervised = self._supervised
        supervised.door.require()
        if supervised.asked():
            raise Stopped(Ending.INTERRUPTED)
        if time.monotonic() >= supervised.deadline:
            raise Stopped(Ending.OUT_OF_TIME)
        supervised.steer()
        supervised.export()
        if self._workers.are_waited_for:
            raise Stopped(Ending.FINISHED)
        if time.monotonic() >= self._look_again:
            self._look_again = time.monotonic() + SECONDS_BETWEEN_LOOKS
            if not living_nodes():  # Ray would wait for one forever
                raise SweepFailed(
                    "Ray has lost its last node: its process on this machine was killed"
                )
        with supervised.door():
            self._workers.fill()

    def on_trial_start(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        """Called before a worker's first step."""
        with self._supervised.door():
            self._workers.start(worker_name(trial), trial.temporary_state.ray_actor)

    def on_trial_error(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        """Called when a worker has died."""
        with self._supervised.door():
            failures = read_failures(trial)
            log_last_words(failures[-1] if failures else "")
            self._workers.lost(worker_name(trial), failures)


def worker_name(trial: Trial) -> str:
    """Our name of the worker that is a trial for Ray."""
    return str(trial.config["worker"])


def sent_to_workers(
    spec: SweepSpec, resources: Mapping[str, float], uri: str | None
) -> dict[str, Any]:
    """What every worker is sent, as plain values.

    Args:
        resources: CPU and GPU that a worker needs.
        uri: where the results are, if the workers do not see them as a folder.
    """
    return {
        "sweep": spec.name,
        "uri": uri,
        "branching": list(branching_epochs(spec)),
        "kind": spec.trainer.kind,
        "objective": asdict(spec.judged_by.each[0]),
        "resources": dict(resources),
    }


def make_tuner(
    workers: Workers,
    supervised: Supervised,
    of_all: Mapping[str, Any],
    scratch: str,
    *,
    verbose: bool,
) -> tune.Tuner:
    """Ray's tuner for the controller's trials.

    Args:
        workers: train them.
        supervised: what is supervised.
        of_all: see `sent_to_workers`.
        scratch: folder for Ray's own files.
        verbose: show Ray's own messages.
    """
    return tune.Tuner(
        TrialActor,
        tune_config=tune.TuneConfig(
            search_alg=ControlledSearcher(workers, supervised.door, of_all),
            scheduler=ControlledScheduler(workers, supervised.door),
            num_samples=-1,  # the searcher says when it is finished
            trial_name_creator=worker_name,
            trial_dirname_creator=worker_name,
        ),
        run_config=tune.RunConfig(
            storage_path=scratch,
            name="ray",
            verbose=1 if verbose else 0,
            # In a notebook Ray would choose a reporter that clears the cell's output.
            progress_reporter=tune.CLIReporter(),
            callbacks=[Supervision(workers, supervised)],
            failure_config=tune.FailureConfig(max_failures=0),
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
        ),
    )
