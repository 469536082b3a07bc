from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from sweep.store.store import Store

Call = Callable[..., Result]

CAUSE = "nonfinite gradient (compactness) at epoch 2 step 0"


def test_table_has_a_row_a_finished_trial_and_the_cause_below(call: Call, results: Path) -> None:
    result = call("rank", "results/toy")
    assert result.exit_code == 0
    lines = [line.split() for line in result.stdout.splitlines() if line.strip()]
    assert lines[0] == ["toy"]
    assert ["1", "t0000", "completed", "0.7500", "1*", "3", "1e-06"] in lines
    assert ["2", "t0001", "diverged", "–", "–", "2", "0"] in lines
    assert f"t0001 diverged: {CAUSE}" in result.stdout
    assert "Not ranked: 2 unfinished trials." in result.stdout


def test_json_holds_the_rows_of_the_contract(call: Call, results: Path) -> None:
    best, diverged = json.loads(call("rank", "results/toy", "--json").stdout)
    assert best == {
        "rank": 1,
        "trial_id": "t0000",
        "status": "completed",
        "val_dice": 0.75,
        "best_epoch": 1,
        "epochs": 3,
        "seconds": 6.0,
        "cause": "",
        "val_dice_before_end": None,
        "last_dice": 0.5,
        "best_before_switch_on": True,  # the loss would have switched on with epoch 20
        "dice_since_switch_on": None,
        "loss.sqrt_epsilon": 1e-06,
    }
    assert diverged["status"] == "diverged"
    assert diverged["cause"] == CAUSE
    assert diverged["val_dice"] is None


def test_two_formats_at_once_are_refused(call: Call, results: Path) -> None:
    refused = call("rank", "results/toy", "--json", "--format", "csv")
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert refused.stderr == "error: --json: contradicts --format csv\n"


def test_csv_holds_the_same_rows_as_json(call: Call, results: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(call("rank", "results/toy", "--format", "csv").stdout)))
    expected = json.loads(call("rank", "results/toy", "--format", "json").stdout)
    as_text = [
        {key: "" if value is None else str(value) for key, value in row.items()} for row in expected
    ]
    assert rows == as_text


def test_markdown_is_a_table_for_a_report(call: Call, results: Path) -> None:
    header, rule, *rows = call("rank", "results/toy", "--format", "markdown").stdout.splitlines()
    assert header.startswith("| rank | trial_id | status | val_dice |")
    assert set(rule) == set("| -")
    assert rows[0].startswith("| 1 | t0000 | completed | 0.75 | 1 |")
    assert CAUSE in rows[1]
    assert len(rows) == 2


@pytest.mark.parametrize("form", ["table", "csv", "json", "markdown", "latex"])
def test_only_the_first_rows_can_be_asked_for(call: Call, results: Path, form: str) -> None:
    output = call("rank", "results/toy", "--top", "1", "--format", form).stdout
    assert "t0000" in output
    assert "t0001" not in output


def test_latex_is_a_table_for_a_paper(call: Call, results: Path) -> None:
    whole = call("rank", "results/toy", "--format", "latex").stdout
    assert r"1 & t0000 & completed & 0.7500 & 3 & 1e-6 \\" in whole
    chosen = call("rank", "results/toy", "--format", "latex", "--columns", "trial_id,cause").stdout
    assert r"trial\_id & cause \\" in chosen
    each = call("rank", "results/toy", "--format", "latex", "--columns=trial_id", "--columns=cause")
    assert each.stdout == chosen
    narrowed = call("rank", "results/toy", "--format", "latex", "--where", "val_dice > 0.9").stdout
    assert "t0000" not in narrowed


def test_ranking_needs_neither_the_lock_nor_the_right_to_write(call: Call, results: Path) -> None:
    before = sorted(path.name for path in results.iterdir())
    with Store.open(results):  # a sweep is running
        assert call("rank", "results/toy").exit_code == 0
    assert sorted(path.name for path in results.iterdir()) == before


@pytest.mark.parametrize("form", ["table", "csv", "json", "markdown", "latex"])
def test_sweep_without_a_finished_trial_has_an_empty_ranking(
    call: Call, results: Path, form: str
) -> None:
    shutil.rmtree(results / "trials")
    result = call("rank", "results/toy", "--format", form)
    assert result.exit_code == 0
    assert "t0" not in result.stdout
    if form == "json":
        assert json.loads(result.stdout) == []


def test_title_is_the_folder_however_it_is_named(
    call: Call, results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(results)
    assert call("rank", ".").stdout.split()[0] == "toy"


@pytest.mark.parametrize("command", ["rank", "export", "watch"])
@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("results", "is not a results folder: it has no sweep.yaml"),
        ("results/nothing", "does not exist"),
        ("tiny.yaml", "is not a results folder: it is a file"),
        ("itself", "is a link that leads nowhere"),
    ],
)
def test_what_is_no_results_folder_is_refused_by_all_that_read_one(
    call: Call, results: Path, command: str, path: str, told: str
) -> None:
    Path("itself").symlink_to("itself")
    result = call(command, path)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == f"error: {path} {told}\n"


def test_damaged_file_is_named(call: Call, results: Path) -> None:
    (results / "trials" / "t0000" / "history.jsonl").write_text("not json\n")
    result = call("rank", "results/toy")
    assert result.exit_code == 2
    assert "t0000/history.jsonl:1: broken" in result.stderr


def ids(result: Result) -> list[str]:
    return [row["trial_id"] for row in json.loads(result.stdout)]


def test_rows_are_filtered_by_conditions_that_all_hold(call: Call, results: Path) -> None:
    rank = ("rank", "results/toy", "--json", "--where")
    assert ids(call(*rank, "val_dice > 0.7")) == ["t0000"]
    assert ids(call(*rank, "status == diverged")) == ["t0001"]
    assert ids(call(*rank, "val_dice == null")) == ["t0001"]
    assert ids(call(*rank, "epochs>=2", "--where", "loss.sqrt_epsilon != 0")) == ["t0000"]


def test_below_filtered_rows_stands_only_what_concerns_them(call: Call, results: Path) -> None:
    table = call("rank", "results/toy", "--where", "status == completed").stdout
    assert "t0000" in table
    assert "t0001" not in table
    assert "Not ranked" not in table
    table = call("rank", "results/toy", "--where", "status == diverged").stdout
    assert f"t0001 diverged: {CAUSE}" in table
    assert "t0000" not in table


def test_condition_that_no_row_fulfils_is_told(call: Call, results: Path) -> None:
    rank = ("rank", "results/toy", "--where", "val_dice > 0.99")
    assert call(*rank).stdout == "No trial matches.\n"
    assert call(*rank, "--columns", "trial_id").stdout == "No trial matches.\n"
    assert json.loads(call(*rank, "--json").stdout) == []


def test_diverged_trials_stay_last_whatever_is_sorted_by(call: Call, results: Path) -> None:
    assert ids(call("rank", "results/toy", "--json", "--sort", "epochs")) == ["t0000", "t0001"]
    assert ids(call("rank", "results/toy", "--json", "--sort", "trial_id:desc")) == [
        "t0000",
        "t0001",
    ]


def test_some_columns_are_printed_in_the_order_asked_for(call: Call, results: Path) -> None:
    result = call("rank", "results/toy", "--format", "csv", "--columns", "trial_id,val_dice")
    assert result.stdout == "trial_id,val_dice\nt0000,0.75\nt0001,\n"
    table = call("rank", "results/toy", "--columns", "trial_id, epochs").stdout.split()
    assert table[:3] == ["toy", "trial_id", "epochs"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (
            ("--sort", "val_dise"),
            "--sort: `val_dise` is not a column of this ranking; did you mean",
        ),
        (("--columns", "sqrt_epsilon"), "did you mean `loss.sqrt_epsilon`?"),
        (("--where", "epocs > 3"), "did you mean `epochs`?"),
        (("--where", "epochs is 3"), "must read like `val_dice > 0.9`, with one of == != >="),
        (("--where", "status == complete"), "`complete` is not a status of a trial; did you mean"),
        (("--where", "status > x"), "only numbers can be compared by `>`, not x"),
    ],
)
def test_wrong_words_are_told_with_what_would_be_right(
    call: Call, results: Path, arguments: tuple[str, str], told: str
) -> None:
    result = call("rank", "results/toy", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert told in result.stderr


def test_several_sweeps_are_ranked_together_and_other_data_is_warned_of(
    call: Call, results: Path
) -> None:
    other = results.with_name("other")
    shutil.copytree(results, other)
    for folder, fold in ((results, 0), (other, 1)):
        with (folder / "sweep.yaml").open("a") as file:
            file.write(f"data: {{source: shapes, fold: {fold}}}\n")
    result = call("rank", "results/toy", "results/other", "--json")
    rows = json.loads(result.stdout)
    assert [(row["rank"], row["sweep"], row["trial_id"]) for row in rows] == [
        (1, "toy", "t0000"), (2, "other", "t0000"), (3, "toy", "t0001"), (4, "other", "t0001")
    ]  # fmt: skip
    assert result.stderr == (
        "warning: toy and other were measured on different data (`data.fold` 0 and 1): their Dice"
        " is not comparable\n"
    )
    assert call("rank", "results/toy", "results/toy").exit_code == 2
