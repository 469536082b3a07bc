"""Which trial gets a worker that has become free, and what Ray is never to see."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest
from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler

from sweep.engine.decisions.sweep_controller import SweepController
from sweep.engine.on_ray import ray_tune as tuning
from sweep.engine.on_ray.capacity import Capacity
from sweep.engine.on_ray.ray_tune import (
    SECONDS_FOR_A_WORKER,
    ControlledScheduler,
    ControlledSearcher,
    DeferredError,
    Supervised,
    Supervision,
)
from sweep.engine.on_ray.trial_actor import MESSAGE
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.errors import SweepFailed
from sweep.vocabulary.record import Outcome, Status


@dataclass(eq=False)
class Known:
    """What Ray's scheduler interface asks of a trial."""

    status: str = Trial.PENDING
    trial_id: str = "0_0"


@dataclass
class Controller:
    """What it asks of Ray's loop."""

    trials: Sequence[Known]

    def get_live_trials(self) -> Sequence[Known]:
        return self.trials


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr(tuning.time, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def scheduler() -> ControlledScheduler:
    return ControlledScheduler(
        cast(SweepController, None), DeferredError()
    )  # which nobody asks here


def test_free_worker_goes_to_a_trial_for_which_none_is_being_started(
    scheduler: ControlledScheduler, clock: list[float]
) -> None:
    first, second = Known(), Known()
    assert choice(scheduler, first) is first  # Ray starts a worker for it
    assert choice(scheduler, first) is None
    assert choice(scheduler, first, second) is second
    assert choice(scheduler, first, second) is None


def test_trial_whose_worker_does_not_come_gets_another(
    scheduler: ControlledScheduler, clock: list[float]
) -> None:
    first, second = Known(), Known()
    assert choice(scheduler, first) is first
    clock[0] += SECONDS_FOR_A_WORKER + 1
    assert choice(scheduler, first, second) is first


def test_trial_that_is_tried_again_is_chosen_again(
    scheduler: ControlledScheduler, clock: list[float]
) -> None:
    trial = Known()
    assert choice(scheduler, trial) is trial
    trial.status = Trial.RUNNING
    assert choice(scheduler, trial) is None
    trial.status = Trial.PENDING
    assert choice(scheduler, trial) is trial


def choice(scheduler: ControlledScheduler, *trials: Known) -> Any:
    return scheduler.choose_trial_to_run(Controller(trials))


# An exception of ours is no fault of a trial: Ray would try that again, and hide the cause.


class Broken:
    """A controller in which nothing works."""

    finished = False
    executing = 0

    def __init__(self, error: Exception) -> None:
        self.error = error

    def _raise(self, *_: Any) -> Any:
        raise self.error

    next_trial = report = end = hand_back = _raise


@dataclass(eq=False)
class Reporting(Known):
    """A trial of Ray's that has a folder, and what Ray notes of its failures."""

    num_failures: int = 3
    error_file: str | None = None

    def should_recover(self) -> bool:
        return self.num_failures < 3

    @property
    def config(self) -> dict[str, str]:
        return {"folder": "/results/trials/t0001"}


EPOCH = {MESSAGE: (EpochMetrics(epoch=0, val_dice=0.5),)}
END = {MESSAGE: Outcome(status=Status.COMPLETED)}
ENTRANCES: dict[str, Callable[[Any, DeferredError], object]] = {
    "an epoch is reported": lambda controller, door: ControlledScheduler(
        controller, door
    ).on_trial_result(None, cast(Trial, Reporting()), EPOCH),
    "a trial ends": lambda controller, door: ControlledScheduler(controller, door).on_trial_result(
        None, cast(Trial, Reporting()), END
    ),
    "the next trial is asked for": lambda controller, door: ControlledSearcher(
        controller, door, cast(Capacity, Room()), {}
    ).suggest("x"),
    "a worker refuses a trial": lambda controller, door: supervision(
        controller, door
    ).on_trial_error(0, [], cast(Trial, Reporting(num_failures=1))),
    "Ray gives a trial up": lambda controller, door: supervision(controller, door).on_trial_error(
        0, [], cast(Trial, Reporting())
    ),
}


class Room:
    """Capacity for one trial."""

    resources: Mapping[str, float] = {}

    def __call__(self) -> int:
        return 1


def supervision(controller: Any, door: DeferredError) -> Supervision:
    return Supervision(Supervised(controller, door, lambda: False, math.inf, lambda: None))


@pytest.mark.parametrize("entrance", ENTRANCES)
@pytest.mark.parametrize(
    "error",
    [TypeError("Object of type float32 is not JSON serializable"), SweepFailed("the disk is full")],
)
def test_exception_of_ours_ends_the_sweep_as_itself_and_reaches_ray_nowhere_else(
    error: Exception, entrance: str
) -> None:
    controller, door = Broken(error), DeferredError()
    assert ENTRANCES[entrance](controller, door) in (TrialScheduler.CONTINUE, None)
    with pytest.raises(type(error)) as caught:
        supervision(controller, door).on_step_begin(0, [])
    assert caught.value is error


def test_requests_of_users_are_taken_in_each_step_of_rays_loop() -> None:
    taken: list[int] = []
    nobody = cast(SweepController, None)
    never = Supervision(
        Supervised(
            nobody,
            DeferredError(),
            lambda: False,
            math.inf,
            lambda: None,
            lambda: taken.append(1),
        )
    )
    never._look_again = math.inf
    never.on_step_begin(0, [])
    never.on_step_begin(1, [])
    assert len(taken) == 2


def test_first_of_several_exceptions_is_the_cause() -> None:
    door = DeferredError()
    for text in ("first", "second"):
        with door():
            raise KeyError(text)
    with pytest.raises(KeyError, match="first"):
        door.require()


class Told:
    """A controller that only takes note of how a trial is left."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def hand_back(self, _: str) -> None:
        self.told.append("handed back")

    def end(self, _: str, outcome: Outcome) -> None:
        self.told.append(outcome.status)


REFUSED = "Failure # {} (occurred at noon)\nsweep.engine.actor.WorkerSpoilt: a thread still runs\n"


@pytest.mark.parametrize(
    ("noted", "failures", "left"),
    [
        (REFUSED.format(1), 1, "handed back"),
        (REFUSED.format(3), 3, "handed back"),  # it has used up its retries, but for faults
        ("Failure # 1 (occurred at noon)\nThe actor died\n", 1, "handed back"),
        ("Failure # 3 (occurred at noon)\nThe actor died\n", 3, "failed"),
    ],
)
def test_trial_that_its_worker_did_not_take_on_is_handed_out_again(
    noted: str, failures: int, left: str, tmp_path: Path
) -> None:
    file = tmp_path / "error.txt"
    file.write_text(noted)
    controller, door = Told(), DeferredError()
    trial = cast(Trial, Reporting(num_failures=failures, error_file=str(file)))
    supervision(controller, door).on_trial_error(0, [], trial)
    door.require()
    assert controller.told == [left]
