"""Which configuration is ahead: the unit is the seed on one fold, and the fold on several."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from sweep.analysis.confirm.paired_comparison import (
    PairedComparison,
    Scores,
    interval,
    mean_of,
    units,
)


def on_one_fold(*dice: float) -> Scores:
    return {(seed, 0): value for seed, value in enumerate(dice, 1)}


def on_folds(*rows: tuple[float, ...]) -> Scores:
    """A row a fold, a value a seed."""
    return {
        (seed, fold): value for fold, row in enumerate(rows) for seed, value in enumerate(row, 1)
    }


def test_of_several_folds_each_counts_once_with_the_mean_over_its_seeds() -> None:
    scores = on_folds((0.8, 0.9), (0.7, 0.7), (0.6, 0.8))
    assert units(scores, by_fold=True) == pytest.approx({0: 0.85, 1: 0.7, 2: 0.7})
    assert mean_of(scores, by_fold=True) == pytest.approx(0.75)
    values = [0.85, 0.7, 0.7]
    oracle = stats.t.interval(0.95, 2, loc=0.75, scale=stats.sem(values))
    assert interval(scores, by_fold=True) == pytest.approx(oracle)


def test_runs_that_are_all_the_same_have_no_interval() -> None:
    # Of coarse scores: the mean of three runs with two values lay in their interval in 74 %.
    assert interval(on_one_fold(0.9, 0.9, 0.9), by_fold=False) == pytest.approx(
        (math.nan, math.nan), nan_ok=True
    )


def test_difference_that_only_some_folds_have_is_no_difference_whatever_the_seeds() -> None:
    # Twenty blocks: taken for independent they would be, p = 0.0006; the folds are 5, p = 0.13.
    rng = np.random.default_rng(1)
    gains = (0.05, 0.04, 0.03, 0.0, -0.01)
    second = on_folds(*(tuple(0.8 + rng.normal(0, 0.004, 4)) for _ in gains))
    first = {(seed, fold): value + gains[fold] for (seed, fold), value in second.items()}
    comparison = PairedComparison((first, second), by_fold=True)
    assert comparison.count == 5
    assert stats.ttest_1samp([gains[fold] for _, fold in first], 0).pvalue < 1e-3
    assert stats.ttest_1samp(gains, 0).pvalue == pytest.approx(0.130, abs=0.001)
    assert comparison.winner is None
    assert comparison.letters == ["a", "a"]
    assert PairedComparison((first, second), by_fold=False).winner == 0  # on these folds it is


def test_winner_has_to_beat_each_of_the_others_and_needs_no_correction_for_their_number() -> None:
    third = (0.74, 0.75, 0.76, 0.73, 0.74)
    second = (0.81, 0.80, 0.84, 0.82, 0.83)
    gains = (0.01, 0.03, 0.02, 0.03, 0.0)
    first = tuple(value + gain for value, gain in zip(second, gains, strict=True))
    p = stats.ttest_rel(first, second).pvalue
    assert 0.05 / 2 < p < 0.05  # as one of two comparisons it would not be enough
    comparison = PairedComparison(
        tuple(on_one_fold(*dice) for dice in (first, second, third)), by_fold=False
    )
    assert comparison.winner == 0
    assert comparison.letters == ["a", "b", "c"]


@pytest.mark.parametrize(("folds", "letters"), [(3, ["a", "b", "b"]), (4, ["a", "b", "c"])])
def test_difference_that_is_the_same_on_all_folds_is_no_surer_than_their_number(
    folds: int, letters: list[str]
) -> None:
    # Scores may be coarse: six equal finalists on three folds were told apart in 28 % when such a
    # difference counted as certain.
    scores = tuple(on_folds(*[(dice,)] * folds) for dice in (0.90, 0.88, 0.86))
    comparison = PairedComparison(scores, by_fold=True)
    assert comparison.winner == 0
    assert comparison.letters == letters


def test_one_that_lies_behind_on_the_blocks_that_both_have_is_not_beaten_by_it() -> None:
    """The first has the higher mean only because it lacks the hard seeds."""
    first = {(1, 0): 0.90, (2, 0): 0.90, (3, 0): 0.91}
    second = {(1, 0): 0.95, (2, 0): 0.95, (3, 0): 0.96, (4, 0): 0.1, (5, 0): 0.1}
    assert mean_of(first, by_fold=False) > mean_of(second, by_fold=False)
    comparison = PairedComparison((first, second), by_fold=False)
    assert not comparison.beats(0, 1)
    assert comparison.beats(1, 0)
    assert comparison.winner is None


@pytest.mark.parametrize("by_fold", [False, True])
def test_two_units_say_nothing_however_far_apart_two_configurations_are(by_fold: bool) -> None:
    if by_fold:
        first, second = on_folds((0.9,) * 9, (0.9,) * 9), on_folds((0.1,) * 9, (0.1,) * 9)
    else:
        first, second = on_one_fold(0.9, 0.9), on_one_fold(0.1, 0.1)
    comparison = PairedComparison((first, second), by_fold)
    assert (comparison.count, comparison.is_telling, comparison.winner) == (2, False, None)
    assert (comparison.letters, comparison.p_best()) == (None, None)
    assert all(math.isnan(bound) for bound in interval(first, by_fold=by_fold))


def test_where_all_share_too_few_seeds_nobody_wins_whatever_the_pairs_say() -> None:
    first = on_one_fold(0.9, 0.91, 0.9, 0.91, 0.9, 0.91)
    second = {(seed, 0): 0.5 + 0.001 * seed for seed in (1, 2, 3)}
    third = {(seed, 0): 0.4 + 0.001 * seed for seed in (4, 5, 6)}
    comparison = PairedComparison((first, second, third), by_fold=False)
    assert comparison.beats(0, 1)
    assert comparison.beats(0, 2)
    assert (comparison.count, comparison.winner, comparison.letters) == (0, None, None)


def test_one_alone_has_neither_letter_nor_probability_nor_is_it_the_winner() -> None:
    alone = PairedComparison((on_one_fold(0.8, 0.81, 0.82),), by_fold=False)
    assert (alone.winner, alone.letters, alone.p_best()) == (None, None, None)


@given(data=st.data(), count=st.integers(2, 5), seeds=st.integers(3, 6))
def test_winner_alone_has_its_letter_and_no_winner_means_that_another_has_it_or_lacks_a_test(
    data: st.DataObject, count: int, seeds: int
) -> None:
    values = st.floats(0, 1).map(lambda value: round(value, 2))
    tables = [
        on_one_fold(*data.draw(st.lists(values, min_size=seeds, max_size=seeds)))
        for _ in range(count)
    ]
    tables.sort(key=lambda scores: -mean_of(scores, by_fold=False))
    comparison = PairedComparison(tuple(tables), by_fold=False)
    letters = comparison.letters
    assert letters is not None
    shares = [bool(set(letters[0]) & set(other)) for other in letters[1:]]
    assert (comparison.winner is not None) == (not any(shares))


def test_spread_is_that_of_a_configuration_from_seed_to_seed_without_what_all_share() -> None:
    rng = np.random.default_rng(0)
    shared = rng.normal(0, 0.1, 4000)
    tables = [on_one_fold(*(0.5 + shared + rng.normal(0, 0.01, 4000))) for _ in range(3)]
    assert PairedComparison(tuple(tables), by_fold=False).spread == pytest.approx(0.01, rel=0.03)


def test_false_winners_stay_below_the_level_where_folds_differ_as_much_as_seeds() -> None:
    """Two equals on five seeds of five folds; ``benchmarks/confirmation.py`` has all designs."""
    rng, named, draws = np.random.default_rng(0), 0, 1000
    for _ in range(draws):
        noise = rng.normal(0, 1, (2, 5, 1)) + rng.normal(0, 1, (2, 5, 5))  # [which, fold, seed]
        first, second = sorted((table.mean(), table) for table in noise)[::-1]
        tables = tuple(on_folds(*map(tuple, table)) for _, table in (first, second))
        named += PairedComparison(tables, by_fold=True).winner is not None
    assert named / draws == pytest.approx(0.05, abs=0.02)
