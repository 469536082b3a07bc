from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console
from synthetic import SPACE, SWEEP_YAML, drawn, results_of, trial

from sweep.analysis.ranking.ranking_frame import ranking
from sweep.analysis.shown_columns import (
    ALWAYS_ON_SCREEN,
    COSTS,
    LEFT_OUT_ON_SCREEN,
    OTHERS,
    OWN,
    PAGE,
    PAPER,
    SCREEN,
    known_columns,
)
from sweep.console.ranking_table import ranking_table
from sweep.report.page_table import page_tables
from sweep.report.takeaway.latex_ranking import latex_ranking
from sweep.vocabulary.objective import DICE, Objective
from sweep.vocabulary.record import Status, TrialRecord

NSD, SECONDS, EPOCHS = Objective("nsd"), Objective("seconds", "min"), Objective("epochs", "min")
HD95, SURFACE = Objective("hd95", "min"), Objective("surface", "min")
SEVERAL = [
    replace(DICE, others=(HD95, NSD)),
    replace(NSD, others=(DICE, SECONDS)),
    replace(DICE, others=(SURFACE, EPOCHS)),
]


def measured(record: TrialRecord, objective: Objective) -> TrialRecord:
    metrics = {"hd95": 2.5, "nsd": 0.75, "surface": 3.25, "volume": 4.0}
    history = tuple(replace(one, metrics=metrics) for one in record.history)
    return replace(record, history=history, objective=objective)


def screen(records: list[TrialRecord], objective: Objective, own: list[str]) -> list[str]:
    """The headings, each with its lines joined."""
    table = ranking(records, list(SPACE))
    shown = ranking_table(table, list(SPACE), objective=objective, own=own, width=300)
    Console(file=io.StringIO(), width=300).print(shown)
    return [" ".join(column.heading.split()) for column in shown.columns]


def test_each_medium_shows_columns_that_are_known_and_each_once() -> None:
    known = {one.place for one in known_columns(SURFACE)} | {OTHERS, COSTS, OWN}
    for order in (SCREEN, PAGE, PAPER, LEFT_OUT_ON_SCREEN, ALWAYS_ON_SCREEN):
        assert set(order) <= known
        assert len(set(order)) == len(order)
    assert known == {*SCREEN, *PAGE, *PAPER}
    assert {*LEFT_OUT_ON_SCREEN, *ALWAYS_ON_SCREEN} <= {*SCREEN}


@pytest.mark.parametrize("objective", SEVERAL, ids=lambda one: one.words)
@pytest.mark.parametrize("own", [[], ["surface", "nsd", "volume"]], ids=["ours", "own"])
def test_a_metric_that_is_an_objective_too_is_one_column(
    objective: Objective, own: list[str]
) -> None:
    records = [measured(drawn(number), objective) for number in range(6)]
    headings = screen(records, objective, own)
    assert len(set(headings)) == len(headings)
    assert {one.heading for one in objective.each} <= set(headings)
    kind = "custom, entry: mine.module:Mine" if own else "monai"
    yaml = SWEEP_YAML.replace("trainer: {{epochs", f"trainer: {{{{kind: {kind}, epochs")
    results = results_of(*records, yaml=yaml)
    names = [one.name for table in page_tables(results) for one in table.columns]
    assert len(set(names)) == len(names)
    table = ranking(records, list(SPACE), results.spec)
    latex = latex_ranking(table, records, list(SPACE), objective=objective, spec=results.spec)
    [titles] = [line.split(" & ") for line in latex.splitlines() if " & trial & " in line]
    assert len(set(titles)) == len(titles)
    assert ("volume" in titles) is bool(own)


def test_several_objectives_of_which_one_was_never_measured_are_shown() -> None:
    objective = replace(DICE, others=(NSD,))
    failed = replace(trial(0, Status.FAILED, []), objective=objective)
    assert screen([failed], objective, [])[:4] == ["#", "trial", "status", "val Dice"]
