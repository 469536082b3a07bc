"""Connect Ray Tune to the controller, which makes all decisions.

Ray's searcher and scheduler interfaces are two thin doors to the controller. Ray insists on writing
its own snapshots. They are never read: they forget rungs and finished trials, our records do not.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune import Callback
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from sweep.engine.decisions.faults import RETRIES, outcome_of, read_failures, was_refused
from sweep.engine.decisions.sweep_controller import SweepController
from sweep.engine.on_ray.capacity import SECONDS_BETWEEN_LOOKS, Capacity, living_nodes
from sweep.engine.on_ray.trial_actor import MESSAGE, NO_TRIAL, TrialActor
from sweep.engine.session.ending import Ending
from sweep.engine.session.train_trial import Message
from sweep.search.schedulers.scheduler import Decision
from sweep.spec.search.shared_warmup import branching_epochs
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.vocabulary.errors import SweepFailed
from sweep.vocabulary.record import Outcome

SECONDS_FOR_A_WORKER = 60.0
"""Seconds after which a trial no longer waits for the worker requested for it."""


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


class SearcherDoor(NotPickled, Searcher):  # type: ignore[misc]
    """Ray asks it for trials, as many as it likes.

    Args:
        door: keeps our exceptions.
        of_all: what every worker is sent.
    """

    def __init__(self, door: DeferredError, of_all: Mapping[str, Any]) -> None:
        super().__init__()
        self._door = door
        self._of_all = dict(of_all)

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        with self._door():
            found = self._next()
            return found | self._of_all if isinstance(found, dict) else found
        return None  # the door has an exception

    def _next(self) -> dict[str, Any] | str | None:
        """The next trial of Ray's; None for now; ``Searcher.FINISHED`` for good."""
        raise NotImplementedError

    def on_trial_complete(self, trial_id: str, result: Any = None, error: bool = False) -> None:
        """Nothing: ends reach the controller through the scheduler, which has the outcome."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the results folder is the only record."""

    def restore(self, checkpoint_path: str) -> None:
        """Never called: see `save`."""


class SchedulerDoor(NotPickled, FIFOScheduler):  # type: ignore[misc]
    """Ray tells it what trials report.

    Args:
        door: keeps our exceptions.
    """

    def __init__(self, door: DeferredError) -> None:
        super().__init__()
        self._door = door

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        goes_on = True
        with self._door():
            goes_on = self._goes_on(trial, result[MESSAGE])
        return str(TrialScheduler.CONTINUE if goes_on else TrialScheduler.STOP)

    def _goes_on(self, trial: Trial, message: Any) -> bool:
        """Pass on what a trial of Ray's reports. Whether it continues."""
        raise NotImplementedError


class ControlledSearcher(SearcherDoor):
    """Hands the controller's trials to Ray, at most ``capacity()`` at a time.

    A trial is proposed only when a slot is free for it, so that a searcher that learns knows all
    results before it proposes.

    Args:
        controller: has the trials.
        door: keeps the controller's exceptions.
        capacity: how many trials there is room for now, and what each needs.
        of_all: what every worker is sent.
    """

    def __init__(
        self,
        controller: SweepController,
        door: DeferredError,
        capacity: Capacity,
        of_all: Mapping[str, Any],
    ) -> None:
        super().__init__(door, of_all)
        self._may_start_ahead = True
        self._controller = controller
        self._capacity = capacity

    def _next(self) -> dict[str, Any] | str | None:
        if self._controller.executing >= self._capacity():
            return None
        folder = self._controller.next_trial()
        if folder is not None:
            return {"folder": str(folder), "label": self._controller.label(folder.name)}
        return str(Searcher.FINISHED) if self._controller.finished else self._worker_ahead()

    def _worker_ahead(self) -> dict[str, Any] | None:
        """Once, a trial that trains nothing, so that Ray starts a second worker, which takes
        seconds, while all trials wait for a shared warm-up. Ray keeps it for the next trial.
        """
        if not self._may_start_ahead or not self._controller.has_waiting:
            return None
        self._may_start_ahead = False
        return {"folder": NO_TRIAL, "label": ""}


class ControlledScheduler(SchedulerDoor):
    """Passes results to the controller and its decisions back to Ray.

    A worker takes seconds to start. A trial that is pruned early takes less. Ray gives the worker
    of a trial that has ended to the first pending trial, and cancels the worker that is being
    started for that one. If trials are short, the second worker never starts, and the trials run
    one after the other. Here the free worker goes to the next trial, for which none is being
    started.
    """

    def __init__(self, controller: SweepController, door: DeferredError) -> None:
        super().__init__(door)
        self._controller = controller
        self._chosen: dict[Trial, float] = {}

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        now = time.monotonic()
        live = tune_controller.get_live_trials()  # a loop over all trials would be quadratic
        waiting = (trial for trial in live if trial.status == Trial.PENDING)
        pending = sorted(waiting, key=lambda trial: str(trial.trial_id))  # Ray's own order
        self._chosen = {trial: self._chosen.get(trial, -math.inf) for trial in pending}
        for trial in pending:
            if now - self._chosen[trial] > SECONDS_FOR_A_WORKER:
                self._chosen[trial] = now
                return trial
        return None

    def _goes_on(self, trial: Trial, message: Message) -> bool:
        decision = self._pass_on(trial_name(trial), message)
        if decision is Decision.PAUSE:
            # For Ray, a trial of ours that pauses has ended: it continues as another trial of
            # Ray's. Its actor must release its folder, which the next worker waits for.
            trial.temporary_state.ray_actor.leave.remote()
        return decision is Decision.CONTINUE

    def _pass_on(self, trial_id: str, message: Message) -> Decision:
        if isinstance(message, Outcome):
            self._controller.end(trial_id, message)
            return Decision.STOP
        if not message:  # from a worker that was started ahead
            return Decision.STOP
        for metrics in message:
            decision = self._controller.report(trial_id, metrics)
            if decision is not Decision.CONTINUE:
                return decision
        return Decision.CONTINUE


@dataclass(frozen=True, slots=True)
class Supervised:
    """What is supervised, and when it is to end.

    Args:
        controller: of the sweep.
        door: keeps the controller's exceptions; one of them ends the sweep.
        asked: whether a signal has asked for an interruption.
        deadline: in the time of `time.monotonic`; infinite without a time budget.
        export: exports the metrics if they are due.
        steer: takes what users ask of the sweep.
    """

    controller: SweepController
    door: DeferredError
    asked: Callable[[], bool]
    deadline: float
    export: Callable[[], None]
    steer: Callable[[], object] = lambda: None


class Supervision(NotPickled, Callback):  # type: ignore[misc]
    """Ends Ray's loop between two of its steps, and ends the trials that Ray has given up."""

    def __init__(self, supervised: Supervised) -> None:
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
        if time.monotonic() >= self._look_again:
            self._look_again = time.monotonic() + SECONDS_BETWEEN_LOOKS
            if not living_nodes():  # Ray would wait for one forever
                raise SweepFailed(
                    "Ray has lost its last node: its process on this machine was killed"
                )

    def on_trial_complete(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        """Ray keeps every trial to its end. Two thirds of one are statistics without a reader."""
        trial.metric_analysis.clear()
        trial.metric_n_steps.clear()

    def on_trial_error(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        """Called for a fault of the machine that Ray does not retry: the retries are used up, or a
        free worker refused the trial before it began, and was ended.

        The scheduler's method of this name cannot be used: Ray calls it before a retry too.
        """
        controller = self._supervised.controller
        with self._supervised.door():
            failures = read_failures(trial)
            if was_refused(failures) or trial.should_recover():
                controller.hand_back(trial_name(trial))
                return
            outcome = outcome_of(failures, trial.num_failures)
            controller.end(trial_name(trial), outcome)


def trial_name(trial: Trial) -> str:
    """Our id of a trial of Ray's: the name of its folder."""
    return Path(trial.config["folder"]).name


def sent_to_workers(spec: SweepSpec, capacity: Capacity, uri: str | None) -> dict[str, Any]:
    """What every worker is sent, as plain values.

    Args:
        uri: where the results are, if the workers do not see them as a folder.
    """
    return {
        "sweep": spec.name,
        "uri": uri,
        "branching": list(branching_epochs(spec)),
        "kind": spec.trainer.kind,
        "objective": asdict(spec.judged_by.each[0]),
        "resources": dict(capacity.resources),
    }


@dataclass(frozen=True, slots=True)
class Doors:
    """How Ray reaches the controller.

    Args:
        worker: what a trial of Ray's runs.
        searcher, scheduler, supervision: what Ray asks and tells.
        name_of: our name of one of Ray's trials.
        reuse: whether Ray gives the worker of a trial that has ended to the next one.
        retries: how often Ray starts another worker for a trial whose worker has died.
    """

    worker: type[tune.Trainable]
    searcher: Searcher
    scheduler: TrialScheduler
    supervision: Supervision
    name_of: Callable[[Trial], str]
    reuse: bool
    retries: int


def one_by_one(
    capacity: Capacity,
    of_all: Mapping[str, Any],
    supervised: Supervised,
) -> Doors:
    """A worker trains one trial after the other: each is a trial of Ray's too.

    Args:
        capacity: how many there is room for.
        of_all: see `sent_to_workers`.
        supervised: what is supervised.
    """
    controller, door = supervised.controller, supervised.door
    return Doors(
        TrialActor,
        ControlledSearcher(controller, door, capacity, of_all),
        ControlledScheduler(controller, door),
        Supervision(supervised),
        trial_name,
        reuse=True,
        retries=RETRIES,
    )


def make_tuner(doors: Doors, scratch: str, *, verbose: bool) -> tune.Tuner:
    """Ray's tuner for the controller's trials.

    Args:
        scratch: folder for Ray's own files.
        verbose: show Ray's own messages.
    """
    return tune.Tuner(
        doors.worker,
        tune_config=tune.TuneConfig(
            search_alg=doors.searcher,
            scheduler=doors.scheduler,
            num_samples=-1,  # the searcher says when it is finished
            reuse_actors=doors.reuse,
            trial_name_creator=doors.name_of,
            trial_dirname_creator=doors.name_of,
        ),
        run_config=tune.RunConfig(
            storage_path=scratch,
            name="ray",
            verbose=1 if verbose else 0,
            # In a notebook Ray would choose a reporter that clears the cell's output.
            progress_reporter=tune.CLIReporter(),
            callbacks=[doors.supervision],
            failure_config=tune.FailureConfig(max_failures=doors.retries),
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
        ),
    )
