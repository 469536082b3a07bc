"""What every scheduler promises, whatever its rule."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Literal, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.search.schedulers.asha import Asha
from sweep.search.schedulers.halving import Halving
from sweep.search.schedulers.hyperband import Hyperband
from sweep.search.schedulers.median import MedianStopping
from sweep.search.schedulers.scheduler import Decision, NoScheduler, Scheduler, make_scheduler
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.vocabulary.record import Status

EPOCHS = 12
RULES: dict[str, Callable[[Literal["max", "min"]], Scheduler]] = {
    "asha": lambda mode: Asha(rungs=[1, 3, 9], reduction_factor=3, mode=mode),
    "asha_2": lambda mode: Asha(rungs=[2, 4, 8], reduction_factor=2, mode=mode),
    "hyperband": lambda mode: Hyperband(rungs=[1, 3, 9], reduction_factor=3, brackets=3, mode=mode),
    "median": lambda mode: MedianStopping(
        grace_period=2, max_epochs=EPOCHS, min_trials=3, mode=mode
    ),
    "median_of_one": lambda mode: MedianStopping(
        grace_period=1, max_epochs=EPOCHS, min_trials=1, mode=mode
    ),
}
SCHEDULERS: dict[str, Callable[[], Scheduler]] = {
    "none": NoScheduler,
    **{name: partial(make, "max") for name, make in RULES.items()},
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


def halving() -> Halving:
    """One whose trials wait; all of them started."""
    scheduler = Halving(rungs=[1, 3, 9], reduction_factor=3)
    for number in range(8):
        scheduler.start(f"t{number:04d}")
    return scheduler


also_of_those_that_wait = pytest.mark.parametrize(
    "make", [*SCHEDULERS.values(), halving], ids=[*SCHEDULERS, "halving"]
)


def play(scheduler: Scheduler, sequence: Iterable[Call]) -> list[Decision]:
    """The decisions on the reports among the calls, and on those that wait after each."""
    decisions = []
    for call in sequence:
        if isinstance(call, End):
            scheduler.end(*call)
        else:
            decisions.append(scheduler.report(*call))
        decisions += [decision for _, decision in scheduler.decided()]
    return decisions


def one_after_the_other(curves: list[list[float]]) -> list[Report]:
    return [
        Report(f"t{number:04d}", epochs, value)
        for number, curve in enumerate(curves)
        for epochs, value in enumerate(curve, start=1)
    ]


def side_by_side(curves: list[list[float]]) -> list[Report]:
    return sorted(one_after_the_other(curves), key=lambda report: report.epochs)


@also_of_those_that_wait
@given(calls)
def test_replaying_the_same_calls_gives_the_same_decisions(
    make: Callable[[], Scheduler], sequence: list[Call]
) -> None:
    assert play(make(), sequence) == play(make(), sequence)


@also_of_those_that_wait
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


@also_of_those_that_wait
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


@every_scheduler
@pytest.mark.parametrize("status", [Status.DIVERGED, Status.FAILED])
@given(data=st.data(), curves=curves)
def test_diverged_and_failed_trials_inserted_anywhere_change_no_decision_on_the_healthy(
    make: Callable[[], Scheduler], status: Status, data: st.DataObject, curves: list[list[float]]
) -> None:
    healthy = side_by_side(curves)
    broken = data.draw(st.lists(st.tuples(st.integers(0, len(healthy)), st.lists(dice))))
    sequence: list[Call] = []
    for place in range(len(healthy) + 1):
        for number, (inserted_at, curve) in enumerate(broken):
            if inserted_at == place:
                name = f"broken{number}"
                sequence += [Report(name, epochs, value) for epochs, value in enumerate(curve, 1)]
                sequence.append(End(name, status))
        sequence += healthy[place : place + 1]

    scheduler, decisions = make(), []
    for call in sequence:
        if isinstance(call, End):
            scheduler.end(*call)
        else:
            decision = scheduler.report(*call)
            decisions += [decision] * (not call.trial_id.startswith("broken"))
    assert decisions == play(make(), healthy)


@also_of_those_that_wait
@given(calls, final, st.lists(st.tuples(st.integers(1, EPOCHS), dice), min_size=1))
def test_trial_that_has_ended_stays_out_and_what_it_still_reports_counts_for_nobody(
    make: Callable[[], Scheduler],
    sequence: list[Call],
    status: Status,
    late: list[tuple[int, float]],
) -> None:
    scheduler, undisturbed = make(), make()
    decisions, expected = [], []
    for each in (scheduler, undisturbed):
        each.end("ended", status)
    for call in sequence:
        if not isinstance(make(), NoScheduler):
            answers = {scheduler.report("ended", epochs, value) for epochs, value in late}
            assert answers == {Decision.STOP}
        decisions += play(scheduler, [call])
        expected += play(undisturbed, [call])
    assert decisions == expected


@every_scheduler
@given(calls=calls, jump=st.integers(1, EPOCHS))
def test_trial_that_jumps_over_epochs_is_judged_like_any_other(
    make: Callable[[], Scheduler], calls: list[Call], jump: int
) -> None:
    """Where nobody is better it goes on, and the value it had is no one's at a lower epoch."""
    scheduler = make()
    play(scheduler, calls)
    assert scheduler.report("jumped", jump, 1.0) is Decision.CONTINUE
    on_time = make()
    on_time.report("jumped", EPOCHS - 1, 1.0)
    assert on_time.report("on time", 1, 0.0) is Decision.CONTINUE


@pytest.mark.parametrize("name", RULES)
def test_mode_min_is_mode_max_of_the_negated_values(name: str) -> None:
    curves = [[math.sin(7 * i + j / 3) for j in range(EPOCHS)] for i in range(20)]
    sequence = side_by_side(curves)
    negated = [Report(call.trial_id, call.epochs, -(call.value or 0.0)) for call in sequence]
    decisions = play(RULES[name]("max"), sequence)
    assert {Decision.STOP, Decision.CONTINUE} == set(decisions)
    assert play(RULES[name]("min"), negated) == decisions


def spec_with(scheduler: Any) -> SweepSpec:
    return SweepSpec.model_validate(
        {
            "name": "contract",
            "space": {"optimizer.lr": {"loguniform": [1e-3, 1]}},
            "trainer": {"epochs": 20},
            "scheduler": scheduler,
        }
    )


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("none", NoScheduler),
        ("asha", Asha),
        ("hyperband", Hyperband),
        ("median", MedianStopping),
    ],
)
def test_scheduler_is_made_by_its_name(name: str, expected: type) -> None:
    assert isinstance(make_scheduler(spec_with(name)), expected)


def test_made_asha_has_the_rungs_of_the_spec() -> None:
    spec = spec_with({"name": "asha", "grace_period": 5, "reduction_factor": 2})
    scheduler = make_scheduler(spec)
    assert spec.rungs() == [5, 10]
    assert scheduler.report("good", 5, 0.5) is Decision.CONTINUE
    assert scheduler.report("poor", 4, 0.4) is Decision.CONTINUE
    assert scheduler.report("poor", 5, 0.4) is Decision.STOP


def test_made_hyperband_has_a_bracket_for_each_rung_of_the_spec() -> None:
    spec = spec_with({"name": "hyperband", "grace_period": 5, "reduction_factor": 2})
    scheduler = make_scheduler(spec)
    assert isinstance(scheduler, Hyperband)
    assert spec.rungs() == [5, 10]
    assert {scheduler.bracket_of(f"t{number:04d}") for number in range(40)} == {0, 1}


def test_made_median_rule_judges_from_the_grace_period_to_the_last_epoch_but_one() -> None:
    spec = spec_with({"name": "median", "grace_period": 5, "min_trials": 1})
    scheduler = make_scheduler(spec)
    assert spec.rungs() == [*range(5, 20)]
    for epochs in range(1, 21):
        assert scheduler.report("good", epochs, 0.5) is Decision.CONTINUE
    assert scheduler.report("poor", 4, 0.4) is Decision.CONTINUE
    assert scheduler.report("poor", 5, 0.4) is Decision.STOP
    assert scheduler.report("late", 20, 0.4) is Decision.CONTINUE
