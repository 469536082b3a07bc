"""The finalists on the test split."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from finalists import CASES, confirmed, finalist, scored
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from synthetic import trial, write_sweep

from sweep.analysis.confirm.conclusions import on_test_split
from sweep.analysis.confirm.paired_statistics import mean_interval
from sweep.analysis.confirm.test_scores import HeldOut, cases_frame, held_out, subjects_of
from sweep.analysis.ranking.ranking_frame import ranking_frame, winner
from sweep.store.layout import Layout
from sweep.store.read_results import read_records
from sweep.store.trial_files import write_test
from sweep.vocabulary.errors import ResultsError
from sweep.vocabulary.record import CaseScore, Status, TrialRecord


def leader_and_baseline(first: Iterable[float], second: Iterable[float]) -> list[TrialRecord]:
    """A leader and the baseline, without replicates, with a Dice for each test case."""
    runs = [trial(0, Status.COMPLETED, [0.9]), trial(1, Status.COMPLETED, [0.8])]
    runs[1] = replace(runs[1], preset="baseline")
    return [
        replace(run, test=tuple(CaseScore(case=f"c{n}", dice=d) for n, d in enumerate(dice)))
        for run, dice in zip(runs, (first, second), strict=True)
    ]


def test_replicates_are_averaged_case_by_case_and_the_searchs_run_is_left_out() -> None:
    found = held_out(confirmed(), ["t0000", "t0001"])
    assert found is not None
    first, _ = found.tested
    assert first.runs == 2
    assert first.dice == pytest.approx(
        dict(zip(CASES, [0.85, 0.75, 0.65, 0.55, 0.45, 0.35], strict=True))
    )
    assert (first.mean, first.mean_hd95) == (pytest.approx(0.6), 2.0)


def test_gain_over_the_baseline_is_case_by_case_and_has_the_interval_of_students_t() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.uniform(0.6, 0.9, 20), rng.uniform(0.5, 0.8, 20)
    found = held_out(leader_and_baseline(first, second), ["t0000", "t0001"])
    assert found is not None
    gain = found.over_baseline
    assert gain is not None
    differences = first - second
    assert gain.cases == 20
    assert gain.gain == pytest.approx(differences.mean())
    oracle = stats.t.interval(0.95, 19, loc=differences.mean(), scale=stats.sem(differences))
    assert (gain.low, gain.high) == pytest.approx(oracle)
    own = stats.t.interval(0.95, 19, loc=first.mean(), scale=stats.sem(first))
    assert (found.tested[0].low, found.tested[0].high) == pytest.approx(own)
    told = on_test_split(found)
    assert told.startswith("On 20 test cases that were used for nothing else, t0000 reaches Dice")
    assert "; in validation that run had 0.9000; +" in told
    assert f"against the baseline (95 %: {oracle[0]:.4f} to {oracle[1]:.4f})." in told


def test_too_few_cases_have_no_interval_and_no_p() -> None:
    found = held_out(confirmed(), ["t0000", "t0001"])
    assert found is not None
    assert on_test_split(found) == (
        "On 6 test cases that were used for nothing else, t0000's 2 replicates average Dice 0.6000;"
        " in validation the same runs had 0.9250; −0.0667 against the baseline. No interval: that"
        " takes at least 20 cases."
    )


def test_subjects_are_known_by_the_names_of_their_cases() -> None:
    assert subjects_of(["patient1_s1", "patient1_s2", "pat2_s1", "other"]) == [
        *("patient1", "pat2", "other")
    ]
    assert subjects_of(["patient1_s1", "patient2_s1"]) == []  # one case of each
    assert subjects_of(["p1_s1", "p1_s2", "case_001"]) == []  # names that tell of no subject


def test_cases_of_few_patients_are_told_beside_what_is_said_of_them() -> None:
    run = trial(0, Status.COMPLETED, [0.9])
    scores = [CaseScore(case=f"sub-{n // 5}_s{n % 5}", dice=0.8 + 0.005 * n) for n in range(20)]
    found = held_out([replace(run, test=tuple(scores))], ["t0000"])
    assert found is not None
    assert ". These 20 cases are of 4 subjects (sub-0 …)." in on_test_split(found)


def grouped(patients: int, each: int) -> HeldOut:
    """Two trials on cases of patients, whose level differs; the second is the baseline."""
    rng = np.random.default_rng(3)
    level = rng.normal(0.8, 0.05, patients)
    own = rng.normal(0, 0.01, (2, patients, each))
    runs = leader_and_baseline([], [])
    records = [
        replace(run, test=tuple(
            CaseScore(case=f"c{p}_{n}", dice=float(level[p] + own[at, p, n]), group=f"p{p}")
            for p in range(patients) for n in range(each)
        ))
        for at, run in enumerate(runs)
    ]  # fmt: skip
    found = held_out(records, ["t0000", "t0001"])
    assert found is not None
    return found


def test_interval_over_grouped_cases_is_that_of_the_means_of_groups() -> None:
    found = grouped(10, 4)
    first, control = (
        np.array([*one.dice.values()]).reshape(10, 4).mean(axis=1) for one in found.tested
    )
    for values, low, high in (
        (first, found.tested[0].low, found.tested[0].high),
        (first - control, found.over_baseline.low, found.over_baseline.high),
    ):
        oracle = stats.ttest_1samp(values, 0).confidence_interval(0.95)
        assert (low, high) == pytest.approx((oracle.low, oracle.high))
    told = on_test_split(found)
    assert told.startswith("On 40 test cases of 10 groups that were used for nothing else, t0000")
    assert "Only the" not in told
    assert told.count(" (95 % over groups: 0.") == 1
    assert "against the baseline (95 % over groups: " in told
    assert list(cases_frame(found)["group"][:5]) == ["p0"] * 4 + ["p1"]


def test_few_groups_are_told_and_fewer_have_no_interval() -> None:
    assert "Only the 6 groups are independent of each other, which is few" in on_test_split(
        grouped(6, 4)
    )
    found = grouped(4, 10)
    assert math.isnan(found.tested[0].low)
    assert on_test_split(found).endswith("No interval: that takes at least 20 cases of 5 groups.")


@given(
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 5)), min_size=3, max_size=30).filter(
        lambda rows: len({group for _, group in rows}) > 1
    )
)
def test_grouped_interval_is_the_jackknife_over_groups(rows: list[tuple[float, int]]) -> None:
    values, of = np.array([value for value, _ in rows]), np.array([group for _, group in rows])
    groups = sorted(set(of.tolist()))
    without = np.array([values[of != group].mean() for group in groups])
    spread = np.sqrt(np.mean((without - values.mean()) ** 2) * (len(groups) - 1))
    shares = np.array([np.mean(of == group) for group in groups])
    margin = stats.t.ppf(0.975, max(1, 1 / np.sum(shares**2) - 1)) * spread
    low, high = mean_interval(values.tolist(), groups=[str(group) for group in of])
    assert (low, high) == pytest.approx((values.mean() - margin, values.mean() + margin))
    alone = [str(n) for n in range(len(values))]
    assert mean_interval(values.tolist(), groups=alone) == pytest.approx(
        mean_interval(values.tolist())
    )


def test_no_rank_depends_on_the_test() -> None:
    frame = ranking_frame(confirmed(), [])
    assert winner(frame) == "t0000"
    assert list(frame["test_dice"]) == [pytest.approx(0.6), pytest.approx(0.6666666)]


def test_cases_that_say_nothing_are_left_out_and_who_was_not_tested_too() -> None:
    records = [
        scored(trial(0, Status.COMPLETED, [0.9]), 0.5, None, 0.7),
        trial(1, Status.COMPLETED, [0.8]),
    ]
    found = held_out(records, ["t0000", "t0001"])
    assert found is not None
    assert [one.trial_id for one in found.tested] == ["t0000"]
    rows = cases_frame(found)
    assert list(rows.columns) == ["trial_id", "case", "dice", "hd95", "runs"]
    assert [None if pd.isna(value) else value for value in rows["dice"]] == [0.5, None, 0.7]
    assert found.over_baseline is None
    assert held_out(records[1:], ["t0001"]) is None


def test_scores_come_back_from_their_file(tmp_path: Path) -> None:
    [record] = [trial(0, Status.COMPLETED, [0.9])]
    folder = write_sweep(tmp_path / "x", [record])
    scores = (CaseScore(case="a", dice=0.25, hd95=None), CaseScore(case="b", dice=None, hd95=3.5))
    write_test(Layout(folder).trial("t0000"), scores)
    assert read_records(folder)[0].test == scores


def test_broken_files_of_replicates_and_tests_are_told_by_name(tmp_path: Path) -> None:
    folder = write_sweep(tmp_path / "x", finalist(0, 0.9, 0.8))
    paths = Layout(folder).trial("t0000r1")
    for text in ('{"cases": [{"dice": 1}]}', "{}", '{"cases": 3}', "[]", "no"):
        paths.test.write_text(text)
        with pytest.raises(ResultsError, match=r"t0000r1/test\.json.*broken"):
            read_records(folder)
    paths.test.unlink()
    paths.trial.write_text('{"parameters": {}, "status": "completed", "seed": 1}')
    with pytest.raises(ResultsError, match=r"t0000r1/trial\.json.*needs its `seed` and `fold`"):
        read_records(folder)
