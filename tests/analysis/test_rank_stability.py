"""Ranks over resampled cases, agreement of metrics, and the best of n random trials."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import combinations
from math import comb
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from synthetic import SWEEP_YAML, drawn, results_of, trial, write_sweep

from sweep.analysis.figures.sweep_results import Results, read_results
from sweep.analysis.resampling.case_scores import scores_on_validation
from sweep.analysis.resampling.expected_best import (
    expected_best,
    expected_maximum,
    quantiles_of_maximum,
)
from sweep.analysis.resampling.metric_agreement import metric_agreement
from sweep.analysis.resampling.rank_bootstrap import RankBootstrap, kendall, ranks
from sweep.analysis.resampling.rank_stability import rank_stability
from sweep.store.case_table import write_cases
from sweep.vocabulary.class_scores import ClassScore
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.record import CaseScore, Status, TrialRecord

CASES = 24


def noisy(cases: int, *levels: float) -> np.ndarray:
    rng = np.random.default_rng(5)
    hard = rng.normal(0, 0.1, (cases, 1))
    return np.array(levels) + hard + rng.normal(0, 0.02, (cases, len(levels)))


def with_cases(folder: Path, table: np.ndarray, classes: int = 1, each: int = 0) -> Results:
    """A sweep whose trials have these Dice on their validation cases, in each class.

    Args:
        each: cases of a group; 0: nothing is grouped.
    """
    records = [trial(n, Status.COMPLETED, [float(m)]) for n, m in enumerate(table.mean(axis=0))]
    write_sweep(folder, records)
    for number, column in enumerate(table.T):
        rows = [
            ClassScore(
                case=f"c{case:02d}",
                label=f"class {label}",
                n_reference=9,
                n_prediction=9,
                values={"dice": float(dice), "hd95": 10 * (1 - float(dice)), "nsd": None},
                group=f"p{case // each}" if each else None,
            )
            for case, dice in enumerate(column)
            for label in range(classes)
        ]
        write_cases(folder / "trials" / f"t{number:04d}" / "cases.csv", rows)
    return read_results(folder)


def test_trials_with_the_same_scores_on_other_cases_have_equal_means() -> None:
    scores = np.random.default_rng(14).random(CASES).round(3)
    table = np.column_stack([scores, np.sort(scores)])
    assert table.mean(axis=0)[0] < table.mean(axis=0)[1]  # by rounding
    assert RankBootstrap(table).means.argmax() == 0


def test_trial_that_is_ahead_on_every_case_is_first_in_every_draw() -> None:
    base = noisy(CASES, 0.8)
    found = RankBootstrap(np.hstack([base, base + 0.01, base - 0.01]))
    assert found.frequencies.tolist() == [[0, 1, 0], [1, 0, 0], [0, 0, 1]]
    assert found.taus.tolist() == pytest.approx([1.0] * found.draws)
    assert [found.interval(n) for n in range(3)] == [(2, 2), (1, 1), (3, 3)]


def test_groups_are_drawn_as_a_whole() -> None:
    table = noisy(CASES, 0.8, 0.81)
    groups = [f"p{case % 6}" for case in range(CASES)]
    found = RankBootstrap(table, groups=groups)
    means = np.array([table[n::6].mean(axis=0) for n in range(6)])  # all have four cases
    np.testing.assert_allclose(found.drawn, RankBootstrap(means).drawn)
    alone = RankBootstrap(table, groups=[f"{case:02d}" for case in range(CASES)])
    np.testing.assert_array_equal(alone.drawn, RankBootstrap(table).drawn)


def test_draws_of_groups_of_unlike_size_are_means_over_their_cases() -> None:
    table, groups = np.array([[0.0, 1.0], [0.0, 1.0], [1.0, 0.0]]), ["a", "a", "b"]
    found = RankBootstrap(table, groups=groups)
    assert {tuple(row) for row in found.drawn.tolist()} == {(0, 1), (1 / 3, 2 / 3), (1, 0)}


@pytest.mark.parametrize(("each", "told"), [
    (1, "In 100 % of the draws from 24 validation cases of 24 groups, which chose these trials,"
        " t0000 is first: its place is steady."),
    (2, "In 100 % of the draws from 24 validation cases of 12 groups, which chose these trials,"
        " t0000 is first. 12 groups are too few to call a place steady: it takes 20."),
    (6, "4 groups of validation cases are too few to resample: it takes 5."),
])  # fmt: skip
def test_rank_is_steady_over_enough_groups(each: int, told: str, tmp_path: Path) -> None:
    results = with_cases(tmp_path / "x", noisy(CASES, 0.85, 0.8), each=each)
    assert rank_stability(results).finding == told


def test_equal_trials_share_the_best_rank_in_every_draw() -> None:
    base = noisy(CASES, 0.8)
    found = RankBootstrap(np.hstack([base, base]))
    assert found.frequencies.tolist() == [[1, 0], [1, 0]]
    assert np.isnan(found.taus).all()


def test_share_of_first_places_is_that_of_the_normal_law() -> None:
    """Of two trials the first stays first in Φ(mean / standard error) of the draws."""
    from scipy.stats import norm

    table = noisy(400, 0.8005, 0.8)
    differences = table[:, 0] - table[:, 1]
    share = norm.cdf(abs(differences.mean()) / (differences.std() / 20))
    first = int(differences.mean() < 0)
    found = RankBootstrap(table, draws=20_000)
    assert found.frequencies[first, 0] == pytest.approx(share, abs=0.01)


def test_draws_depend_on_the_seed_alone() -> None:
    table = noisy(CASES, 0.8, 0.81, 0.79)
    assert (RankBootstrap(table).ranks == RankBootstrap(table.copy()).ranks).all()
    assert (RankBootstrap(table).ranks != RankBootstrap(table, seed=1).ranks).any()


@given(st.lists(st.integers(0, 5), min_size=2, max_size=8))
def test_ranks_are_one_more_than_the_number_of_better_ones(scores: list[int]) -> None:
    expected = [1 + sum(other > own for other in scores) for own in scores]
    assert ranks(np.array(scores, float)).tolist() == expected


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=2, max_size=9))
def test_kendall_is_that_of_scipy_with_ties_too(pairs: list[tuple[int, int]]) -> None:
    from scipy.stats import kendalltau

    one, other = np.array(pairs, float).T
    assert kendall(one, other) == pytest.approx(kendalltau(one, other).statistic, nan_ok=True)
    many = kendall(one, np.stack([other, one]))
    assert many == pytest.approx([kendall(one, other), kendall(one, one)], nan_ok=True)


def test_kendall_is_the_share_of_pairs_in_order_less_that_in_disorder() -> None:
    one, other = np.array([1.0, 2, 3, 4, 5]), np.array([1.0, 3, 2, 5, 4])
    signs = [
        np.sign((one[i] - one[j]) * (other[i] - other[j])) for i, j in combinations(range(5), 2)
    ]
    assert kendall(one, other) == pytest.approx(float(np.mean(signs))) == pytest.approx(0.6)


def test_validation_cases_are_means_over_classes_of_the_first_trials(tmp_path: Path) -> None:
    table = noisy(CASES, *np.linspace(0.6, 0.9, 12))
    results = with_cases(tmp_path / "x", table, classes=2)
    found = scores_on_validation(results)
    assert found is not None
    assert found.trials == tuple(results.frame["trial_id"].head(10))
    order = [int(one[1:]) for one in found.trials]
    assert found.scores["dice"] == pytest.approx(table[:, order])
    assert found.scores["hd95"] == pytest.approx(-10 * (1 - table[:, order]))
    assert "nsd" not in found.scores


def test_validation_says_that_its_cases_chose_the_trials(tmp_path: Path) -> None:
    found = rank_stability(with_cases(tmp_path / "x", noisy(CASES, 0.8, 0.805, 0.7)))
    assert found.figure is not None
    assert found.finding.startswith(
        "In 100 % of the draws from 24 validation cases, which chose these trials, t0001 is first"
    )
    assert "Kendall's τ between the ranking of all cases and that of a draw is" in found.finding


def test_trials_with_the_same_scores_are_first_together(tmp_path: Path) -> None:
    base = noisy(CASES, 0.8)
    found = rank_stability(with_cases(tmp_path / "x", np.hstack([base, base, base - 0.1])))
    assert "t0000 and t0001 are together first: their place is steady; Kend" in found.finding


def test_too_few_cases_are_not_resampled(tmp_path: Path) -> None:
    found = rank_stability(with_cases(tmp_path / "x", noisy(19, 0.8, 0.7)))
    assert found.figure is None
    assert found.finding == "19 validation cases are too few to resample: it takes 20."
    assert rank_stability(results_of(drawn(1))).finding.startswith("Nothing to resample")


def test_finalists_are_resampled_on_the_test_cases_that_all_of_them_have() -> None:
    table = noisy(CASES, 0.8, 0.9)
    records = [
        replace(
            trial(n, Status.COMPLETED, [0.9 - n / 10]),
            test=tuple(
                CaseScore(case=f"c{case:02d}", dice=float(dice), hd95=2.0)
                for case, dice in enumerate(column)
                if case or n  # the first lacks a case
            ),
        )
        for n, column in enumerate(table.T)
    ]
    found = rank_stability(results_of(*records))
    assert found.finding == (
        "In 100 % of the draws from 23 test cases, t0001 is first: its place is steady."
        " Left out: 1 case without a value of each."
    )


def measured(number: int, dice: float, hd95: float, nsd: float) -> TrialRecord:
    epoch = EpochMetrics(epoch=0, val_dice=dice, metrics={"hd95": hd95, "nsd": nsd})
    return replace(trial(number, Status.COMPLETED, []), history=(epoch,))


def test_metrics_that_order_trials_alike_have_a_tau_of_one_whatever_their_direction() -> None:
    records = [measured(n, 0.5 + n / 100, 9 - n, (n * 3) % 7 / 10) for n in range(6)]
    found = metric_agreement(results_of(*records))
    nsd = float(kendall(np.arange(6.0), np.array([(n * 3) % 7 for n in range(6)], float)))
    assert f"Dice and NSD {nsd:.2f}".replace("-", "−") in found.finding
    assert "Dice and HD95 1.00" in found.finding
    assert "First is t0005 by Dice, t0002 by NSD and t0005 by HD95." in found.finding
    assert found.figure is not None
    assert {trace.meta["trial"] for trace in found.figure.data} == {r.trial_id for r in records}


def test_agreement_needs_two_metrics_and_five_trials() -> None:
    few = metric_agreement(results_of(*(measured(n, 0.5 + n / 10, 3, 1) for n in range(4))))
    assert few.finding.startswith("4 trials with different Dice, NSD and HD95 are too few")
    # Six trials that are two runs: their one pair would give a τ of 1.
    same = [measured(0, 0.9, 3, 1), *(measured(n, 0.8, 4, 0.5) for n in range(1, 6))]
    assert metric_agreement(results_of(*same)).finding.startswith("2 trials with different Dice")
    one = trial(0, Status.COMPLETED, [0.5])
    assert metric_agreement(results_of(one)).finding.startswith("Only one metric")
    assert metric_agreement(results_of(trial(1, None, [0.5]))).finding == "No trial has a result."


@pytest.mark.parametrize("scores", [[0.1, 0.5, 0.2, 0.9], [0.3, 0.3, 0.7, 0.1, 0.4]])
def test_expected_best_is_the_mean_over_all_choices(scores: list[float]) -> None:
    every = [[max(one) for one in combinations(scores, n + 1)] for n in range(len(scores))]
    sizes = range(1, len(scores) + 1)
    assert expected_maximum(scores, sizes) == pytest.approx([np.mean(best) for best in every])
    medians = [sorted(best)[(len(best) - 1) // 2] for best in every]
    assert quantiles_of_maximum(scores, sizes, 0.5) == pytest.approx(medians)
    assert [len(best) for best in every] == [comb(len(scores), n + 1) for n in range(len(scores))]


def test_expected_best_of_many_trials_is_the_best_of_all() -> None:
    scores = np.random.default_rng(0).normal(size=2000)
    assert expected_maximum(list(scores), [2000]) == pytest.approx([scores.max()])


def test_only_random_search_tells_what_fewer_trials_would_have_found() -> None:
    records = [trial(n, Status.COMPLETED, [0.5 + n / 100]) for n in range(10)]
    learning = expected_best(results_of(*records))
    assert learning.figure is None
    assert "The trials of `tpe` depend on each other" in learning.finding
    random = SWEEP_YAML + "searcher: random\n"
    found = expected_best(results_of(*records, yaml=random))
    assert found.finding == (
        "Of 10 random trials, one has a mean validation Dice of 0.5450, the best of 5 0.5817 on"
        " average, and the best of all 0.5900."
    )
    assert found.figure is not None
    assert expected_best(results_of(*records[:7], yaml=random)).figure is None


def test_trials_that_a_prior_drew_do_not_tell_what_fewer_would_have_found() -> None:
    records = [trial(n, Status.COMPLETED, [0.5 + n / 100]) for n in range(10)]
    likely = "compactness: {{loguniform: [1.0e-3, 1.0], prior: 0.01}}"
    yaml = re.sub(r"compactness: .*", likely, SWEEP_YAML) + "searcher: random\n"
    found = expected_best(results_of(*records, yaml=yaml))
    assert found.figure is None
    assert "a sweep with a `prior`" in found.finding


def test_diverged_trials_count_as_the_worst_and_presets_do_not_count() -> None:
    random = SWEEP_YAML + "searcher: random\n"
    known = [trial(n, Status.COMPLETED, [0.5 + n / 100]) for n in range(7)]
    lost = replace(drawn(8), outcome=known[0].outcome, history=())
    diverged = trial(9, Status.DIVERGED, [0.99])
    preset = trial(10, Status.COMPLETED, [0.99], preset="baseline")
    found = expected_best(results_of(*known, lost, diverged, preset, yaml=random))
    mean = (sum(0.5 + n / 100 for n in range(7)) + 2 * 0.5) / 9
    assert f"Of 9 random trials, one has a mean validation Dice of {mean:.4f}" in found.finding
