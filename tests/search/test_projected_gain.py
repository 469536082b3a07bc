"""What a trial promises over the baseline."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from sweep.search.schedulers.projected_gain import noise_of, projected_gain

NAN = math.nan
curves = st.lists(st.floats(0, 1), min_size=5, max_size=40)


def promised(
    values: Sequence[float], control: Sequence[float], full_from: int, noise: float
) -> float:
    return projected_gain(np.array(values), np.array(control), full_from, noise)


def by_the_book(
    values: Sequence[float], control: Sequence[float], full_from: int, noise: float
) -> float:
    """The oracle: the rule as it is written down, with SciPy's regression."""
    gain = max(values) - max(control)
    since = [v - c for v, c in zip(values, control, strict=True)][full_from:]
    recent = statistics.mean(max(d, -noise) for d in since[len(since) // 2 :])
    rise = 0.0
    if len(since) > 2:
        line = stats.linregress(range(len(since)), since)
        rise = max(0.0, line.slope - line.stderr) * len(since) / 2
    return (2 * gain + recent) / 3 + min(statistics.pstdev(since) + rise, 3 * noise)


@given(curves, st.data())
def test_score_is_level_plus_potential(values: list[float], data: st.DataObject) -> None:
    control = data.draw(st.lists(st.floats(0, 1), min_size=len(values), max_size=len(values)))
    full_from = data.draw(st.integers(0, len(values) - 1))
    noise = data.draw(st.floats(0, 0.1))
    expected = by_the_book(values, control, full_from, noise)
    assert promised(values, control, full_from, noise) == pytest.approx(expected, abs=1e-7)


def test_score_of_a_small_example_by_hand() -> None:
    """Differences 0, 0.02, 0.04: on a line of slope 0.02, so of no error, whose mean is 0.02."""
    score = promised([0.5, 0.5, 0.52, 0.54], [0.5] * 4, 1, 0.1)
    gain, recent, spread, trend = 0.04, 0.03, 0.02 * math.sqrt(2 / 3), 0.02 * 3 / 2
    assert score == pytest.approx((2 * gain + recent) / 3 + spread + trend)


def test_one_that_changes_nothing_promises_nothing() -> None:
    assert promised([0.3, 0.4, 0.5, 0.45], [0.3, 0.4, 0.5, 0.45], 1, 0.02) == 0


def test_one_that_dipped_and_comes_back_is_preferred_to_one_that_changes_nothing() -> None:
    control = [0.5] * 10
    back = promised([0.5] * 4 + [0.47, 0.46, 0.47, 0.48, 0.49, 0.5], control, 4, 0.01)
    assert back > promised(control, control, 4, 0.01)


@pytest.mark.parametrize(
    "damaged",
    [
        [0.1, 0.45, 0.2, 0.4, 0.05, 0.3],  # scatters
        [0.45, 0.4, 0.35, 0.3, 0.25, 0.2],  # falls
        [0.1, 0.15, 0.2, 0.25, 0.28, 0.3],  # recovers from ruin
        [0.2, 0.2, 0.2, 0.2, 0.2, 0.2],  # stays below
    ],
    ids=["scatters", "falls", "recovers", "stays"],
)
def test_damage_is_no_promise(damaged: list[float]) -> None:
    """Its best is of before, so its gain is 0: only the bound by the noise holds it down."""
    control, noise = [0.5] * 10, 0.004
    healthy = [0.51, 0.505, 0.515, 0.51, 0.512, 0.508]
    assert promised([0.5] * 4 + damaged, control, 4, noise) < promised(
        [0.5] * 4 + healthy, control, 4, noise
    )


@given(curves, st.integers(0, 4), st.floats(0.01, 0.9))
def test_how_deep_a_trial_has_fallen_changes_its_score_by_the_noise_alone(
    control: list[float], full_from: int, depth: float
) -> None:
    noise = 0.005
    best = max(control[:full_from], default=-1.0)
    fallen = [*control[:full_from], *(min(c, best) - depth for c in control[full_from:])]
    if full_from:
        gain = best - max(control)
        bound = (2 * gain - noise) / 3 + 3 * noise
        assert promised(fallen, control, full_from, noise) <= bound + 1e-12


@given(curves, st.data(), st.sampled_from([1e-3, 100.0]), st.floats(-50, 50))
def test_order_does_not_depend_on_the_unit_or_the_zero_of_the_metric(
    values: list[float], data: st.DataObject, unit: float, zero: float
) -> None:
    control = data.draw(st.lists(st.floats(0, 1), min_size=len(values), max_size=len(values)))
    full_from = data.draw(st.integers(0, len(values) - 1))

    def scored(scale: float, shift: float) -> float:
        own, others = (shift + scale * np.array(each) for each in (values, control))
        return projected_gain(own, others, full_from, noise_of(others))

    assert scored(unit, zero) == pytest.approx(unit * scored(1, 0), abs=1e-6 * max(unit, 1))


def test_epochs_without_a_measurement_are_passed_over() -> None:
    """Differences 0.02, unknown, unknown, 0.04 after the first epoch."""
    score = promised([0.5, 0.52, NAN, 0.54, 0.54], [0.5, 0.5, 0.5, NAN, 0.5], 1, 0.1)
    assert score == pytest.approx((2 * 0.04 + 0.04) / 3 + 0.01)


def test_without_any_difference_since_it_acts_in_full_the_gain_is_all_that_is_known() -> None:
    assert promised([0.5, 0.6, NAN, NAN], [0.5] * 4, 2, 0.1) == pytest.approx(0.1)


def test_without_a_baseline_the_best_is_all_that_is_known() -> None:
    assert promised([-3.0, -2.0], [NAN, NAN], 1, 0.0) == -2.0


def test_trial_that_was_never_measured_has_no_score() -> None:
    assert math.isnan(promised([NAN, NAN], [0.5, 0.5], 1, 0.1))


def test_noise_is_what_was_added_to_a_trend() -> None:
    """Normal noise on a line: the estimate from 400 epochs is within a tenth of it."""
    line = np.linspace(0, 1, 800)
    noisy = line + np.random.default_rng(0).normal(0, 0.03, len(line))
    assert noise_of(noisy) == pytest.approx(0.03, rel=0.1)
    assert noise_of(line) == pytest.approx(0, abs=1e-12)


def test_noise_of_few_epochs_is_nothing() -> None:
    assert noise_of(np.array([])) == noise_of(np.array([0.5, NAN, 0.6])) == 0
