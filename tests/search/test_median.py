from __future__ import annotations

import math
from fractions import Fraction
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.search.schedulers.decision import Decision
from sweep.search.schedulers.median import MedianStopping
from sweep.vocabulary.record import Status

GO, STOP = Decision.CONTINUE, Decision.STOP


def rule(min_trials: int = 3, grace_period: int = 2) -> MedianStopping:
    return MedianStopping(grace_period=grace_period, max_epochs=10, min_trials=min_trials)


def train(scheduler: MedianStopping, trial_id: str, *curve: float | None) -> list[Decision]:
    return [scheduler.report(trial_id, epochs, value) for epochs, value in enumerate(curve, 1)]


def test_trial_is_stopped_where_its_best_is_below_the_median_of_the_running_means() -> None:
    scheduler = rule()
    # From the 2nd epoch on the means are 0.5, 0.6, 0.7, then 0.6, 0.65, 0.7: median 0.6, then 0.65.
    train(scheduler, "a", 0.9, 0.5, 0.7)
    train(scheduler, "b", 0.9, 0.6, 0.7)
    train(scheduler, "c", 0.9, 0.7, 0.7)
    assert train(scheduler, "at the median", 0.0, 0.6, 0.65) == [GO, GO, GO]
    # Means at the 3rd epoch now: 0.6, 0.625, 0.65, 0.7, of which the middle two have mean 0.6375.
    assert train(scheduler, "below later", 0.0, 0.61, 0.63) == [GO, GO, STOP]
    assert train(scheduler, "below", 1.0, 0.59) == [GO, STOP]


@given(st.lists(st.lists(st.floats(0, 1), min_size=9, max_size=9), min_size=1, max_size=9))
def test_decisions_are_those_of_the_formula(curves: list[list[float]]) -> None:
    scheduler, seen = rule(), list[list[float]]()
    for number, curve in enumerate(curves):
        reported = list[float]()
        for epochs, value in enumerate(curve, start=1):
            decision = scheduler.report(f"t{number}", epochs, value)
            reported.append(value)
            means = [
                float(sum(map(Fraction, other[1:epochs])) / (epochs - 1))
                for other in seen
                if len(other) >= epochs >= 2
            ]
            below = len(means) >= 3 and max(reported[1:]) < median(means)
            assert (decision is STOP) == below
            if below:
                break
        seen.append(reported)


def test_too_few_others_stop_nobody() -> None:
    scheduler = rule(min_trials=3)
    train(scheduler, "a", 0.9, 0.9)
    train(scheduler, "b", 0.9, 0.9)
    assert train(scheduler, "third", 0.0, 0.0) == [GO, GO]
    assert train(scheduler, "fourth", 0.0, 0.0) == [GO, STOP]


def test_best_from_before_the_grace_period_saves_nobody() -> None:
    scheduler = rule(min_trials=1)
    train(scheduler, "a", 0.5, 0.6)
    assert train(scheduler, "fallen", 0.9, 0.5) == [GO, STOP]


def test_last_epoch_is_not_judged() -> None:
    scheduler = MedianStopping(grace_period=1, max_epochs=3, min_trials=1)
    train(scheduler, "a", 0.5, 0.5, 0.9)
    assert train(scheduler, "b", 0.5, 0.5, 0.1) == [GO, GO, GO]


def test_equal_curves_all_continue_whatever_their_sums_round_to() -> None:
    scheduler = rule(min_trials=1, grace_period=1)
    assert sum([0.1] * 3) / 3 > 0.1
    for name in "abcd":
        assert set(train(scheduler, name, *[0.1] * 9)) == {GO}


def test_unmeasured_epoch_leaves_the_mean_as_it_is() -> None:
    scheduler = rule(min_trials=1)
    train(scheduler, "a", 0.5, 0.4, None, 0.6)  # mean 0.5 after 4 epochs
    assert train(scheduler, "b", 0.5, None, None, 0.5) == [GO] * 4
    assert train(scheduler, "c", 0.5, None, None, 0.49) == [GO, GO, GO, STOP]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_value_that_is_not_finite_stops_from_the_grace_period_on(value: float) -> None:
    assert train(rule(), "broken", value, value) == [GO, STOP]


def test_running_means_of_a_diverged_trial_are_forgotten() -> None:
    scheduler = rule(min_trials=1)
    train(scheduler, "diverged", 0.9, 0.99, 0.99)
    scheduler.end("diverged", Status.DIVERGED)
    assert train(scheduler, "healthy", 0.5, 0.5, 0.5) == [GO, GO, GO]
