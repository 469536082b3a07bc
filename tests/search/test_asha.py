from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.search.schedulers.asha import Asha
from sweep.search.schedulers.decision import Decision
from sweep.vocabulary.record import Status

GO, STOP = Decision.CONTINUE, Decision.STOP


def asha(reduction_factor: int = 3) -> Asha:
    return Asha(rungs=[8, 24, 72], reduction_factor=reduction_factor)


def at_first_rung(scheduler: Asha, *values: float | None) -> list[Decision]:
    """Decisions on trials that reach the first rung one after the other."""
    return [scheduler.report(f"t{i:04d}", 8, value) for i, value in enumerate(values)]


@pytest.mark.parametrize(
    ("reduction_factor", "values", "expected"),
    [
        # kept among the first n arrivals: ceil(n / 3) = 1 1 1 2 2 2 3
        (3, [0.9, 0.8, 0.7, 0.8, 0.6, 0.85, 0.8], [GO, STOP, STOP, GO, STOP, GO, GO]),
        (3, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7], [GO] * 7),
        (3, [0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1], [GO] + [STOP] * 6),
        # ceil(n / 2) = 1 1 2 2 3
        (2, [0.5, 0.4, 0.45, 0.42, 0.43], [GO, STOP, GO, STOP, GO]),
        # ceil(n / 4) = 1 1 1 1 2
        (4, [0.5, 0.4, 0.4, 0.4, 0.45], [GO, STOP, STOP, STOP, GO]),
    ],
)
def test_nth_arrival_continues_within_the_best_share_rounded_up(
    reduction_factor: int, values: list[float], expected: list[Decision]
) -> None:
    assert at_first_rung(asha(reduction_factor=reduction_factor), *values) == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.0, 0.0, 0.0, 0.0], [GO, GO, GO, GO]),
        ([0.5, 0.5, 0.4, 0.4, 0.5], [GO, GO, STOP, STOP, GO]),
        ([0.0, -0.0], [GO, GO]),
    ],
)
def test_ties_share_the_better_rank(values: list[float], expected: list[Decision]) -> None:
    assert at_first_rung(asha(), *values) == expected


@given(st.permutations([i / 40 for i in range(40)]))
def test_trial_within_the_best_third_so_far_continues_and_no_other_does(
    values: list[float],
) -> None:
    decisions = at_first_rung(asha(), *values)
    for n, (value, decision) in enumerate(zip(values, decisions, strict=True), start=1):
        better = sum(other > value for other in values[: n - 1])
        assert (decision is GO) == (better < n / 3)


def test_reports_between_rungs_are_not_judged() -> None:
    scheduler = asha()
    scheduler.report("good", 8, 0.9)
    assert [scheduler.report("poor", epochs, 0.1) for epochs in range(1, 8)] == [GO] * 7
    assert scheduler.report("poor", 8, 0.1) is STOP


def test_trial_is_judged_once_at_each_rung() -> None:
    scheduler = asha()
    assert scheduler.report("first", 8, 0.5) is GO
    scheduler.report("second", 8, 0.9)
    assert [scheduler.report("first", epochs, 0.1) for epochs in range(8, 24)] == [GO] * 16
    assert scheduler.report("second", 24, 0.9) is GO
    assert scheduler.report("first", 24, 0.1) is STOP


def test_trial_that_skipped_a_rung_is_judged_at_the_highest_that_it_passed() -> None:
    scheduler = asha()
    scheduler.report("on_time", 8, 0.5)
    scheduler.report("on_time", 24, 0.8)
    assert scheduler.report("worse", 30, 0.7) is STOP
    assert scheduler.report("better", 30, 0.9) is GO


def test_late_value_is_not_recorded_at_a_lower_rung() -> None:
    scheduler = asha()
    scheduler.report("resumed", 30, 0.9)
    assert scheduler.report("on_time", 8, 0.5) is GO


def test_unmeasured_trial_is_judged_at_its_next_value() -> None:
    scheduler = asha()
    scheduler.report("measured", 8, 0.5)
    assert scheduler.report("late", 8, None) is GO
    assert scheduler.report("late", 9, None) is GO
    assert scheduler.report("late", 10, 0.4) is STOP


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_value_that_is_not_finite_stops_and_is_no_cutoff_for_others(value: float) -> None:
    scheduler = asha()
    assert scheduler.report("broken", 8, value) is STOP
    assert scheduler.report("first", 8, 0.1) is GO


def test_value_that_is_not_finite_between_rungs_is_left_to_the_guard() -> None:
    assert asha().report("t0000", 7, math.nan) is GO


def test_diverged_trial_with_a_high_dice_takes_no_place() -> None:
    scheduler = asha()
    scheduler.report("diverged", 8, 0.99)
    scheduler.end("diverged", Status.DIVERGED)
    assert scheduler.report("healthy", 8, 0.5) is GO


def test_rung_is_as_harsh_as_if_the_diverged_had_never_come() -> None:
    values = [0.5, 0.7, 0.6, 0.4, 0.65, 0.3, 0.62]
    with_diverged, without = asha(), asha()
    for number, value in enumerate(values):
        diverged = f"d{number}"
        with_diverged.report(diverged, 8, value - 0.1)
        with_diverged.report(diverged, 24, value + 0.1)
        with_diverged.end(diverged, Status.DIVERGED)
        assert with_diverged.report(f"t{number}", 8, value) is without.report(
            f"t{number}", 8, value
        )


def test_report_that_arrives_after_the_end_is_not_recorded() -> None:
    scheduler = asha()
    scheduler.end("diverged", Status.DIVERGED)
    assert scheduler.report("diverged", 8, 0.99) is STOP
    assert scheduler.report("healthy", 8, 0.5) is GO
