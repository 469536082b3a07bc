"""What every scheduler promises, whatever its rule."""

from __future__ import annotations

import inspect
import math
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import pytest
from hypothesis import given, note
from hypothesis import strategies as st

from sweep.search.schedulers.asha import Asha
from sweep.search.schedulers.halving import Halving
from sweep.search.schedulers.hyperband import Hyperband
from sweep.search.schedulers.median import MedianStopping
from sweep.search.schedulers.scheduler import Decision, NeverStops, Scheduler, make_scheduler
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.testing.scheduler_contract import EPOCHS, SchedulerContract, trained
from sweep.vocabulary.record import Status

SCHEDULERS: dict[str, Callable[[], Scheduler]] = {
    "none": NeverStops,
    "asha": lambda: Asha(rungs=[1, 3, 9], reduction_factor=3),
    "asha_2": lambda: Asha(rungs=[2, 4, 8], reduction_factor=2),
    "hyperband": lambda: Hyperband(rungs=[1, 3, 9], reduction_factor=3, brackets=3),
    "median": lambda: MedianStopping(grace_period=2, max_epochs=EPOCHS, min_trials=3),
    "median_of_one": lambda: MedianStopping(grace_period=1, max_epochs=EPOCHS, min_trials=1),
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


def halving() -> Scheduler:
    return Halving(rungs=[1, 3, 9], reduction_factor=3)


def with_each(
    name: str, values: Mapping[str, Any]
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Call the test with each value in turn, on the same example: drawing one takes longer."""

    def decorate(test: Callable[..., None]) -> Callable[..., None]:
        asked = inspect.signature(test).parameters
        left = inspect.Signature([asked[other] for other in asked if other != name])

        def test_with_each(*positional: Any, **named: Any) -> None:
            drawn = left.bind(*positional, **named).arguments
            for said, value in values.items():
                note(f"{name}: {said}")
                test(**{name: value}, **drawn)

        test_with_each.__name__ = test.__name__
        test_with_each.__signature__ = left  # type: ignore[attr-defined]
        return test_with_each

    return decorate


every_that_judges_on_arrival = with_each("make", SCHEDULERS)
every_scheduler = with_each("make", SCHEDULERS | {"halving": halving})
broken_in_each_way = with_each(
    "status", {status: status for status in (Status.DIVERGED, Status.FAILED)}
)


def begun(make: Callable[[], Scheduler]) -> Scheduler:
    """One to which all trials of `calls` have been announced."""
    scheduler = make()
    for number in range(8):
        scheduler.start(f"t{number:04d}")
    return scheduler


def named(curves: Sequence[Sequence[float]], first: str = "t") -> dict[str, Sequence[float]]:
    return {f"{first}{number:04d}": curve for number, curve in enumerate(curves)}


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


in_either_order = with_each(
    "order", {"one after the other": one_after_the_other, "side by side": side_by_side}
)


@given(calls)
@every_scheduler
def test_replaying_the_same_calls_gives_the_same_decisions(
    make: Callable[[], Scheduler], sequence: list[Call]
) -> None:
    assert play(begun(make), sequence) == play(begun(make), sequence)


@given(calls, calls)
@every_scheduler
def test_replayed_scheduler_goes_on_like_the_uninterrupted_one(
    make: Callable[[], Scheduler], before: list[Call], after: list[Call]
) -> None:
    uninterrupted, replayed = begun(make), begun(make)
    play(uninterrupted, before)
    play(replayed, before)
    assert play(replayed, after) == play(uninterrupted, after)


@given(st.lists(dice, min_size=EPOCHS, max_size=EPOCHS))
@every_that_judges_on_arrival
def test_one_trial_alone_is_never_stopped(
    make: Callable[[], Scheduler], curve: list[float]
) -> None:
    assert set(play(make(), one_after_the_other([curve]))) == {Decision.CONTINUE}


@given(curves)
@every_that_judges_on_arrival
def test_first_arrival_of_many_is_never_stopped(
    make: Callable[[], Scheduler], curves: list[list[float]]
) -> None:
    assert set(play(make(), one_after_the_other(curves))[:EPOCHS]) == {Decision.CONTINUE}


@pytest.mark.parametrize("order", [one_after_the_other, side_by_side])
@pytest.mark.parametrize("make", SCHEDULERS.values(), ids=SCHEDULERS)
def test_equal_trials_all_continue(
    make: Callable[[], Scheduler], order: Callable[[list[list[float]]], list[Report]]
) -> None:
    curve = [0.0] * 6 + [0.5] * 6
    assert set(play(make(), order([curve] * 20))) == {Decision.CONTINUE}


@given(curves=curves)
@every_that_judges_on_arrival
@in_either_order
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


@given(calls)
@every_scheduler
def test_stopped_trial_stays_stopped(make: Callable[[], Scheduler], sequence: list[Call]) -> None:
    scheduler = begun(make)
    stopped = set()
    for call in sequence:
        if isinstance(call, End):
            scheduler.end(*call)
        elif scheduler.report(*call) is Decision.STOP:
            stopped.add(call.trial_id)
        else:
            assert call.trial_id not in stopped


@given(curves=curves, broken=curves)
@every_that_judges_on_arrival
@broken_in_each_way
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


@given(curves=curves)
@every_that_judges_on_arrival
@with_each("value", {str(value): value for value in [None, math.nan, math.inf, -math.inf]})
def test_values_that_are_no_dice_change_no_decision_on_the_healthy(
    make: Callable[[], Scheduler], value: float | None, curves: list[list[float]]
) -> None:
    scheduler = make()
    decisions = []
    for report in side_by_side(curves):
        scheduler.report("blind", report.epochs, value)
        decisions.append(scheduler.report(*report))
    assert decisions == play(make(), side_by_side(curves))


@given(
    curves=curves,
    broken=st.lists(st.tuples(st.integers(0, 12 * EPOCHS), st.lists(dice))),
)
@every_that_judges_on_arrival
@broken_in_each_way
def test_diverged_and_failed_trials_inserted_anywhere_change_no_decision_on_the_healthy(
    make: Callable[[], Scheduler],
    status: Status,
    curves: list[list[float]],
    broken: list[tuple[int, list[float]]],
) -> None:
    healthy = side_by_side(curves)
    sequence: list[Call] = []
    for place in range(len(healthy) + 1):
        for number, (inserted_at, curve) in enumerate(broken):
            if inserted_at % (len(healthy) + 1) == place:
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


@given(calls, final, st.lists(st.tuples(st.integers(1, EPOCHS), dice), min_size=1))
@every_scheduler
def test_trial_that_has_ended_stays_out_and_what_it_still_reports_counts_for_nobody(
    make: Callable[[], Scheduler],
    sequence: list[Call],
    status: Status,
    late: list[tuple[int, float]],
) -> None:
    scheduler, undisturbed = begun(make), begun(make)
    decisions, expected = [], []
    for each in (scheduler, undisturbed):
        each.end("ended", status)
    for call in sequence:
        if not isinstance(make(), NeverStops):
            answers = {scheduler.report("ended", epochs, value) for epochs, value in late}
            assert answers == {Decision.STOP}
        decisions += play(scheduler, [call])
        expected += play(undisturbed, [call])
    assert decisions == expected


@given(calls=calls, jump=st.integers(1, EPOCHS))
@every_that_judges_on_arrival
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


@given(curve=st.lists(dice, min_size=EPOCHS, max_size=EPOCHS))
@every_scheduler
def test_trial_that_trains_alone_comes_to_its_end(
    make: Callable[[], Scheduler], curve: list[float]
) -> None:
    assert trained(make(), {"alone": curve}) == {"alone": EPOCHS}


@given(curves=curves, workers=st.integers(1, 4), place=st.integers(0, 12))
@every_scheduler
def test_trial_that_is_better_than_all_others_comes_to_its_end(
    make: Callable[[], Scheduler], curves: list[list[float]], workers: int, place: int
) -> None:
    trials = list(named(curves).items())
    trials.insert(place, ("better", [2.0] * EPOCHS))
    assert trained(make(), dict(trials), workers)["better"] == EPOCHS


@given(curves=curves, count=st.integers(1, 6))
@every_scheduler
@broken_in_each_way
def test_trials_that_break_before_they_report_anything_change_nothing_for_the_others(
    make: Callable[[], Scheduler], status: Status, curves: list[list[float]], count: int
) -> None:
    broken = named([[]] * count, first="broken")
    ends = dict.fromkeys(broken, status)
    alone = trained(make(), named(curves))
    assert trained(make(), {**broken, **named(curves)}, ends=ends) == alone | dict.fromkeys(
        broken, 0
    )
    assert trained(make(), {**named(curves), **broken}, ends=ends) == alone | dict.fromkeys(
        broken, 0
    )


@given(curves=curves)
@every_scheduler
@with_each("value", {str(value): value for value in [math.nan, math.inf, -math.inf]})
def test_trial_whose_scores_are_no_numbers_does_not_wait_and_takes_nobodys_place(
    make: Callable[[], Scheduler], value: float, curves: list[list[float]]
) -> None:
    epochs = trained(make(), {"blind": [value] * EPOCHS, **named(curves)}, workers=1)
    assert epochs["blind"] < EPOCHS or isinstance(make(), NeverStops)
    assert epochs == {"blind": epochs["blind"], **trained(make(), named(curves), workers=1)}


@given(calls)
@every_that_judges_on_arrival
def test_where_trials_are_judged_on_arrival_nobody_pauses_and_nothing_is_left_to_decide(
    make: Callable[[], Scheduler], sequence: list[Call]
) -> None:
    scheduler = begun(make)
    assert Decision.PAUSE not in play(scheduler, sequence)
    assert list(scheduler.decided()) == []


# What a scheduler promises besides whose trials wait.


@given(curves=curves, workers=st.integers(1, 5), order=st.randoms(use_true_random=False))
def test_where_trials_wait_who_trains_how_long_depends_on_no_order_and_no_number_of_workers(
    curves: list[list[float]], workers: int, order: random.Random
) -> None:
    trials = list(named(curves).items())
    expected = trained(halving(), dict(trials), workers=1)
    order.shuffle(trials)
    assert trained(halving(), dict(trials), workers) == expected


@given(curves=curves)
def test_where_trials_wait_exactly_the_share_of_those_that_came_goes_on_from_each_rung(
    curves: list[list[float]],
) -> None:
    epochs = trained(halving(), named(curves)).values()
    assert set(epochs) <= {1, 3, 9, EPOCHS}
    came = len(curves)
    for following in (3, 9, EPOCHS):
        came = math.ceil(came / 3)
        assert sum(n >= following for n in epochs) == came


def test_where_trials_wait_one_that_was_let_on_is_not_decided_again_and_waits_at_the_next() -> None:
    scheduler = begun(halving)
    assert scheduler.report("t0000", 1, 0.5) is Decision.PAUSE
    scheduler.let_on("t0000")
    assert list(scheduler.decided()) == []
    assert scheduler.report("t0000", 2, 0.5) is Decision.CONTINUE
    assert scheduler.report("t0000", 3, 0.5) is Decision.PAUSE


@pytest.mark.parametrize("make", [*SCHEDULERS.values(), halving], ids=[*SCHEDULERS, "halving"])
class TestContractForStrangers(SchedulerContract):
    """The smaller suite that others run, on ours."""

    @pytest.fixture(autouse=True)
    def _make(self, make: Callable[[], Scheduler]) -> None:
        self.make = lambda *_: make()


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
        ("none", NeverStops),
        ("asha", Asha),
        ("hyperband", Hyperband),
        ("median", MedianStopping),
        ({"name": "asha", "pause": True}, Halving),
    ],
)
def test_scheduler_is_made_by_its_name(name: Any, expected: type) -> None:
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
