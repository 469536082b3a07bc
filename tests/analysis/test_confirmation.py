"""What the replicates say of the finalists."""

from __future__ import annotations

import json
import math
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from finalists import CLEAR, TIE, finalist, replicate
from scipy import stats
from synthetic import COMPACTNESS, diverged_at, trial, write_sweep

from sweep.analysis.confirm.confirmation import confirmation
from sweep.analysis.ranking.ranking_frame import (
    ranking,
    ranking_frame,
    ranking_json,
    winner,
    write_ranking,
)
from sweep.vocabulary.record import Outcome, Status

FAILED = Outcome(status=Status.FAILED, cause="OSError: no")


def test_winner_is_who_beats_all_others_whatever_the_search_had_measured() -> None:
    found = confirmation(CLEAR)
    assert found is not None
    assert found.winner is not None
    assert found.winner.trial_id == "t0001"
    first, second = found.finalists
    assert first.mean == pytest.approx(0.90875)
    assert (first.group, second.group) == ("a", "b")
    assert first.p_best == pytest.approx(1, abs=0.02)


def test_nobody_is_called_best_who_cannot_be_told_apart_and_the_cheapest_is_named() -> None:
    found = confirmation(TIE)
    assert found is not None
    assert found.winner is None
    assert [one.trial_id for one in found.tied] == ["t0000", "t0001"]
    assert [one.group for one in found.finalists] == ["a", "a", "b"]
    assert found.cheapest.trial_id == "t0001"
    shares = [one.p_best or 0.0 for one in found.finalists]
    assert sum(shares) == pytest.approx(1)
    assert shares[2] < 0.01
    assert 0.3 < shares[1] < shares[0]


def test_who_diverged_loses_against_who_never_did_whatever_its_mean_over_the_others() -> None:
    records = [
        *finalist(0, 0.99, 0.95, 0.96, 0.95, 0.96),
        replicate(0, 5, 0.9, diverged_at(1)),
        *finalist(1, 0.9, 0.60, 0.70, 0.80, 0.71, 0.72),
    ]
    found = confirmation(records)
    assert found is not None
    first, last = found.finalists
    assert (first.trial_id, first.diverged) == ("t0001", 0)
    assert (last.trial_id, last.diverged, len(last.scores)) == ("t0000", 1, 4)
    assert last.mean == pytest.approx(0.955)  # of those that ended: no Dice of 0 among them
    assert last.epochs == 3  # of those that have a model
    assert (last.p_best, last.group) == (None, None)
    assert (found.compared, found.behind) == ((first,), (last,))
    assert found.winner is None  # nobody is left that it could be compared with


def test_among_those_of_whom_none_diverged_the_winner_is_tested_for() -> None:
    lucky = [*finalist(2, 0.9, 0.97, 0.98, 0.97), replicate(2, 4, 0.9, diverged_at(1))]
    found = confirmation([*CLEAR, *lucky])
    assert found is not None
    assert [one.trial_id for one in found.finalists] == ["t0001", "t0000", "t0002"]
    assert found.winner is found.finalists[0]
    assert [one.group for one in found.finalists] == ["a", "b", None]


def test_network_that_learnt_nothing_is_not_put_first_for_never_having_diverged() -> None:
    strong = [*finalist(0, 0.9, 0.90, 0.91, 0.92), replicate(0, 4, 0.9, diverged_at(1))]
    weaker = [
        *finalist(1, 0.9, 0.85, 0.84, 0.86),
        *(replicate(1, n, 0.9, diverged_at(1)) for n in (4, 5)),
    ]
    dead = finalist(2, 0.03, *[0.1] * 4)  # the baseline, say
    found = confirmation([*strong, *weaker, *dead])
    assert found is not None
    assert [one.trial_id for one in found.finalists] == ["t0000", "t0002", "t0001"]
    assert [one.trial_id for one in found.compared] == ["t0000", "t0002"]
    assert found.winner is found.finalists[0]
    half = finalist(2, 0.5, *[0.46] * 4)  # has learnt: at least half of the best mean
    found = confirmation([*strong, *half])
    assert found is not None
    assert [one.trial_id for one in found.finalists] == ["t0002", "t0000"]


def test_where_all_diverged_as_often_they_are_compared_and_who_has_no_result_is_last() -> None:
    records = [
        *finalist(0, 0.9, 0.90, 0.91, 0.92),
        replicate(0, 4, 0.9, diverged_at(1)),
        *finalist(1, 0.9, 0.60, 0.61, 0.62),
        replicate(1, 4, 0.9, diverged_at(1)),
        trial(2, Status.COMPLETED, [0.99]),
        replicate(2, 1, 0.9, diverged_at(1)),
    ]
    found = confirmation(records)
    assert found is not None
    assert [one.trial_id for one in found.finalists] == ["t0000", "t0001", "t0002"]
    assert found.winner is found.finalists[0]
    assert math.isnan(found.finalists[2].mean)
    [row] = json.loads(ranking_json(ranking(records, [])))[2:]
    assert (row["trial_id"], row["mean_dice"], row["replicates"]) == ("t0002", None, 0)
    assert (row["replicates_diverged"], row["group"], row["confirmed"]) == (1, None, True)


def test_failed_replicate_is_not_counted_and_the_others_are_compared() -> None:
    found = confirmation([*CLEAR, replicate(0, 5, 0.9, FAILED), replicate(1, 5, 0.93)])
    assert found is not None
    assert found.winner is found.finalists[0]
    assert found.comparison is not None
    assert found.comparison.count == 4  # seeds that both have a score of


def test_folds_are_the_unit_where_there_are_several() -> None:
    """15 blocks would name a winner, 3 folds do not: see ``test_paired_comparison.py``."""
    gains = (0.05, 0.04, -0.01)
    records = [
        record
        for number, own in ((0, (0.0, 0.0, 0.0)), (1, gains))
        for record in (
            trial(number, Status.COMPLETED, [0.9]),
            *(
                replicate(number, seed, 0.8 + 0.001 * seed + gain, fold=fold)
                for seed in range(1, 6)
                for fold, gain in enumerate(own)
            ),
        )
    ]
    found = confirmation(records)
    assert found is not None
    assert found.comparison is not None
    assert (found.comparison.by_fold, found.comparison.count, found.winner) == (True, 3, None)
    first, second = found.finalists
    assert (first.group, second.group) == ("a", "a")
    means = [0.803 + gain for gain in gains]
    low, high = stats.t.interval(0.95, 2, loc=first.mean, scale=stats.sem(means))
    assert (first.low, first.high) == pytest.approx((low, high))
    assert 0.5 < (first.p_best or 0) < 0.9


def test_no_winner_is_named_while_replicates_run_nor_of_two_seeds_nor_of_one_finalist() -> None:
    running = replace(replicate(1, 5, 0.9), outcome=None)
    under_way = confirmation([*CLEAR, running])
    assert under_way is not None
    assert (under_way.winner, under_way.unfinished) == (None, 1)
    twice = confirmation([*finalist(0, 0.9, 0.8, 0.8), *finalist(1, 0.9, 0.1, 0.1)])
    assert twice is not None
    first = twice.finalists[0]
    assert (twice.winner, first.p_best, first.group) == (None, None, None)
    assert math.isnan(first.low)
    alone = confirmation(finalist(0, 0.9, 0.8, 0.81, 0.82))
    assert alone is not None
    first = alone.finalists[0]
    assert (alone.winner, first.p_best, first.group) == (None, None, None)


def test_sweep_without_replicates_confirms_nothing() -> None:
    assert confirmation([trial(0, Status.COMPLETED, [0.5])]) is None
    assert confirmation([*finalist(0, 0.5)[:1], replicate(0, 1, 0.4, FAILED)]) is None
    orphan = confirmation([replicate(7, 1, 0.4)])
    assert orphan is None


def test_ranking_has_the_confirmed_first_by_their_mean_and_no_row_for_a_replicate() -> None:
    records = [*TIE, trial(3, Status.COMPLETED, [0.97]), trial(4, diverged_at(1), [0.99])]
    table = ranking(random.Random(1).sample(records, len(records)), [])
    rows = json.loads(ranking_json(table))
    assert [row["trial_id"] for row in rows] == ["t0000", "t0001", "t0002", "t0003", "t0004"]
    assert [row["rank"] for row in rows] == [1, 2, 3, 4, 5]
    assert winner(table) == "t0000"
    assert rows[0]["mean_dice"] == pytest.approx(0.915)
    # The first of three: its lower end is at 0.05 / 3, since the luckiest of three comes first.
    first = stats.t(3, loc=0.915, scale=stats.sem([0.90, 0.91, 0.92, 0.93]))
    ends = rows[0]["dice_low"], rows[0]["dice_high"]
    assert ends == pytest.approx((first.ppf(0.05 / 3), first.ppf(0.975)))
    known = confirmation(TIE)
    assert known is not None
    second = known.finalists[1]
    oracle = stats.t.interval(0.95, 3, loc=second.mean, scale=stats.sem([*second.scores.values()]))
    assert (rows[1]["dice_low"], rows[1]["dice_high"]) == pytest.approx(oracle)
    assert (rows[0]["replicates"], rows[0]["group"]) == (4, "a")
    assert (rows[3]["mean_dice"], rows[3]["group"], rows[3]["replicates"]) == (None, None, None)
    assert [row["confirmed"] for row in rows] == [True, True, True, False, False]
    pd.testing.assert_frame_equal(table.frame(), ranking_frame(records, []))


def test_interval_of_the_first_reaches_as_far_down_as_the_spread_of_all_finalists_says() -> None:
    steady = [0.980, 0.981, 0.980]
    noisy = [0.90, 0.95, 0.97]
    found = confirmation([*finalist(0, 0.99, *steady), *finalist(1, 0.98, *noisy)])
    assert found is not None
    first = found.finalists[0]
    assert first.trial_id == "t0000"
    typical = np.sqrt((np.var(steady, ddof=1) + np.var(noisy, ddof=1)) / 2)
    lower = np.mean(steady) - stats.t.ppf(1 - 0.05 / 2, 4) * typical / 3**0.5
    assert first.low == pytest.approx(lower)
    assert lower < stats.t.ppf(0.025, 2, np.mean(steady), stats.sem(steady))


def test_best_yaml_is_the_confirmed_and_replicates_have_a_file_of_their_own(
    tmp_path: Path,
) -> None:
    folder = write_sweep(tmp_path / "x", [*CLEAR, replicate(0, 5, 0.7, diverged_at(2))])
    ranking = write_ranking(folder)
    assert ranking.winner == "t0001"
    best = (folder / "best.yaml").read_text()
    assert "seed: 1\n" in best
    values = [0.90, 0.91, 0.92, 0.905]
    low, high = stats.t.interval(0.95, 3, loc=0.90875, scale=stats.sem(values))
    assert f"# mean over 4 replicates 0.9087 (95 %: {low:.4f} to {high:.4f})\n" in best
    rows = pd.read_csv(folder / "replicates.csv")
    assert list(rows["trial_id"][:5]) == ["t0001r1", "t0001r2", "t0001r3", "t0001r4", "t0000r1"]
    last = rows.iloc[-1]
    assert (last["status"], last["seed"], last["fold"]) == ("diverged", 5, 0)
    assert "nonfinite" in last["cause"]
    assert COMPACTNESS in pd.read_csv(folder / "ranking.csv")
    write_ranking(write_sweep(tmp_path / "short", finalist(0, 0.5, 0.25)))
    assert "# mean over 1 replicate 0.2500\n" in (tmp_path / "short/best.yaml").read_text()
