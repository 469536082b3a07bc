"""A sweep of many trials keeps no epochs in memory, and says the same of them."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import pytest
from synthetic import SWEEP_YAML, drawn, write_sweep

from sweep.analysis.effective_settings import read_spec
from sweep.analysis.figures.budget_figure import spent
from sweep.analysis.figures.sweep_results import Results
from sweep.analysis.ranking.ranking_frame import csv_text, ranking_json
from sweep.store import read_results
from sweep.store.files import JsonLines, parsed, read_jsonl
from sweep.store.layout import Layout
from sweep.store.read_results import read_records
from sweep.vocabulary.epoch_metrics import EpochMetrics, StoredHistory
from sweep.vocabulary.errors import ResultsError
from sweep.vocabulary.record import TrialRecord

OBJECTIVES = (
    "",
    "objective: {{metric: hd95, mode: min}}\n",
    "objective: [val_dice, {{metric: hd95, mode: min}}, seconds]\n",
)


def detailed(number: int) -> TrialRecord:
    record = drawn(number)
    history = tuple(
        replace(
            epoch,
            metrics={"hd95": round(3 - (epoch.val_dice or 0), 1), "iou": 0.5},
            distance_unit="mm",
            shared=epoch.epoch < 2 and number % 2 == 0,
            seconds=0.1 * epoch.epoch,
            warnings=("odd",) if number == 3 else (),
        )
        for epoch in record.history
    )
    return replace(record, history=history, preset="baseline" if number == 0 else None)


@pytest.fixture(params=OBJECTIVES, ids=["dice", "hd95", "several"])
def folder(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    yaml = SWEEP_YAML.replace("space:", f"{request.param}space:")
    return write_sweep(tmp_path / "sweep", [detailed(n) for n in range(12)], yaml)


@pytest.fixture
def compact(folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[TrialRecord]:
    monkeypatch.setattr(read_results, "MANY", 1)
    return read_records(folder)


def test_trial_without_epochs_in_memory_equals_that_with_them(
    folder: Path, compact: list[TrialRecord]
) -> None:
    assert all(isinstance(record.history, StoredHistory) for record in compact)
    whole = read_records(folder, whole=True)
    assert compact == whole
    for one, other in zip(compact, whole, strict=True):
        assert (one.best, one.value, one.point) == (other.best, other.value, other.point)
        assert (one.seconds, one.shared_seconds) == (other.seconds, other.shared_seconds)
        assert one.warnings == other.warnings
        assert [*one.objective.curve(one.history)] == [*other.objective.curve(other.history)]
        assert one.history[-1] == other.history[-1]


def test_ranking_and_budget_are_the_same_to_the_byte(
    folder: Path, compact: list[TrialRecord]
) -> None:
    both = (compact, read_records(folder, whole=True))
    found = [
        Results(folder=folder, spec=read_spec(folder), records=tuple(records)) for records in both
    ]
    one, other = ((ranking_json(r.table), csv_text(r.frame), spent(r)) for r in found)
    assert one == other


def test_epochs_that_came_after_reading_are_left_out(
    folder: Path, compact: list[TrialRecord]
) -> None:
    path = Layout(folder).trial("t0001").history
    epochs = len(compact[1].history)
    line = path.read_text().splitlines()[-1].replace(f'"epoch": {epochs - 1}', f'"epoch": {epochs}')
    path.write_text(f"{path.read_text()}{line}\n")
    assert len(tuple(compact[1].history)) == epochs
    assert len(read_records(folder)[1].history) == epochs + 1


def test_history_that_was_changed_after_reading_is_an_error(
    folder: Path, compact: list[TrialRecord]
) -> None:
    path = Layout(folder).trial("t0001").history
    path.write_text("\n".join(path.read_text().splitlines()[:1]) + "\n")
    with pytest.raises(ResultsError, match=r"history\.jsonl was changed in the meantime"):
        tuple(compact[1].history)


def test_trials_of_a_large_sweep_can_go_to_another_process(compact: list[TrialRecord]) -> None:
    assert pickle.loads(pickle.dumps(compact)) == compact


@pytest.mark.parametrize(
    "line",
    [
        '{"epoch": 0, "val_dice": 0.5, "terms": {"a": 1}, "warnings": ["\\ud800"], "later": {}}',
        '{"epoch": 0, "val_dice": 1e999}',
        '{"epoch": 0, "val_dice": 0.5, "terms": {"a": -1e999}}',
        '{"epoch": 0, "val_dice": NaN}',
        '{"epoch": 0, "val_dice": 0.5, "unknown": Infinity}',
        '{"epoch": 0, "val_dice": 1' + 400 * "0" + ".0}",
        '{"epoch": 0, "val_dice": 0.5}{}',
        '{"val_dice": 0.5}',
        "[]",
        "",
    ],
)
def test_fast_reader_says_the_same_of_a_line_as_the_other(tmp_path: Path, line: str) -> None:
    path = tmp_path / "history.jsonl"
    path.write_text(f'{{"epoch": 0, "val_dice": null}}\n{line}\n{{"torn')

    def said(fast: bool) -> object:
        try:
            if fast:
                return [EpochMetrics(**line) for line in JsonLines.read(path).fields(EpochMetrics)]
            return [*read_jsonl(path, lambda values: parsed(EpochMetrics, values))]
        except ResultsError as error:
            return str(error)

    assert said(fast=True) == said(fast=False)
