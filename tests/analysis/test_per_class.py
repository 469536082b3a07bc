"""Columns of a ranking for each class, and the same of the test split."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from finalists import finalist
from synthetic import diverged_at, trial, write_sweep
from typer.testing import CliRunner

from sweep.analysis.confirm.test_scores import cases_frame, held_out
from sweep.analysis.ranking.per_class import class_columns, with_classes
from sweep.analysis.ranking.ranking_frame import ranking
from sweep.analysis.ranking.row_selection import Condition, direction, sorted_by, where
from sweep.analysis.shown_columns import unit_of
from sweep.api.results import SweepResults
from sweep.cli import app
from sweep.console.plain_view import TrainingLines
from sweep.store.case_table import write_cases
from sweep.store.layout import Layout
from sweep.store.read_results import read_records
from sweep.store.trial_files import write_test
from sweep.vocabulary.class_scores import ClassScore, DistanceUnit
from sweep.vocabulary.record import CaseScore, Status

LEFT = "left kidney"


def row(case: str, label: str, dice: float | None, hd95: float | None) -> ClassScore:
    values = {"dice": dice, "hd95": hd95}
    return ClassScore(case=case, label=label, n_reference=5, n_prediction=5, values=values)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three trials with a table and one without, one of them diverged."""
    records = [
        trial(0, Status.COMPLETED, [0.9]),
        trial(1, Status.COMPLETED, [0.8]),
        trial(2, diverged_at(3), [0.7]),
        trial(3, Status.COMPLETED, [0.6]),
    ]
    folder = write_sweep(tmp_path / "x", records)
    for number in range(3):
        rows = [
            row("a", "liver", 0.5 + number / 10, 3.0),
            row("b", "liver", 0.7 + number / 10, None),
            row("a", LEFT, 1.0 - number / 4, 2.0),
            row("b", LEFT, None, None),
        ]
        write_cases(Layout(folder).trial(f"t000{number}").cases, rows)
    return folder


def test_each_metric_and_class_is_the_mean_over_the_cases_with_a_value(folder: Path) -> None:
    plain = ranking(read_records(folder), [])
    table = with_classes(plain, folder)
    assert list(table) == [*plain, *class_columns(table)]
    assert class_columns(table) == [
        "val_dice[liver]", f"val_dice[{LEFT}]", "hd95[liver]", f"hd95[{LEFT}]"
    ]  # fmt: skip
    assert table["trial_id"] == ["t0000", "t0001", "t0003", "t0002"]
    assert table["val_dice[liver]"][:2] == pytest.approx([0.6, 0.7])
    assert table["val_dice[liver]"][2:] == [None, None]
    assert table[f"val_dice[{LEFT}]"][:2] == [1.0, 0.75]
    assert table["hd95[liver]"][:2] == [3.0, 3.0]
    own = class_columns(table)
    assert SweepResults(folder).per_class[own].equals(table.only(own).frame())


def test_they_are_selected_and_sorted_like_the_metric_that_they_are_of(folder: Path) -> None:
    table = with_classes(ranking(read_records(folder), []), folder)
    name = f"val_dice[{LEFT}]"
    assert where(table, [Condition.of(f"{name} >= 0.9")])["trial_id"] == ["t0000"]
    assert sorted_by(table, ["val_dice[liver]"])["trial_id"][:2] == ["t0001", "t0000"]
    assert direction("hd95[liver]") == ("hd95[liver]", False)
    assert direction("nsd[liver]") == ("nsd[liver]", True)


def test_command_prints_them_on_demand(folder: Path) -> None:
    def printed(*options: str) -> str:
        found = CliRunner().invoke(app, ["rank", str(folder), *options])
        assert found.exit_code == 0, found.output
        return found.stdout

    rows = json.loads(printed("--per-class", "--json"))
    assert rows[1]["val_dice[left kidney]"] == 0.75
    assert "val_dice[" not in printed("--json")
    headings = printed("--per-class").partition(" val_dice ")[2].splitlines()[:2]
    assert headings[0].split() == ["val_dice", "hd95", "hd95"]
    assert headings[1].split() == ["trial_id", "liver", "left", "kidney", "liver", "left", "kidney"]
    assert "liver" not in printed()


@pytest.mark.parametrize(("unit", "short"), [("mm", " mm"), ("pixels", " px"), (None, "")])
def test_distances_are_shown_with_their_unit_where_it_is_known(
    unit: DistanceUnit | None, short: str, capsys: pytest.CaptureFixture[str]
) -> None:
    record = trial(0, Status.COMPLETED, [0.5])
    metrics = replace(record.history[0], metrics={"hd95": 3.5, "nsd": 0.25}, distance_unit=unit)
    assert unit_of([replace(record, history=(metrics,))]) == short
    TrainingLines().epoch_reported("t0000", metrics)
    assert f"  hd95 3.5{short}  nsd 0.25  " in capsys.readouterr().out


def test_test_split_has_a_column_for_each_metric_and_class_beside_the_means(
    tmp_path: Path,
) -> None:
    first, *runs = finalist(0, 0.9, 0.8, 0.7)
    scores = [(row("a", "liver", 0.5 + n, 4.0), row("a", LEFT, 0.75, None)) for n in (0, 0.25)]
    runs = [
        replace(run, test=(CaseScore(case="a", dice=0.6, hd95=4.0, classes=own),))
        for run, own in zip(runs, scores, strict=True)
    ]
    found = held_out([first, *runs], ["t0000"])
    assert found is not None
    [cells] = cases_frame(found).to_dict("records")
    assert list(cells) == [
        "trial_id", "case", "dice", "hd95", "runs",
        "dice[liver]", f"dice[{LEFT}]", "hd95[liver]", f"hd95[{LEFT}]",
    ]  # fmt: skip
    assert (cells["dice[liver]"], cells[f"dice[{LEFT}]"], cells["runs"]) == (0.625, 0.75, 2)
    assert pd.isna(cells[f"hd95[{LEFT}]"])
    # Written and read again, all of it is there.
    folder = write_sweep(tmp_path / "x", [first])
    write_test(Layout(folder).trial("t0000"), runs[0].test)
    assert read_records(folder)[0].test == runs[0].test
