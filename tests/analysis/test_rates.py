"""The probability of divergence against populations whose hazard is known.

The cells are a part of `benchmarks/risk.py`, with the same seeds.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.analysis.divergence_rates import Exposure, hazards, rate_of

CONSTANT = 0.03
FIRST = 0.3


def sweep_of(rng: np.random.Generator, trials: int, hazard: float, spread: int) -> list[Exposure]:
    """Trials with a hazard in the first ``spread`` of 40 epochs, two in three pruned after 4."""
    found = []
    for _ in range(trials):
        fell = np.flatnonzero(rng.random(spread) < hazard)
        died = int(fell[0]) + 1 if len(fell) else 99
        pruned = 4 if rng.random() < 2 / 3 else 40
        found.append(Exposure(min(died, pruned), 40, diverged=died <= pruned))
    return found


@pytest.mark.parametrize("trials", [8, 40])
@pytest.mark.parametrize(
    ("hazard", "spread", "truth"),
    [(CONSTANT, 40, 1 - 0.97**40), (FIRST, 1, 0.3), (0.0, 1, 0.0)],
    ids=["3 % in each epoch", "30 % in the first", "never"],
)
def test_interval_holds_the_truth_although_two_of_three_are_pruned(
    hazard: float, spread: int, truth: float, trials: int
) -> None:
    rng = np.random.default_rng(trials)
    rates = [rate_of(sweep_of(rng, trials, hazard, spread)) for _ in range(200)]
    held = np.mean([rate.interval[0] <= truth <= rate.interval[1] for rate in rates])
    assert held >= 0.87
    assert np.mean([rate.mean for rate in rates]) == pytest.approx(truth, abs=0.25)
    if trials == 40:
        assert np.mean([rate.mean for rate in rates]) == pytest.approx(truth, abs=0.06)


def test_interval_of_the_most_of_eight_equal_rates_holds_only_if_it_allows_for_the_choice() -> None:
    rng, held, alone = np.random.default_rng(4), 0, 0
    for _ in range(400):
        counts = rng.binomial(8, 0.3, 8)
        worst = [Exposure(1, 30, diverged=True)] * int(counts.max())
        worst += [Exposure(30, 30, diverged=False)] * (8 - len(worst))
        bounds = [rate_of(worst, among=k).interval for k in (8, 1)]
        held, alone = held + (bounds[0][0] <= 0.3), alone + (bounds[1][0] <= 0.3)
    assert held >= 0.9 * 400
    assert alone <= 0.75 * 400


@given(
    st.lists(
        st.tuples(st.integers(1, 12), st.integers(0, 12), st.booleans()), min_size=1, max_size=12
    )
)
def test_estimate_lies_in_its_interval_and_knows_no_order(
    told: list[tuple[int, int, bool]],
) -> None:
    exposures = [Exposure(epochs, epochs + more, fell) for epochs, more, fell in told]
    rate = rate_of(exposures)
    assert 0 < rate.mean < 1
    assert 0 <= rate.interval[0] < rate.interval[1] <= 1
    assert rate_of(exposures[::-1]) == rate
    diverged, at_risk = hazards(exposures)
    assert diverged.sum() == rate.diverged
    assert at_risk.sum() == rate.observed
    assert at_risk[0] == rate.trials


@given(st.integers(1, 30), st.data())
def test_nobody_cut_short_leaves_jeffreys_whenever_they_diverged(
    trials: int, data: st.DataObject
) -> None:
    fell = data.draw(st.lists(st.integers(1, 9), max_size=trials))
    exposures = [Exposure(epoch, 9, diverged=True) for epoch in fell]
    exposures += [Exposure(9, 9, diverged=False)] * (trials - len(fell))
    assert rate_of(exposures).mean == pytest.approx((len(fell) + 0.5) / (trials + 1))


def test_longer_observation_without_a_divergence_lowers_the_estimate() -> None:
    means = [rate_of([Exposure(epochs, 40, diverged=False)] * 6).mean for epochs in range(1, 41)]
    assert means == sorted(means, reverse=True)
    assert means[-1] == pytest.approx(0.5 / 7)
