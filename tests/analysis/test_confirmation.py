"""What the replicates say of the finalists."""

from __future__ import annotations

import json
import math
import random
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from finalists import CLEAR, TIE, finalist, replicate
from scipy import stats
from synthetic import COMPACTNESS, diverged_at, trial, write_sweep

from sweep.analysis.confirmation import confirmation
from sweep.analysis.ranking import ranking_frame, ranking_json, winner, write_ranking
from sweep.record import Outcome, Status

FAILED = Outcome(status=Status.FAILED, cause="OSError: no")


def test_winner_is_who_beats_all_others_whatever_the_search_had_measured() -> None:
    found = confirmation(CLEAR)
    assert found is not None
    assert found.winner is not None
    assert found.winner.trial_id == "t0001"
    [p] = found.p.values()
    oracle = stats.ttest_rel([0.80, 0.81, 0.82, 0.80], [0.90, 0.91, 0.92, 0.905]).pvalue
    assert p == pytest.approx(oracle, rel=1e-6)
    first, second = found.finalists
    assert first.mean == pytest.approx(0.90875)
    assert (first.group, second.group) == ("a", "b")
    assert first.p_best == pytest.approx(1, abs=1e-3)


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


def test_diverged_replicate_counts_as_zero_and_a_failed_one_not_at_all() -> None:
    records = [
        *finalist(0, 0.9, 0.8, 0.8),
        replicate(0, 3, 0.9, diverged_at(1)),
        *finalist(1, 0.9, 0.6, 0.7, 0.8),
        replicate(1, 4, 0.9, FAILED),
    ]
    found = confirmation(records)
    assert found is not None
    assert [(one.trial_id, len(one.scores)) for one in found.finalists] == [
        ("t0001", 3), ("t0000", 3)
    ]  # fmt: skip
    assert found.finalists[1].mean == pytest.approx(1.6 / 3)
    assert found.finalists[1].count(Status.DIVERGED) == 1
    assert found.finalists[1].epochs == 3  # of those that have a model
    assert found.blocks == 3


def test_no_winner_is_named_while_replicates_run_nor_of_one_seed_nor_of_one_finalist() -> None:
    running = replace(replicate(1, 5, 0.9), outcome=None)
    under_way = confirmation([*CLEAR, running])
    assert under_way is not None
    assert (under_way.winner, under_way.unfinished) == (None, 1)
    once = confirmation([*finalist(0, 0.9, 0.8), *finalist(1, 0.9, 0.1)])
    assert once is not None
    assert (once.winner, once.finalists[0].p_best, once.blocks) == (None, None, 1)
    assert math.isnan(once.finalists[0].low)
    alone = confirmation(finalist(0, 0.9, 0.8, 0.81))
    assert alone is not None
    assert (alone.winner, alone.finalists[0].p_best) == (None, 1.0)


def test_sweep_without_replicates_confirms_nothing() -> None:
    assert confirmation([trial(0, Status.COMPLETED, [0.5])]) is None
    assert confirmation([*finalist(0, 0.5)[:1], replicate(0, 1, 0.4, FAILED)]) is None
    orphan = confirmation([replicate(7, 1, 0.4)])
    assert orphan is None


def test_ranking_has_the_confirmed_first_by_their_mean_and_no_row_for_a_replicate() -> None:
    records = [*TIE, trial(3, Status.COMPLETED, [0.97]), trial(4, diverged_at(1), [0.99])]
    frame = ranking_frame(random.Random(1).sample(records, len(records)), [])
    rows = json.loads(ranking_json(frame))
    assert [row["trial_id"] for row in rows] == ["t0000", "t0001", "t0002", "t0003", "t0004"]
    assert [row["rank"] for row in rows] == [1, 2, 3, 4, 5]
    assert winner(frame) == "t0000"
    assert rows[0]["mean_dice"] == pytest.approx(0.915)
    oracle = stats.t.interval(0.95, 3, loc=0.915, scale=stats.sem([0.90, 0.91, 0.92, 0.93]))
    assert (rows[0]["dice_low"], rows[0]["dice_high"]) == pytest.approx(oracle)
    assert (rows[0]["replicates"], rows[0]["group"]) == (4, "a")
    assert (rows[3]["mean_dice"], rows[3]["group"], rows[3]["replicates"]) == (None, None, None)
    pd.testing.assert_frame_equal(frame, ranking_frame(records, []))


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
    assert f"# mean over 4 replicates 0.9088 (95 %: {low:.4f} to {high:.4f}), group a\n" in best
    rows = pd.read_csv(folder / "replicates.csv")
    assert list(rows["trial_id"][:5]) == ["t0001r1", "t0001r2", "t0001r3", "t0001r4", "t0000r1"]
    last = rows.iloc[-1]
    assert (last["status"], last["seed"], last["fold"]) == ("diverged", 5, 0)
    assert "nonfinite" in last["cause"]
    assert COMPACTNESS in pd.read_csv(folder / "ranking.csv")
