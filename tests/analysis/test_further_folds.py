"""Which trials are trained on a further fold, and that only means over as many are compared."""

from __future__ import annotations

import io
import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from scipy import stats
from synthetic import SWEEP_YAML, diverged_at, results_of, trial, write_sweep

from sweep.analysis.confirm.paired_comparison import mean_of
from sweep.analysis.confirm.search_replicates import FIRST, RISK, SearchReplicates, may_still_win
from sweep.analysis.figures.runs_on_folds import runs_on_folds
from sweep.analysis.figures.sweep_results import read_results
from sweep.analysis.ranking.finalists import finalists
from sweep.analysis.ranking.ranking_frame import ranking_frame, write_ranking
from sweep.analysis.ranking.sweep_state import LiveRanking
from sweep.console.sweep_summary import Summary, print_results
from sweep.report.headline import counts, headline
from sweep.report.page_table import page_tables
from sweep.report.sections.causes_section import causes_section
from sweep.report.takeaway.latex_ranking import top_of_ranking
from sweep.search.searchers.optuna_samplers import OptunaMethod, cmaes, gp, tpe
from sweep.search.searchers.optuna_search import OptunaSearch
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.vocabulary.record import Outcome, Replicate, Status, TrialRecord, searched

YAML = SWEEP_YAML.replace("space:", "replicate: {{folds: 3}}\nsearcher: random\nspace:")
PAIR = {"a": [0.90, 0.80, 0.70], "b": [0.88, 0.80, 0.66]}
"""Differences 0.02, 0 and 0.04: their standard deviation is 0.02, with 2 degrees of freedom."""


def run_of(
    number: int, fold: int, dice: float, status: Status | Outcome = Status.COMPLETED
) -> TrialRecord:
    found = trial(number, status, [dice], {"loss.warmup_epochs": number})
    if fold == 0:
        return found
    replicate = Replicate(found.trial_id, 0, fold, in_search=True)
    return replace(found, trial_id=f"{found.trial_id}r{fold}", replicate=replicate)


def spec_of() -> SweepSpec:
    return results_of(yaml=YAML).spec


@given(st.lists(st.lists(st.integers(0, 40), min_size=1, max_size=3), min_size=1, max_size=12))
def test_each_trial_is_asked_for_itself_whether_it_may_still_win(drawn: list[list[int]]) -> None:
    """The rule as it is written, trial by trial; the oracle is SciPy's Student t."""
    runs = {str(n): [0.8 + one / 1000 for one in own] for n, own in enumerate(drawn)}
    order = sorted(runs, key=lambda one: (-len(runs[one]), -fmean(runs[one])))
    leader, expected = runs[order[0]], list[str]()
    differences = [
        np.subtract(leader[: len(own)], own).round(9)
        for own in (runs[one] for one in order[1:])
        if len(own) > 1
    ]
    freedom = sum(len(one) - 1 for one in differences)
    squares = sum(((one - one.mean()) ** 2).sum() for one in differences)
    for place, one in enumerate(order):
        own = runs[one]
        behind = round(fmean(leader[: len(own)]) - fmean(own), 9)
        if freedom and squares > 1e-12:
            error = math.sqrt(squares / freedom / len(own) * (1 - len(own) / 3 or 1))
            may = place == 0 or stats.t.sf(behind / error, freedom) >= RISK
        else:
            may = place == 0 or behind <= 0 if freedom else place < FIRST
        if may and len(own) < 3:
            expected.append(one)
    assert may_still_win(runs, 3) == expected


def test_trial_goes_on_while_its_chance_to_be_ahead_in_the_end_is_at_least_the_risk() -> None:
    """The oracle is SciPy's Student t: behind over one of three folds, by t standard errors."""
    limit = stats.t.isf(RISK, 2) * 0.02 * (1 - 1 / 3) ** 0.5
    for behind, goes_on in ((0.0, True), (limit - 1e-6, True), (limit + 1e-6, False)):
        assert ("c" in may_still_win({**PAIR, "c": [0.90 - behind]}, 3)) is goes_on
    limit = stats.t.isf(RISK, 3) * (0.0008 / 3) ** 0.5 * (1 / 3 / 2) ** 0.5
    for behind, goes_on in ((limit - 1e-6, True), (limit + 1e-6, False)):
        runs = {**PAIR, "c": [0.90 - behind, 0.80 - behind]}  # one degree more, no spread
        assert ("c" in may_still_win(runs, 3)) is goes_on


def test_first_of_the_ranking_go_on_while_nothing_is_known_of_the_spread() -> None:
    runs = {f"t{n}": [0.5 + n / 100] for n in range(6)}
    assert may_still_win(runs, 3) == ["t5", "t4", "t3"][:FIRST]
    assert may_still_win({"a": [0.5]}, 3) == ["a"]
    assert may_still_win({}, 3) == []


def test_one_high_score_does_not_lead_but_may_still_win() -> None:
    runs = {**PAIR, "lucky": [0.99]}
    assert may_still_win(runs, 3) == ["lucky"]
    assert may_still_win({**runs, "lucky": [0.99, 0.70]}, 3) == ["lucky"]
    assert may_still_win({**runs, "lucky": [0.99, 0.70, 0.60]}, 3) == []


def test_trial_that_is_behind_by_the_same_in_every_fold_has_no_chance() -> None:
    runs = {"a": [0.5, 0.25, 0.75], "b": [0.25, 0.0], "c": [0.25]}
    assert may_still_win(runs, 3) == []
    assert may_still_win({**runs, "c": [0.5]}, 3) == ["c"]


scores = st.lists(st.integers(0, 64), min_size=1, max_size=4)


@given(st.lists(scores, min_size=1, max_size=6), st.lists(st.integers(-64, 64), min_size=4))
def test_how_hard_a_fold_is_decides_nothing(drawn: list[list[int]], shifts: list[int]) -> None:
    runs = {str(n): [score / 64 for score in own] for n, own in enumerate(drawn)}
    shifted = {
        name: [score + shift / 64 for score, shift in zip(own, shifts, strict=False)]
        for name, own in runs.items()
    }
    assert may_still_win(runs, 4) == may_still_win(shifted, 4)


@given(st.integers(0, 10**6))
def test_rounds_come_to_the_same_runs_in_any_order_of_their_ends(seed: int) -> None:
    draw = random.Random(seed)
    levels = [draw.choice([0.4, 0.5, 0.6, 0.7]) for _ in range(6)]
    table = [[level + draw.gauss(0, 0.02) for _ in range(3)] for level in levels]
    broken = {(draw.randrange(6), draw.randrange(1, 3)) for _ in range(2)}
    come_to = []
    for order in (random.Random(0), random.Random(1)):
        found, told = SearchReplicates(spec_of()), set[str]()
        for number in order.sample(range(6), 6):
            found.add(run_of(number, 0, table[number][0]))
        while found.due:
            replicate, of = order.choice(found.due)
            ended = diverged_at(0) if (of.number, replicate.fold) in broken else Status.COMPLETED
            run = run_of(of.number, replicate.fold, table[of.number][replicate.fold], ended)
            assert run.trial_id not in told
            told.add(run.trial_id)
            found.add(run)
        come_to.append(told)
    assert come_to[0] == come_to[1] != set()


def test_of_trials_with_one_configuration_the_first_is_trained_on_further_folds() -> None:
    found = SearchReplicates(spec_of())
    for number in range(3):
        one = run_of(number, 0, 0.5)
        found.add(replace(one, parameters={"loss.warmup_epochs": number // 2}))
    assert [of.number for _, of in found.due] == [0, 2]


RECORDS = (
    *(run_of(0, fold, dice) for fold, dice in enumerate((0.80, 0.60, 0.70))),
    *(run_of(1, fold, dice) for fold, dice in enumerate((0.85, 0.62))),
    run_of(1, 2, 0.9, diverged_at(1)),
    *(run_of(2, fold, dice) for fold, dice in enumerate((0.79, 0.65, 0.72))),
    run_of(3, 0, 0.9),
    run_of(4, 0, 0.95, Status.PRUNED),
    run_of(5, 0, 0.9, diverged_at(1)),
)


@pytest.mark.parametrize("seed", range(3))
def test_ranking_compares_means_over_as_many_runs_only(seed: int) -> None:
    records = random.Random(seed).sample(RECORDS, len(RECORDS))
    frame = ranking_frame(records, [], spec_of())
    assert list(frame["trial_id"]) == ["t0002", "t0000", "t0001", "t0004", "t0003", "t0005"]
    assert list(frame["runs"].dropna()) == [3, 3, 2, 1, 1]
    assert list(frame["mean_of_runs"].dropna().round(3)) == [0.72, 0.7, 0.735, 0.95, 0.9]
    assert list(frame["val_dice"].dropna()) == [0.79, 0.80, 0.85, 0.95, 0.9]
    assert [one.trial_id for one in finalists(spec_of(), records)][:2] == ["t0002", "t0000"]
    assert "runs" not in ranking_frame(searched(RECORDS[-3:]), [])


def test_means_that_only_rounding_tells_apart_are_equal_and_the_earlier_trial_is_ahead() -> None:
    assert fmean((0.80, 0.84)) > fmean((0.82, 0.82))
    even = [run_of(0, fold, 0.82) for fold in range(2)]
    odd = [run_of(1, fold, dice) for fold, dice in enumerate((0.80, 0.84))]
    frame = ranking_frame([*even, *odd], [], spec_of())
    assert list(frame["trial_id"]) == ["t0000", "t0001"]
    assert may_still_win({"t0000": (0.82, 0.82), "t0001": (0.80, 0.84)}, 3)[0] == "t0000"
    folds = {(0, 0): 0.80, (0, 1): 0.84}, {(0, 0): 0.82, (0, 1): 0.82}
    assert mean_of(folds[0], by_fold=True) == mean_of(folds[1], by_fold=True)


def test_trial_that_diverged_on_a_further_fold_ranks_behind_those_with_as_many_runs() -> None:
    lost = (run_of(0, 0, 0.9), run_of(0, 1, 0.0, diverged_at(1)))
    others = (run_of(1, 0, 0.8), run_of(2, 0, 0.7, Status.PRUNED))
    frame = ranking_frame([*lost, *others], [], spec_of())
    assert list(frame["trial_id"]) == ["t0001", "t0002", "t0000"]
    assert list(frame["runs_diverged"]) == [0, 0, 1]
    assert list(frame["val_dice"]) == [0.8, 0.7, 0.9]  # measured, so it stays in the row
    assert finalists(spec_of(), [*lost, *others])[0].trial_id == "t0001"


def test_live_ranking_is_that_of_all_records_whichever_run_diverged() -> None:
    live, ended = LiveRanking(), list[TrialRecord]()
    for record in sorted(RECORDS, key=lambda one: (one.replicate is not None, one.trial_id)):
        ended.append(record)
        live.add(record) if record.replicate is None else live.replicate(record)
        expected = list(ranking_frame(ended, [])["trial_id"])
        assert [one.trial_id for one in live.ranked] == expected
    live.replicate(run_of(99, 1, 0.9))  # of a trial that was deleted
    assert [one.trial_id for one in live.ranked] == expected


def test_divergence_on_a_further_fold_is_told_wherever_the_ranking_is(tmp_path: Path) -> None:
    folder = write_sweep(tmp_path / "x", RECORDS, YAML)
    for path in (folder / "trials").glob("t*r*/trial.json"):  # as the engine writes it
        path.write_text(path.read_text().replace('"fold"', '"in_search": true, "fold"', 1))
    ranking, results = write_ranking(folder), read_results(folder)
    row = results.frame.set_index("trial_id").loc["t0001"]
    assert (row["runs"], row["runs_diverged"]) == (2, 1)
    assert "was not trained on yet. Diverged in a further run: t0001r2." in headline(results)
    assert counts(results)["of these diverged"] == 1
    assert "t0001 (1 diverged)" in str(runs_on_folds(results).figure)
    [columns] = [one.columns for one in page_tables(results)]
    [cells] = [one.texts for one in columns if one.name == "runs_diverged"]
    assert cells[results.ended.index(results.records[1])] == "1"
    section = causes_section(results)
    assert section is not None
    assert "t0001r2</a> diverged: nonfinite gradient (compactness)" in section.html
    assert "runs diverged" in top_of_ranking(results)
    out = io.StringIO()
    summary = Summary(title="x", rows=ranking.table, records=ranking.records, spec=results.spec)
    print_results(Console(file=out, width=300), summary)
    assert "t0001r2 diverged: nonfinite gradient (compactness) at epoch 1 step 0" in out.getvalue()
    assert "Why t0005 and t0001r2 diverged: " in out.getvalue()


def test_confirmation_does_not_count_what_chose_the_finalists() -> None:
    again = replace(run_of(0, 0, 0.1), trial_id="t0000r3", replicate=Replicate("t0000", 1, 0))
    frame = ranking_frame([*RECORDS, again], [], spec_of())
    assert frame["trial_id"][0] == "t0000"
    assert frame["mean_dice"][0] == 0.1
    assert list(frame["replicates"].dropna()) == [1]


@pytest.mark.parametrize("method", [tpe(2), gp(2), cmaes()])
def test_searcher_is_told_the_order_of_the_ranking(method: OptunaMethod) -> None:
    values = values_told(method, (0.80, 0.90, 0.79), {0: ((0.6, 0.7), 0), 2: ((0.65, 0.72), 0)})
    # A mean over three runs is better than one high score.
    assert sorted(range(3), key=lambda number: values[number]) == [1, 0, 2]


@pytest.mark.parametrize("method", [tpe(2), gp(2), cmaes()])
def test_searcher_is_told_of_a_run_that_diverged_as_the_ranking_is(method: OptunaMethod) -> None:
    lost = run_of(1, 0, 0.9), run_of(1, 1, 0.0, diverged_at(1))
    ranked = ranking_frame([run_of(0, 0, 0.8), *lost, run_of(2, 0, 0.85)], [], spec_of())
    values = values_told(method, (0.80, 0.90, 0.85), {1: ((), 1)})
    told = sorted(range(3), key=lambda number: -values[number])
    assert [f"t{number:04d}" for number in told] == list(ranked["trial_id"])
    assert told == [2, 0, 1]


def values_told(
    method: OptunaMethod,
    dice: Sequence[float],
    replicated: Mapping[int, tuple[tuple[float, ...], int]],
) -> list[float]:
    """What the study has of completed trials, some with replicates: their scores, and how many of
    them diverged."""
    space = SweepSpec.model_validate(
        {"name": "x", "space": {"optimizer.lr": {"uniform": [0.1, 0.9]}}}
    ).drawn
    searcher = OptunaSearch(space, 0, method)
    for number, one in enumerate(dice):
        searcher.tell(replace(run_of(number, 0, one), parameters=searcher.ask(number)))
    for number, runs in replicated.items():
        searcher.replicate(number, *runs)
    return [one.value or 0.0 for one in searcher.study.trials]


def test_pruned_trial_does_not_lead_where_all_that_went_on_break_on_a_further_fold(
    tmp_path: Path,
) -> None:
    """Nobody has seen whether it would break there too."""
    runs = [
        run_of(0, 0, 0.81),
        run_of(0, 1, 0.0, diverged_at(3)),
        run_of(1, 0, 0.0, Status.PRUNED),
        run_of(2, 0, 0.79),
        run_of(2, 1, 0.0, diverged_at(3)),
        run_of(3, 0, 0.60),
    ]
    told = write_ranking(write_sweep(tmp_path / "raced", runs, YAML))
    assert list(told.table["trial_id"]) == ["t0003", "t0000", "t0002", "t0001"]
    live = LiveRanking()
    for run in (replace(one, in_race=True) for one in runs):
        live.replicate(run) if run.replicate else live.add(run)
    assert [one.trial_id for one in live.ranked] == list(told.table["trial_id"])
    plain = [run_of(0, 0, 0.5), run_of(1, 0, 0.6, Status.PRUNED)]
    alone = write_ranking(write_sweep(tmp_path / "alone", plain))
    assert list(alone.table["trial_id"]) == ["t0001", "t0000"], "there the Dice alone decides"
