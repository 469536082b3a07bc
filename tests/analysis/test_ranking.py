from __future__ import annotations

import csv
import io
import json
import random
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from sweep.analysis.ranking.ranking_columns import COLUMNS
from sweep.analysis.ranking.ranking_frame import (
    ranking,
    ranking_frame,
    ranking_json,
    ranking_markdown,
    unfinished,
    winner,
    write_ranking,
)
from sweep.store.store import Store
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.errors import ResultsError, SweepFailed
from sweep.vocabulary.record import (
    Divergence,
    Outcome,
    ParameterValue,
    Stage,
    Status,
    TrialRecord,
)

DIVERGED = Outcome.diverged(
    Divergence(
        cause="nonfinite",
        epoch=1,
        step=0,
        message="NaN",
        stage=Stage.GRADIENT,
        term="compactness",
    )
)


def trial(
    number: int,
    status: Status | Outcome | None,
    *dice: float | None,
    **parameters: ParameterValue,
) -> TrialRecord:
    """A trial with one epoch of a quarter second a Dice; None as status: it runs."""
    return TrialRecord(
        trial_id=f"t{number:04d}",
        number=number,
        parameters=parameters,
        history=tuple(
            EpochMetrics(epoch=epoch, val_dice=value, seconds=0.25)
            for epoch, value in enumerate(dice)
        ),
        outcome=Outcome(status=status) if isinstance(status, Status) else status,
    )


def order(*records: TrialRecord) -> list[str]:
    return list(ranking_frame(records, [])["trial_id"])


def test_columns_are_those_of_the_results_contract() -> None:
    frame = ranking_frame([], ["loss.warmup_epochs", "early_stopping.patience"])
    assert list(frame.columns) == [
        "rank",
        "trial_id",
        "status",
        "val_dice",
        "best_epoch",
        "epochs",
        "seconds",
        "cause",
        "val_dice_before_end",
        "last_dice",
        "loss.warmup_epochs",
        "early_stopping.patience",
    ]


def test_row_of_a_completed_trial_has_its_best_epoch() -> None:
    [row] = json.loads(
        ranking_json(ranking([trial(4, Status.COMPLETED, 0.5, 0.75, 0.75, 0.25, a=1)], ["a"]))
    )
    assert row == {
        "rank": 1,
        "trial_id": "t0004",
        "status": "completed",
        "val_dice": 0.75,
        "best_epoch": 1,
        "epochs": 4,
        "seconds": 1.0,
        "cause": "",
        "val_dice_before_end": None,
        "last_dice": 0.25,
        "a": 1,
    }


def test_diverged_trial_ranks_last_and_keeps_its_cause() -> None:
    frame = ranking_frame([trial(0, DIVERGED, 0.99, 0.5), trial(1, Status.COMPLETED, 0.1)], [])
    assert list(frame["trial_id"]) == ["t0001", "t0000"]
    assert list(frame["rank"]) == [1, 2]
    assert frame["cause"].iloc[1] == "nonfinite gradient (compactness) at epoch 1 step 0"


@pytest.mark.parametrize("ended", [DIVERGED, Outcome(status=Status.FAILED, cause="OSError: x")])
def test_no_sort_by_dice_surfaces_a_diverged_or_failed_trial(ended: Outcome) -> None:
    frame = ranking_frame([trial(0, ended, 0.99), trial(1, Status.COMPLETED, 0.1)], [])
    assert frame.sort_values("val_dice", ascending=False)["trial_id"].iloc[0] == "t0001"
    last = frame.iloc[-1]
    assert pd.isna(last["val_dice"])
    assert pd.isna(last["best_epoch"])
    assert last["val_dice_before_end"] == 0.99


def test_groups_come_as_measured_then_unmeasured_then_diverged_then_failed() -> None:
    assert order(
        trial(0, Status.FAILED, 0.9),
        trial(1, DIVERGED, 0.9),
        trial(2, Status.COMPLETED, None),
        trial(3, Status.PRUNED),
        trial(4, Status.EARLY_STOPPED, 0.0),
        trial(5, Status.PRUNED, 0.2),
        trial(6, Status.COMPLETED, 0.1),
    ) == ["t0005", "t0006", "t0004", "t0003", "t0002", "t0001", "t0000"]


def test_equal_dice_prefers_fewer_epochs_then_the_earlier_trial() -> None:
    assert order(
        trial(2, Status.COMPLETED, 0.5),
        trial(1, Status.COMPLETED, 0.5),
        trial(0, Status.COMPLETED, 0.5, 0.5),
    ) == ["t0001", "t0002", "t0000"]


def test_parameter_that_is_named_as_a_column_does_not_replace_it() -> None:
    frame = ranking_frame([trial(0, Status.COMPLETED, 0.5, cause="x", rank=7)], ["cause", "rank"])
    assert frame[["rank", "cause"]].to_dict("records") == [{"rank": 1, "cause": ""}]


def test_seconds_beyond_all_numbers_are_null_in_json() -> None:
    history = tuple(EpochMetrics(epoch=e, val_dice=0.5, seconds=1e308) for e in range(2))
    long = replace(trial(0, Status.COMPLETED), history=history)
    assert json.loads(ranking_json(ranking([long], [])))[0]["seconds"] is None


def test_nan_never_hides_a_value() -> None:
    frame = ranking_frame([trial(0, Status.COMPLETED, 0.9, float("nan"), 0.3)], [])
    assert (frame["val_dice"].item(), frame["best_epoch"].item()) == (0.9, 0)


def test_unfinished_trials_are_counted_and_not_ranked() -> None:
    records = [trial(0, None, 0.9), trial(1, None), trial(2, Status.PRUNED, 0.1)]
    assert order(*records) == ["t0002"]
    assert unfinished(records) == 2


def test_winner_is_the_first_with_a_result() -> None:
    assert winner(ranking([], [])) is None
    assert winner(ranking([trial(0, DIVERGED, 0.9)], [])) is None
    assert winner(ranking([trial(0, Status.COMPLETED, None)], [])) is None
    assert winner(ranking([trial(0, DIVERGED, 1.0), trial(1, Status.PRUNED, 0)], [])) == ("t0001")


dice_values = st.none() | st.floats(0, 1) | st.just(float("nan"))
values = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
)


@st.composite
def sweeps(draw: st.DrawFn) -> list[TrialRecord]:
    """Up to eight trials of one parameter, in any state."""
    return [
        trial(
            number,
            draw(st.sampled_from([None, DIVERGED, *(s for s in Status if s.is_final)])),
            *draw(st.lists(dice_values, max_size=4)),
            a=draw(values),
        )
        for number in range(draw(st.integers(0, 8)))
    ]


@given(records=sweeps(), seed=st.integers())
def test_ranking_does_not_depend_on_the_order_of_its_input(
    records: list[TrialRecord], seed: int
) -> None:
    shuffled = random.Random(seed).sample(records, len(records))
    pd.testing.assert_frame_equal(ranking_frame(records, ["a"]), ranking_frame(shuffled, ["a"]))


@given(records=sweeps())
def test_every_finished_trial_has_exactly_one_row_and_dice_never_rises(
    records: list[TrialRecord],
) -> None:
    frame = ranking_frame(records, ["a"])
    finished = sorted(record.trial_id for record in records if record.status.is_final)
    assert sorted(frame["trial_id"]) == finished
    assert list(frame["rank"]) == list(range(1, len(frame) + 1))
    assert frame["val_dice"].dropna().is_monotonic_decreasing
    assert len(frame) + unfinished(records) == len(records)


@given(records=sweeps())
def test_csv_and_json_hold_the_same_rows_with_their_exact_values(
    records: list[TrialRecord],
) -> None:
    table = ranking(records, ["a"])
    from_csv = list(csv.DictReader(io.StringIO(ranking_frame(records, ["a"]).to_csv(index=False))))
    from_json = json.loads(ranking_json(table))
    assert from_csv == [
        {name: "" if value is None else str(value) for name, value in row.items()}
        for row in from_json
    ]
    by_id = {record.trial_id: record for record in records}
    for row in from_json:
        value = by_id[row["trial_id"]].parameters["a"]
        assert (type(row["a"]), row["a"]) == (type(value), value)


def test_whole_numbers_stay_whole_beside_empty_cells() -> None:
    records = [trial(0, Status.COMPLETED, 0.5, a=3), trial(1, DIVERGED, a=None)]
    csv_text = ranking_frame(records, ["a"]).to_csv(index=False)
    assert csv_text.splitlines()[1:] == [
        "1,t0000,completed,0.5,0,1,0.25,,,0.5,3",
        "2,t0001,diverged,,,0,0.0,nonfinite gradient (compactness) at epoch 1 step 0,,,",
    ]


def test_markdown_is_a_table_that_a_cause_cannot_break() -> None:
    failed = Outcome(status=Status.FAILED, cause="ValueError: a|b\nc")
    lines = ranking_markdown(
        ranking([trial(0, failed), trial(1, Status.COMPLETED, 1 / 3, a=1e-4)], ["a"])
    ).splitlines()
    assert lines == [
        f"| {' | '.join([*COLUMNS, 'a'])} |",
        f"| {' | '.join(['---'] * 11)} |",
        "| 1 | t0001 | completed | 0.3333 | 0 | 1 | 0.25 |  |  | 0.3333 | 0.0001 |",
        "| 2 | t0000 | failed |  |  | 0 | 0 | ValueError: a\\|b c |  |  |  |",
    ]


# --- the files ------------------------------------------------------------------------------------

SWEEP_YAML = "name: example\nspace:\n  loss.warmup_epochs: {randint: [2, 8]}\n"


@pytest.fixture(params=["sweep", "ε with space", "line\nbreak: 1"])
def folder(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    return tmp_path / str(request.param)


def fill(folder: Path, *records: TrialRecord) -> None:
    with Store.create(folder, SWEEP_YAML) as store:
        for record in records:
            trial_id = store.start_trial(
                record.number, record.parameters, f"seed: {record.number}\n"
            )
            for metrics in record.history:
                store.append_epoch(trial_id, metrics)
            if record.outcome is not None:
                store.end_trial(trial_id, record.outcome)


def test_best_yaml_is_the_winners_configuration_with_its_origin(folder: Path) -> None:
    fill(folder, trial(0, DIVERGED, 0.9), trial(1, Status.PRUNED, 0.25, 0.5), trial(2, None, 0.9))
    ranking = write_ranking(folder)
    assert (ranking.winner, unfinished(ranking.records), len(ranking.table)) == ("t0001", 1, 2)
    text = (folder / "best.yaml").read_text()
    assert YAML(typ="safe", pure=True).load(text) == {"seed": 1}
    assert "# Best of the sweep example: t0001 (pruned)\n" in text
    assert "# validation Dice 0.5 at epoch 1\n" in text
    assert "# python -m sweep.train " in text
    written = pd.read_csv(folder / "ranking.csv")
    assert list(written["trial_id"]) == ["t0001", "t0000"]
    assert "loss.warmup_epochs" in written.columns


def test_ranking_without_a_winner_says_so_and_keeps_what_is_there(folder: Path) -> None:
    fill(folder, trial(0, DIVERGED, 0.9))
    (folder / "best.yaml").write_text("kept")
    assert write_ranking(folder).winner is None
    assert (folder / "best.yaml").read_text() == "kept"
    assert len(pd.read_csv(folder / "ranking.csv")) == 1


def test_ranking_of_an_empty_sweep_is_a_header(folder: Path) -> None:
    fill(folder)
    ranking = write_ranking(folder)
    assert (ranking.winner, unfinished(ranking.records), len(ranking.table)) == (None, 0, 0)
    assert (folder / "ranking.csv").read_text().startswith("rank,trial_id,status,val_dice")
    assert json.loads(ranking_json(ranking.table)) == []


def test_ranking_of_what_is_no_results_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match="not a results folder"):
        write_ranking(tmp_path)


def test_ranking_that_cannot_be_written_fails_with_the_path(tmp_path: Path) -> None:
    fill(tmp_path, trial(0, Status.COMPLETED, 0.5))
    (tmp_path / "ranking.csv").mkdir()
    with pytest.raises(SweepFailed, match=r"cannot write .*ranking\.csv"):
        write_ranking(tmp_path)


def test_presets_are_named_in_a_column_of_their_own_where_there_are_any() -> None:
    records = [
        trial(0, Status.COMPLETED, 0.3, a=1),
        replace(trial(1, Status.COMPLETED, 0.9, a=2), preset="baseline"),
        replace(trial(2, DIVERGED, 0.1, a=3), preset="geometric-v2.3"),
    ]
    table = ranking(records, ["a"])
    assert list(table) == [*COLUMNS, "preset", "delta_baseline", "a"]
    assert [row["preset"] for row in json.loads(ranking_json(table))] == [
        "baseline", None, "geometric-v2.3"
    ]  # fmt: skip
    assert "preset" not in ranking_frame(records[:1], ["a"])


def test_each_trial_is_compared_with_every_preset_that_has_a_result() -> None:
    records = [
        trial(0, Status.COMPLETED, 0.75),
        replace(trial(1, Status.COMPLETED, 0.5), preset="baseline"),
        replace(trial(2, Status.COMPLETED, 0.25), preset="geometric-v2.4"),
        replace(trial(3, DIVERGED, 0.9), preset="geometric-v2.3"),
    ]
    rows = json.loads(ranking_json(ranking(records, [])))
    assert [(row["delta_baseline"], row["delta_geometric-v2.4"]) for row in rows] == [
        (0.25, 0.5), (0.0, 0.25), (-0.25, 0.0), (None, None)
    ]  # fmt: skip
    assert "delta_geometric-v2.3" not in rows[0]


def test_pruned_trial_is_compared_with_what_the_preset_had_reached_by_then() -> None:
    baseline = trial(0, Status.COMPLETED, 0.25, 0.5, 0.375, 0.75)
    records = [
        replace(baseline, preset="baseline"),
        trial(1, Status.PRUNED, 0.25, 0.5, 0.625),
        trial(2, Status.EARLY_STOPPED, 0.25, 0.5, 0.625),  # whoever stops by itself is done
    ]
    rows = {row["trial_id"]: row for row in json.loads(ranking_json(ranking(records, [])))}
    assert [rows[f"t000{n}"]["delta_baseline"] for n in range(3)] == [0.0, 0.125, -0.125]


def test_metrics_are_those_of_the_best_epoch_and_no_column_is_taken_by_them() -> None:
    epochs = (
        EpochMetrics(epoch=0, val_dice=0.75, metrics={"hd95": 3.5, "iou": 0.6, "rank": 9.0}),
        EpochMetrics(epoch=1, val_dice=0.5, metrics={"hd95": 1.0, "iou": 0.3}),
    )
    records = [
        replace(trial(0, Status.COMPLETED), history=epochs),
        replace(trial(1, DIVERGED), history=epochs),
        trial(2, Status.COMPLETED, 0.5),
    ]
    rows = json.loads(ranking_json(ranking(records, [])))
    assert [(row["hd95"], row["iou"], row["last_dice"]) for row in rows] == [
        (3.5, 0.6, 0.5), (None, None, 0.5), (None, None, None)
    ]  # fmt: skip
    assert [row["rank"] for row in rows] == [1, 2, 3]
