"""The statistics, against SciPy, closed forms and laws."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from sweep.analysis.confirm.paired_statistics import (
    groups,
    holm,
    mean_interval,
    most_unseen,
    paired_p,
    probability_best,
    two_kinds,
)

A = [0.91, 0.93, 0.90, 0.95, 0.92]
B = [0.90, 0.91, 0.90, 0.92, 0.93]


def test_interval_of_the_mean_is_students() -> None:
    sem = stats.sem(A)
    expected = stats.t.interval(0.95, 4, loc=np.mean(A), scale=sem)
    assert mean_interval(A) == pytest.approx(expected, rel=1e-12)
    # By hand: mean 0.922, s = 0.0192354, t(0.975, 4) = 2.776445.
    assert mean_interval(A) == pytest.approx((0.898116, 0.945884), abs=1e-6)


def test_interval_of_the_highest_of_six_equal_ones_holds_where_students_own_does_not() -> None:
    values = np.random.default_rng(3).standard_normal((2000, 5, 6))  # of the mean 0
    held, alone = _holds_zero(values)
    assert held >= 0.94
    assert alone <= 0.91


def test_interval_of_the_highest_holds_at_a_ceiling_too() -> None:
    """The first of equal ones at a ceiling has few bad runs and little spread of its own."""
    below = np.minimum(-0.43, np.random.default_rng(4).standard_normal((500, 10, 6)))
    held, alone = _holds_zero(below - np.mean(below))
    assert held >= 0.94
    assert alone <= 0.45


def _holds_zero(values: NDArray[np.float64]) -> tuple[float, float]:
    """Share of intervals of the highest that hold 0: allowing for that, and Student's own."""
    both = []
    for table in values:
        own = table[:, table.mean(axis=0).argmax()].tolist()
        if len({*own}) > 1:
            both.append([mean_interval(own, among=table.T.tolist()), mean_interval(own)])
    ends = np.array(both)
    held, alone = ((ends[:, :, 0] <= 0) & (ends[:, :, 1] >= 0)).mean(axis=0)
    return float(held), float(alone)


def test_interval_of_the_highest_reaches_further_down_alone() -> None:
    first = stats.t(4, loc=np.mean(A), scale=stats.sem(A))
    expected = pytest.approx((first.ppf(0.05 / 6), first.ppf(0.975)))
    assert mean_interval(A, among=[A] * 6) == expected
    # One that is noisier changes nothing.
    assert mean_interval(A, among=[A] * 5 + [[0.1, 0.9, 0.1]]) == expected


def test_lower_end_of_the_highest_is_by_the_median_variance_of_all_where_its_own_is_small() -> None:
    first, others = [0.98, 0.981, 0.98], [[0.9, 0.95, 0.97], [0.8, 0.9, 0.85]]
    low, high = mean_interval(first, among=[first, *others])
    typical = float(np.std(others[0], ddof=1))  # the middle one of the three
    assert low == pytest.approx(np.mean(first) - stats.t.ppf(1 - 0.05 / 3, 6) * typical / 3**0.5)
    assert high == pytest.approx(mean_interval(first)[1])


def test_one_value_has_no_interval() -> None:
    assert all(math.isnan(bound) for bound in mean_interval([0.9]))


def test_most_that_none_of_n_leaves_room_for_is_clopper_and_pearsons() -> None:
    for n in (1, 3, 5, 20):
        oracle = stats.binomtest(0, n, alternative="less").proportion_ci(0.95).high
        assert most_unseen(n) == pytest.approx(oracle)
        of_six = stats.binomtest(0, n, alternative="less").proportion_ci(1 - 0.05 / 6).high
        assert most_unseen(n, highest_of=6) == pytest.approx(of_six)


def test_values_with_a_wide_gap_are_of_two_kinds_the_rarer_first() -> None:
    assert two_kinds([0.90, 0.60, 0.91, 0.905]) == ([0.60], [0.90, 0.905, 0.91])
    assert two_kinds([0.1, 0.9, 0.11, 0.12]) == ([0.9], [0.1, 0.11, 0.12])
    assert two_kinds([0.9, 0.91, 0.5, 0.51]) == ([0.5, 0.51], [0.9, 0.91])


@pytest.mark.parametrize(
    "values",
    [
        [],
        [0.9, 0.1],  # two
        [0.9, 0.9, 0.9],
        [0.900, 0.901, 0.930],  # a gap of 3 % is too small to be another kind
        [0.60, 0.70, 0.80, 0.90],  # as wide as what it parts
    ],
)
def test_values_without_a_wide_gap_are_of_one_kind(values: list[float]) -> None:
    assert two_kinds(values) is None


@given(values=st.lists(st.floats(0, 1), max_size=8))
def test_kinds_hold_all_values_do_not_overlap_and_are_mirrored(values: list[float]) -> None:
    found, mirrored = two_kinds(values), two_kinds([-value for value in values])
    assert (found is None) == (mirrored is None)
    if found is not None and mirrored is not None:
        rare, others = found
        assert len(rare) <= len(others)
        assert sorted([*rare, *others]) == sorted(values)
        assert max(rare) < min(others) or max(others) < min(rare)


def test_paired_test_is_scipys() -> None:
    differences = [a - b for a, b in zip(A, B, strict=True)]
    assert paired_p(differences) == pytest.approx(stats.ttest_rel(A, B).pvalue, rel=1e-9)


@pytest.mark.parametrize(
    ("differences", "p"),
    [([], 1.0), ([0.5], 1.0), ([0.0, 1e-17], 1.0), ([0.1, 0.1, 0.1], 1 / 32),
     ([0.1, 0.1001, 0.1], 1 / 32)],
)  # fmt: skip
def test_differences_without_a_spread_are_told_by_their_number_alone(
    differences: list[float], p: float
) -> None:
    assert paired_p(differences) == p


def test_holm_is_the_textbook_example() -> None:
    # statsmodels 0.14.1, multipletests(method="holm")
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


@given(p=st.lists(st.floats(0, 1), max_size=8))
def test_holm_never_lowers_a_p_and_keeps_their_order(p: list[float]) -> None:
    adjusted = holm(p)
    assert all(old <= new <= 1 for old, new in zip(p, adjusted, strict=True))
    for (p1, a1), (p2, a2) in combinations(zip(p, adjusted, strict=True), 2):
        assert not (p1 < p2 and a1 > a2)


def test_every_row_of_differences_has_its_own_p() -> None:
    rows = np.array([[0.1, 0.2, 0.3], [0.0, 0.0, 0.0], [0.1, 0.1, 0.1]])
    first = pytest.approx(stats.ttest_1samp(rows[0], 0).pvalue)
    assert list(paired_p(rows)) == [first, 1.0, 1 / 32]


def test_probability_of_being_best_is_that_of_its_model_integrated_by_brute_force() -> None:
    """Two configurations: with d = x̄(1) − x̄(2) and s² of the differences over 2,
    d | τ, σ ~ N(0, 2 (τ² + σ²/n)), P(μ1 > μ2) = Φ(kept · d / √(2 kept σ²/n)), on a fine grid.
    """
    table, n = np.array([A, B]).T, 5
    difference = np.array(A) - np.array(B)
    d, within = difference.mean(), difference.var(ddof=1) * (n - 1) / 2
    tau, sigma = np.meshgrid(np.geomspace(1e-4, 10, 700), np.geomspace(1e-3, 1, 700))
    t3 = (1 + (tau / sigma / 0.5) ** 2 / 3) ** -2 / sigma  # density of τ, given σ
    spread = 2 * (tau**2 + sigma**2 / n)
    likelihood = sigma ** -(n - 1) * np.exp(-within / (2 * sigma**2))
    likelihood *= spread**-0.5 * np.exp(-(d**2) / (2 * spread))
    weight = t3 * likelihood * tau  # dτ of the grid; dσ/σ is its own
    kept = tau**2 / (tau**2 + sigma**2 / n)
    right = stats.norm.cdf(np.sqrt(kept) * d / np.sqrt(2 * sigma**2 / n))
    expected = float((weight * right).sum() / weight.sum())
    first, second = probability_best(table, draws=200_000)
    assert first == pytest.approx(expected, abs=0.004)
    assert first + second == pytest.approx(1)
    assert first < 1 - stats.ttest_rel(A, B).pvalue / 2  # which a flat prior would say
    assert probability_best(table) == probability_best(table)


def test_equals_share_the_probability_and_one_alone_is_best() -> None:
    assert probability_best(np.array([A, A]).T) == pytest.approx([0.5, 0.5], abs=0.02)
    assert probability_best(np.array([A]).T) == [1.0]


def test_noisier_of_two_leaders_is_less_surely_best() -> None:
    steady = np.array([0.010, -0.010, 0.008, -0.008, 0.0])
    others = [0.80 + steady[[3, 0, 4, 1, 2]], 0.80 - steady, 0.80 + steady[[2, 4, 1, 0, 3]]]
    calm = probability_best(np.array([0.82 + steady, *others]).T)[0]
    noisy = probability_best(np.array([0.82 + 6 * steady, *others]).T)[0]
    assert calm > noisy + 0.1


def test_letters_of_a_chain_overlap() -> None:
    # a and c differ, b differs from neither.
    assert groups(3, {(0, 2)}) == ["a", "ab", "b"]
    assert groups(3, set()) == ["a", "a", "a"]
    assert groups(2, {(0, 1)}) == ["a", "b"]


@given(data=st.data(), count=st.integers(0, 7))
def test_two_share_a_letter_exactly_if_they_do_not_differ(data: st.DataObject, count: int) -> None:
    pairs = list(combinations(range(count), 2))
    differ = {pair for pair in pairs if data.draw(st.booleans())}
    letters = groups(count, differ)
    assert all(letters)
    for i, j in pairs:
        assert bool(set(letters[i]) & set(letters[j])) == ((i, j) not in differ)


def test_probability_of_being_best_is_as_often_right_as_it_says() -> None:
    """Six finalists on five seeds that differ by a quarter, half and all of the noise; a flat prior
    says 0.63 and is right in 0.55. ``benchmarks/confirmation.py`` has all populations.
    """
    rng, said, right = np.random.default_rng(3), [], []
    for spread in [0.25, 0.5, 1.0] * 250:
        means = spread * rng.standard_normal(6)
        p = probability_best(means + rng.standard_normal((5, 6)), draws=500)
        said.append(max(p))
        right.append(p.index(max(p)) == means.argmax())
    assert float(np.mean(said)) == pytest.approx(float(np.mean(right)), abs=0.06)
