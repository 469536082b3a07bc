"""What every scheduler promises, whatever its rule."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.record import Status
from sweep.search.asha import Asha
from sweep.search.scheduler import Decision, NoScheduler, Scheduler, make_scheduler
from sweep.spec.sweep import SweepSpec

EPOCHS = 12
SCHEDULERS: dict[str, Callable[[], Scheduler]] = {
    "none": NoScheduler,
    "asha": lambda: Asha(rungs=[1, 3, 9], reduction_factor=3),
    "asha_2": lambda: Asha(rungs=[2, 4, 8], reduction_factor=2),
}
WITH_MODE: dict[str, tuple[Scheduler, Scheduler]] = {
    "asha": (
        Asha(rungs=[1, 3, 9], reduction_factor=3, mode="max"),
        Asha(rungs=[1, 3, 9], reduction_factor=3, mode="min"),
    ),
}


class Report(NamedTuple):
    trial_id: str
    epochs: int
    value: float | None


class End(NamedTuple):
    trial_id: str
    status: Status


Call = Report | End

dice = st.floats(0, 1)
trial_ids = st.integers(0, 7).map("t{:04d}".format)
final = st.sampled_from([status for status in Status if status.is_final])
reports = st.builds(
    Report,
    trial_ids,
    st.integers(1, EPOCHS),
    dice | st.sampled_from([None, math.nan, math.inf, -math.inf]),
)
calls = st.lists(reports | st.builds(End, trial_ids, final), max_size=60)
curves = st.lists(st.lists(dice, min_size=EPOCHS, max_size=EPOCHS), min_size=1, max_size=12)

every_scheduler = pytest.mark.parametrize("make", SCHEDULERS.values(), ids=SCHEDULERS)


def play(scheduler: Scheduler, sequence: Iterable[Call]) -> list[Decision]:
    """The decisions on the reports among the calls."""
    decisions = []
    for call in sequence:
        if isinstance(call, End):
            scheduler.end(*call)
        else:
            decisions.append(scheduler.report(*call))
    return decisions


def one_after_the_other(curves: list[list[float]]) -> list[Report]:
    return [
        Report(f"t{number:04d}", epochs, value)
        for number, curve in enumerate(curves)
        for epochs, value in enumerate(curve, start=1)
    ]


def side_by_side(curves: list[list[float]]) -> list[Report]:
    return sorted(one_after_the_other(curves), key=lambda report: report.epochs)


@every_scheduler
@given(calls)
def test_replaying_the_same_calls_gives_the_same_decisions(
    make: Callable[[], Scheduler], sequence: list[Call]
) -> None:
    assert play(make(), sequence) == play(make(), sequence)


@every_scheduler
@given(calls, calls)
def test_replayed_scheduler_goes_on_like_the_uninterrupted_one(
    make: Callable[[], Scheduler], before: list[Call], after: list[Call]
) -> None:
    uninterrupted, replayed = make(), make()
    play(uninterrupted, before)
    play(replayed, before)
    assert play(replayed, after) == play(uninterrupted, after)


@every_scheduler
@given(st.lists(dice, min_size=EPOCHS, max_size=EPOCHS))
def test_one_trial_alone_is_never_stopped(
    make: Callable[[], Scheduler], curve: list[float]
) -> None:
    assert set(play(make(), one_after_the_other([curve]))) == {Decision.CONTINUE}


@every_scheduler
@given(curves)
def test_first_arrival_of_many_is_never_stopped(
    make: Callable[[], Scheduler], curves: list[list[float]]
) -> None:
    assert set(play(make(), one_after_the_other(curves))[:EPOCHS]) == {Decision.CONTINUE}


@every_scheduler
@pytest.mark.parametrize("order", [one_after_the_other, side_by_side])
def test_equal_trials_all_continue(
    make: Callable[[], Scheduler], order: Callable[[list[list[float]]], list[Report]]
) -> None:
    curve = [0.0] * 6 + [0.5] * 6
    assert set(play(make(), order([curve] * 20))) == {Decision.CONTINUE}


@every_scheduler
@pytest.mark.parametrize("order", [one_after_the_other, side_by_side])
@given(curves=curves)
def test_trial_that_is_the_best_at_every_epoch_is_never_stopped(
    make: Callable[[], Scheduler],
    order: Callable[[list[list[float]]], list[Report]],
    curves: list[list[float]],
) -> None:
    best = [max(values) for values in zip(*curves, strict=True)]
    scheduler = make()
    for report in order([*curves, best]):
        decision = scheduler.report(*report)
        assert decision is Decision.CONTINUE or report.trial_id != f"t{len(curves):04d}"


@every_scheduler
@given(calls)
def test_stopped_trial_stays_stopped(make: Callable[[], Scheduler], sequence: list[Call]) -> None:
    scheduler = make()
    stopped = set()
    for call in sequence:
        if isinstance(call, End):
            scheduler.end(*call)
        elif scheduler.report(*call) is Decision.STOP:
            stopped.add(call.trial_id)
        else:
            assert call.trial_id not in stopped


@every_scheduler
@pytest.mark.parametrize("status", [Status.DIVERGED, Status.FAILED])
@given(curves=curves, broken=curves)
def test_diverged_and_failed_trials_change_no_decision_on_the_healthy(
    make: Callable[[], Scheduler],
    status: Status,
    curves: list[list[float]],
    broken: list[list[float]],
) -> None:
    scheduler = make()
    for number, curve in enumerate(broken):
        trial_id = f"broken{number}"
        play(scheduler, [Report(trial_id, epochs, v) for epochs, v in enumerate(curve, start=1)])
        scheduler.end(trial_id, status)
    assert play(scheduler, side_by_side(curves)) == play(make(), side_by_side(curves))


@every_scheduler
@pytest.mark.parametrize("value", [None, math.nan, math.inf, -math.inf])
@given(curves=curves)
def test_values_that_are_no_dice_change_no_decision_on_the_healthy(
    make: Callable[[], Scheduler], value: float | None, curves: list[list[float]]
) -> None:
    scheduler = make()
    decisions = []
    for report in side_by_side(curves):
        scheduler.report("blind", report.epochs, value)
        decisions.append(scheduler.report(*report))
    assert decisions == play(make(), side_by_side(curves))


@pytest.mark.parametrize(("highest", "lowest"), WITH_MODE.values(), ids=WITH_MODE)
def test_mode_min_is_mode_max_of_the_negated_values(highest: Scheduler, lowest: Scheduler) -> None:
    curves = [[math.sin(7 * i + j / 3) for j in range(EPOCHS)] for i in range(20)]
    sequence = side_by_side(curves)
    negated = [Report(call.trial_id, call.epochs, -(call.value or 0.0)) for call in sequence]
    decisions = play(highest, sequence)
    assert Decision.STOP in decisions
    assert play(lowest, negated) == decisions


def spec_with(scheduler: Any) -> SweepSpec:
    return SweepSpec.model_validate(
        {
            "name": "contract",
            "space": {"optimizer.lr": {"loguniform": [1e-3, 1]}},
            "trainer": {"epochs": 20},
            "scheduler": scheduler,
        }
    )


@pytest.mark.parametrize(("name", "expected"), [("none", NoScheduler), ("asha", Asha)])
def test_scheduler_is_made_by_its_name(name: str, expected: type) -> None:
    assert isinstance(make_scheduler(spec_with(name)), expected)


def test_made_asha_has_the_rungs_of_the_spec() -> None:
    spec = spec_with({"name": "asha", "grace_period": 5, "reduction_factor": 2})
    scheduler = make_scheduler(spec)
    assert spec.rungs() == [5, 10]
    assert scheduler.report("good", 5, 0.5) is Decision.CONTINUE
    assert scheduler.report("poor", 4, 0.4) is Decision.CONTINUE
    assert scheduler.report("poor", 5, 0.4) is Decision.STOP
