"""Which trial gets a worker that has become free."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import pytest
from ray.tune.experiment import Trial

from sweep.engine import tuning
from sweep.engine.conductor import Conductor
from sweep.engine.tuning import SECONDS_FOR_A_WORKER, ConductedScheduler


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
def scheduler() -> ConductedScheduler:
    return ConductedScheduler(cast(Conductor, None))  # which nobody asks here


def test_free_worker_goes_to_a_trial_for_which_none_is_being_started(
    scheduler: ConductedScheduler, clock: list[float]
) -> None:
    first, second = Known(), Known()
    assert choice(scheduler, first) is first  # Ray starts a worker for it
    assert choice(scheduler, first) is None
    assert choice(scheduler, first, second) is second
    assert choice(scheduler, first, second) is None


def test_trial_whose_worker_does_not_come_gets_another(
    scheduler: ConductedScheduler, clock: list[float]
) -> None:
    first, second = Known(), Known()
    assert choice(scheduler, first) is first
    clock[0] += SECONDS_FOR_A_WORKER + 1
    assert choice(scheduler, first, second) is first


def test_trial_that_is_tried_again_is_chosen_again(
    scheduler: ConductedScheduler, clock: list[float]
) -> None:
    trial = Known()
    assert choice(scheduler, trial) is trial
    trial.status = Trial.RUNNING
    assert choice(scheduler, trial) is None
    trial.status = Trial.PENDING
    assert choice(scheduler, trial) is trial


def choice(scheduler: ConductedScheduler, *trials: Known) -> Any:
    return scheduler.choose_trial_to_run(Controller(trials))
