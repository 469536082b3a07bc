"""Tests that are repeated after every block."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from scipy import stats

from sweep.analysis.confirm.paired_statistics import least_p
from sweep.analysis.confirm.race import told_apart
from sweep.analysis.confirm.race_statistics import (
    levels,
    looks,
    overtakes,
    pairwise_t,
    prospect,
    two_sided,
)


def test_of_two_configurations_it_is_students_paired_t_test() -> None:
    table = np.array([[0.90, 0.88], [0.91, 0.86], [0.93, 0.90], [0.92, 0.91]])
    t, freedom = pairwise_t(table)
    oracle = stats.ttest_rel(table[:, 0], table[:, 1])
    assert freedom == oracle.df == 3
    assert t[0, 1] == pytest.approx(oracle.statistic)
    assert t[1, 0] == -t[0, 1]
    assert t[0, 0] == 0
    assert two_sided(t[0, 1], freedom) == pytest.approx(oracle.pvalue)


def test_variance_of_a_pair_leans_on_that_of_all_pairs() -> None:
    # Differences 0–1: 1, 3, 2; 0–2: 2, 2, 5; 1–2: 1, −1, 3. Variances 1, 3, 4, mean 8/3.
    # With 2 degrees of freedom each and 2 borrowed: (8/3 + v) / 2, which is 11/6, 17/6 and 20/6.
    t, freedom = pairwise_t(np.array([[4.0, 3.0, 2.0], [8.0, 5.0, 6.0], [7.0, 5.0, 2.0]]))
    assert freedom == 4
    assert t[0, 1] == pytest.approx(2 / math.sqrt(11 / 6 / 3))
    assert t[0, 2] == pytest.approx(3 / math.sqrt(17 / 6 / 3))
    assert t[1, 2] == pytest.approx(1 / math.sqrt(20 / 6 / 3))
    _, more = pairwise_t(np.random.default_rng(0).standard_normal((6, 4)))
    assert more == 5 + 2


@pytest.mark.parametrize("units", [2, 3, 5])
def test_differences_without_any_spread_are_as_certain_as_coarse_scores_allow(units: int) -> None:
    """Shares of 20 cases: two equal configurations often differ by the same step in every unit."""
    step = np.arange(units)[:, None] / 10 + np.array([0.05, 0.0])
    t, freedom = pairwise_t(step)
    assert t[0, 1] == -t[1, 0] > 0
    assert two_sided(t[0, 1], freedom) == pytest.approx(2 / 4**units)


def test_one_pair_without_spread_is_no_more_certain_for_the_spread_of_others() -> None:
    table = np.array([[0.9, 0.85, 0.85], [0.9, 0.85, 0.85], [0.9, 0.85, 0.8501]])
    t, freedom = pairwise_t(table)
    assert two_sided(t[0, 1], freedom) == pytest.approx(2 / 4**3)


@pytest.mark.parametrize(("planned", "noise"), [(20, 0.0), (5, 5e-5)])
def test_equal_configurations_of_two_kinds_of_runs_are_named_in_five_of_a_hundred_races(
    planned: int, noise: float
) -> None:
    """A difference that was the same in the first three of twenty units, or nearly the same in two
    of five, was taken for certain: 8 and 14 % of races told equal configurations apart."""
    rng = np.random.default_rng(1)
    tables = rng.integers(0, 2, (1500, planned, 2)) / 20
    tables = tables + noise * rng.standard_normal(tables.shape)
    told = sum(
        bool(told_apart([((0, 1), table[:n]) for n in range(1, planned + 1)], planned))
        for table in tables
    )
    assert told / len(tables) < 0.06


def test_two_blocks_have_one_look_at_the_whole_level() -> None:
    first, second = levels(2)
    assert first == 0.0
    assert second == pytest.approx(0.05, abs=0.002)
    assert levels(1) == (0.0,)
    assert levels(3)[:2] == (0.0, 0.0)
    assert levels(3)[2] == pytest.approx(0.05, abs=0.002)


@pytest.mark.parametrize("blocks", [5, 10, 20])
def test_two_equal_configurations_are_ever_told_apart_in_five_of_a_hundred_races(
    blocks: int,
) -> None:
    found, rng = levels(blocks), np.random.default_rng(7)
    assert [n for n, level in enumerate(found, start=1) if level > 0] == looks(blocks)
    assert all(before < after for before, after in pairwise(filter(None, found)))
    assert found[-1] < 0.05
    assert all(level > least_p(n) for n, level in enumerate(found, start=1) if level > 0)
    differences = rng.standard_normal((20_000, blocks))
    told = np.zeros(20_000, bool)
    for done in range(2, blocks + 1):
        told |= stats.ttest_1samp(differences[:, :done], 0, axis=1).pvalue < found[done - 1]
    assert told.mean() == pytest.approx(0.05, abs=0.005)


def test_looks_come_after_all_blocks_a_half_a_quarter_and_so_on_while_anybody_can_be_told() -> None:
    assert [looks(n) for n in (2, 3, 4, 5, 10, 20, 40)] == [
        [2], [3], [4], [4, 5], [4, 5, 10], [5, 10, 20], [6, 10, 20, 40]
    ]  # fmt: skip


def test_levels_are_the_same_in_every_process() -> None:
    before = levels(6)
    levels.cache_clear()
    assert levels(6) == before


def test_chance_to_overtake_is_that_of_a_sample_without_replacement() -> None:
    # Flat prior, two of four blocks: the mean of all four lies around that of the two with
    # √(1 − 2/4) of its standard error.
    assert overtakes(np.array(1.5), 3, 0.5) == pytest.approx(stats.t.cdf(-1.5 * math.sqrt(2), 3))
    assert overtakes(np.array(0.0), 3, 0.5) == 0.5
    assert overtakes(np.array(1.0), 3, 0.99) < overtakes(np.array(1.0), 3, 0.1)


def test_prospect_is_conditional_power_under_the_difference_seen() -> None:
    # z of all blocks is 2 / √0.5 on average, and deviates by √((1 − 0.5) / 0.5) = 1.
    expected = stats.t.cdf(2 / math.sqrt(0.5) - stats.norm.ppf(0.975), 50)
    assert prospect(2.0, 50, 0.5, 0.05) == pytest.approx(expected)
    assert prospect(0.0, 50, 0.5, 0.05) < 0.05 < 0.9 < prospect(4.0, 50, 0.5, 0.05)
