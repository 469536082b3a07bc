from __future__ import annotations

import math
import random
from typing import Any

import pytest

from sweep.engine.decisions.pruning_policy import PruningPolicy
from sweep.search.schedulers.decision import Decision
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.vocabulary.record import Status

Told = list[tuple[str, int, float]]


def policy(told: Told, **changes: Any) -> tuple[PruningPolicy, SweepSpec]:
    values = {
        "name": "toy",
        "trainer": {"epochs": 12},
        "loss": {"warmup_epochs": 0, "rampup_epochs": 0},
        "space": {"optimizer.lr": {"loguniform": [1e-3, 1]}},
        "scheduler": {"name": "asha", "grace_period": 2, "reduction_factor": 2, "pause": True},
    }
    spec = SweepSpec.model_validate(values | changes)
    return PruningPolicy(spec, lambda *of: told.append(of)), spec


def test_searcher_hears_of_each_rung_once_with_what_was_compared_there() -> None:
    told: Told = []
    deciding, spec = policy(told)
    assert spec.rungs() == [2, 4, 8]
    deciding.start("t0000", spec.trial({"optimizer.lr": 0.1}), None)
    deciding.expect(9)
    scores = [0.1, 0.2, 0.3, None, 0.5, 0.4]
    for epochs, score in enumerate(scores, start=1):
        if deciding.report("t0000", epochs, score) is Decision.PAUSE:
            deciding.let_on("t0000")
    # Nothing was measured in the fourth epoch: its last value counts at the second rung.
    assert told == [("t0000", 1, 0.2), ("t0000", 2, 0.3)]


HALVING = {"name": "asha", "grace_period": 2, "reduction_factor": 2, "pause": True}
BY_RUNGS: dict[str, dict[str, Any]] = {
    "asha": HALVING | {"pause": False},
    "halving": HALVING,
    "hyperband": {"name": "hyperband", "grace_period": 2, "reduction_factor": 2, "brackets": 1},
}
Curve = list[float | None]


def decisions(scheduler: dict[str, Any], curves: list[Curve]) -> tuple[list[int], Told]:
    """The epochs that each trial has trained, and what was compared at each rung."""
    told: Told = []
    deciding, spec = policy(told, scheduler=scheduler)
    names = [f"t{number:04d}" for number in range(len(curves))]
    epochs, running = dict.fromkeys(names, 0), list(names)
    for name in names:
        deciding.start(name, spec.trial({"optimizer.lr": 0.1}), None)
    while running:
        name = running.pop(0)
        while epochs[name] < 12:
            score = curves[names.index(name)][epochs[name]]
            epochs[name] += 1
            decision = deciding.report(name, epochs[name], score)
            if decision is not Decision.CONTINUE:
                break
        for other, decision in deciding.decided():
            running += [other] * (decision is Decision.CONTINUE)
    return [*epochs.values()], told


@pytest.mark.parametrize("scheduler", BY_RUNGS.values(), ids=BY_RUNGS)
def test_trial_without_a_value_at_a_rung_is_judged_there_by_its_last(
    scheduler: dict[str, Any],
) -> None:
    chance = random.Random(0)
    for _ in range(30):
        whole: list[Curve] = [[chance.random() for _ in range(12)] for _ in range(6)]
        gaps = [list(curve) for curve in whole]
        for curve, gap in zip(whole, gaps, strict=True):
            if chance.random() < 0.5:
                rung = chance.choice([2, 4, 8]) - 1
                curve[rung], gap[rung] = curve[rung - 1], None
        assert decisions(scheduler, gaps) == decisions(scheduler, whole)


@pytest.mark.parametrize("scheduler", BY_RUNGS.values(), ids=BY_RUNGS)
def test_no_rung_judges_by_a_value_that_another_has_judged(scheduler: dict[str, Any]) -> None:
    # Measured in every fifth epoch: the first value comes after two rungs, and after the third
    # nothing new is known until the tenth.
    curve = [0.01 * n if n % 5 == 0 else None for n in range(1, 13)]
    assert decisions(scheduler, [curve])[1] == [("t0000", 2, 0.05), ("t0000", 3, 0.1)]


def test_searcher_never_hears_of_a_score_that_is_not_finite() -> None:
    told: Told = []
    deciding, spec = policy(told)
    deciding.start("t0000", spec.trial({"optimizer.lr": 0.1}), None)
    assert deciding.report("t0000", 2, math.nan) is Decision.STOP
    assert told == []


def test_searcher_hears_of_a_gain_when_the_baseline_has_come_as_far() -> None:
    told: Told = []
    space = {
        "loss.warmup_epochs": {"randint": [0, 6]},
        "loss.weights.boundary": {"loguniform": [1e-3, 1]},
    }
    scheduler = {"name": "asha", "grace_period": 1}
    deciding, spec = policy(told, space=space, scheduler=scheduler)
    assert spec.compares_gains
    deciding.start("t0000", spec.preset_trial("baseline"), "baseline")
    drawn = {"loss.warmup_epochs": 3, "loss.weights.boundary": 0.1}
    for trial_id in ("t0001", "t0002"):
        deciding.start(trial_id, spec.trial(drawn), None)
        for epochs in range(1, 5):  # a quarter of the epochs, and one since its loss acts in full
            deciding.report(trial_id, epochs, 0.6)
    deciding.end("t0002", Status.DIVERGED)
    for epochs in range(1, 4):
        deciding.report("t0000", epochs, 0.5)
    assert told == []
    deciding.report("t0000", 4, 0.5)
    # Twice the gain of the best, 0.1, and once that of the later half; nothing scatters or rises.
    [(trial_id, rung, score)] = told
    assert (trial_id, rung) == ("t0001", 1)
    assert math.isclose(score, 0.1)
