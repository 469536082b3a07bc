"""Metrics that a trainer of the user's own returns, in a sweep that is judged by Dice."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from finalists import confirmed
from rich.console import Console
from synthetic import SPACE, SWEEP_YAML, drawn, results_of, write_sweep

from sweep.analysis.figures.sweep_results import read_results
from sweep.analysis.ranking.ranking_columns import own_metrics
from sweep.analysis.ranking.ranking_frame import ranking, ranking_frame
from sweep.analysis.ranking.row_selection import direction
from sweep.console.ranking_table import ranking_table
from sweep.report.page_data import page_data
from sweep.vocabulary.objective import DICE, Objective
from sweep.vocabulary.record import TrialRecord

CUSTOM = {"trainer": {"kind": "custom"}}
OWN = {"surface_mm": 3.25, "volume": 12345.0, "epochs": 7.0}
"""One of them is named like another column of a ranking."""


def trials() -> list[TrialRecord]:
    found = [drawn(number) for number in range(4)]
    return [
        replace(record, history=tuple(replace(e, metrics=OWN) for e in record.history))
        for record in found
    ]


def printed(width: int, own: list[str]) -> str:
    console = Console(file=io.StringIO(), width=width)
    found = ranking(trials(), list(SPACE))
    console.print(ranking_table(found, list(SPACE), width=width, own=own))
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    return text


def test_each_is_a_column_and_takes_no_other_ones_place() -> None:
    frame = ranking_frame(trials(), list(SPACE))
    with_result = frame[frame["val_dice"].notna()]
    assert set(with_result["surface_mm"]) == {3.25}
    assert set(with_result["metrics/epochs"]) == {7.0}
    assert set(with_result["epochs"]) == {len(r.history) for r in trials() if r.score is not None}


@pytest.mark.parametrize("objective", [DICE, Objective("gain", "max")])
def test_no_metric_changes_another_column_whatever_its_name(objective: Objective) -> None:
    """Of a ranking with all that there is: finalists, test split, presets, switch-on, patience."""
    judged_by = f"objective: {{{{metric: {objective.metric}, mode: {objective.mode}}}}}\nspace:"
    yaml = SWEEP_YAML.replace("space:", judged_by).replace(
        "trainer: {{epochs", "trainer: {{kind: custom, entry: mine.module:Mine, epochs"
    )

    def measuring(record: TrialRecord, metrics: dict[str, float]) -> TrialRecord:
        history = [replace(e, metrics={"gain": e.val_dice or 0, **metrics}) for e in record.history]
        preset = "baseline" if record.number == 2 and record.replicate is None else None
        return replace(record, history=tuple(history), objective=objective, preset=preset)

    def ranked(metrics: dict[str, float]) -> pd.DataFrame:
        records = [measuring(record, metrics) for record in (*confirmed(), *map(drawn, (2, 3, 4)))]
        spec = results_of(*records, yaml=yaml).spec
        return ranking_frame(records, list(SPACE), spec)

    plain = ranked({})
    assert {f"mean_{objective.stem}", "test_dice", "delta_baseline", "enough_patience"} <= {*plain}
    assert {f"{objective.stem}_since_switch_on", f"{objective.metric}_at_enough"} <= {*plain}
    names = [name for name in plain if name != "gain"]
    named = ranked(dict.fromkeys(names, -1.0))
    pd.testing.assert_frame_equal(named[list(plain)], plain)
    assert {*named} - {*plain} == {f"metrics/{name}" for name in names}


def test_tables_show_those_of_a_custom_trainer_alone() -> None:
    assert own_metrics(CUSTOM, trials()) == ["surface_mm", "volume", "metrics/epochs"]
    assert own_metrics({"trainer": {"kind": "monai"}}, trials()) == []
    assert own_metrics({}, trials()) == []


def test_terminal_shows_them_where_there_is_room_and_the_first_rather_than_the_last() -> None:
    own = own_metrics(CUSTOM, trials())
    wide = printed(200, own)
    assert "3.25" in wide
    assert "1.23e+04" in wide
    narrow = printed(88, own)
    assert "1.23e+04" not in narrow
    assert "hd95" not in wide


def test_page_has_a_column_for_each(tmp_path: Path) -> None:
    yaml = SWEEP_YAML.replace(
        "trainer: {{epochs", "trainer: {{kind: custom, entry: mine.module:Mine, epochs"
    )
    folder = write_sweep(tmp_path / "synthetic", trials(), yaml)
    (table,) = page_data(read_results(folder)).tables
    shown = [column.title for column in table.columns]
    assert {"surface_mm", "volume", "metrics/epochs"} <= set(shown)
    assert shown.count("val Dice") == 1


def test_sort_knows_the_better_end_of_the_objective_and_of_what_is_a_dice() -> None:
    surface = Objective("surface_mm", "max")
    assert direction("surface_mm", surface) == ("surface_mm", True)
    assert direction("surface_mm") == ("surface_mm", False)
    assert direction("delta_baseline", Objective("hd95", "min")) == ("delta_baseline", False)
    assert direction("surface_dice") == ("surface_dice", True)
    assert direction("dice_loss") == ("dice_loss", False)
