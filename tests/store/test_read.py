from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from sweep.store.read_results import read_parameter_names, read_records
from sweep.store.store import Store
from sweep.vocabulary.errors import ResultsError

MakeSweep = Callable[[Path], Path]


def read_lines(path: Path) -> list[str]:
    return path.read_text().splitlines(keepends=True)


def test_records_come_by_number_also_past_ten_thousand(store: Store) -> None:
    for number in (10000, 9999, 2):
        store.start_trial(number, {}, "")
    assert [record.number for record in store.records()] == [2, 9999, 10000]


def test_strange_entries_among_the_trials_are_passed_over(
    make_sweep: MakeSweep, tmp_path: Path
) -> None:
    folder = make_sweep(tmp_path / "sweep")
    (folder / "trials" / ".DS_Store").touch()
    (folder / "trials" / "t0000 (copy)").mkdir()
    (folder / "trials" / "t0009").touch()
    assert len(read_records(folder)) == 2
    Store.open(folder).close()


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"parameters": {}, "status": "happy"}',
        '{"parameters": 1, "status": 1}',
    ],
)
def test_broken_trial_file_is_an_error_that_names_it(
    make_sweep: MakeSweep, tmp_path: Path, content: str
) -> None:
    folder = make_sweep(tmp_path / "sweep")
    (folder / "trials" / "t0001" / "trial.json").write_text(content)
    with pytest.raises(ResultsError, match=r"t0001/trial\.json: broken"):
        read_records(folder)


def test_history_with_a_hole_is_an_error_that_names_the_line(
    make_sweep: MakeSweep, tmp_path: Path
) -> None:
    folder = make_sweep(tmp_path / "sweep")
    history = folder / "trials" / "t0001" / "history.jsonl"
    lines = read_lines(history)
    history.write_text(lines[0] + lines[2])
    with pytest.raises(ResultsError, match=r"history\.jsonl:2: broken, epoch 1 is missing"):
        read_records(folder)


@pytest.mark.parametrize(
    "text", ["[1, 2]", "space: 3", "{", "a: !!python/object:os.system {}", "\0"]
)
def test_spec_that_is_broken_is_an_error_that_names_the_file(tmp_path: Path, text: str) -> None:
    (tmp_path / "sweep.yaml").write_text(text)
    with pytest.raises(ResultsError, match=r"sweep\.yaml(:1)?: broken"):
        read_parameter_names(tmp_path)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("epoch", None),
        ("epoch", 2.5),
        ("val_dice", "good"),
        ("val_dice", [0.5]),
        ("seconds", "long"),
        ("terms", {"dice": "x"}),
        ("warnings", [1]),
    ],
)
def test_value_of_another_type_is_an_error_that_names_line_and_field(
    make_sweep: MakeSweep, tmp_path: Path, field: str, value: object
) -> None:
    folder = make_sweep(tmp_path / "sweep")
    history = folder / "trials" / "t0001" / "history.jsonl"
    first, *rest = read_lines(history)
    history.write_text("".join([first, json.dumps(json.loads(rest[0]) | {field: value}) + "\n"]))
    with pytest.raises(ResultsError, match=rf"t0001/history\.jsonl:2: broken, {field}"):
        read_records(folder)


@pytest.mark.parametrize("value", [{"a": 1}, [1, {"a": 1}]])
def test_parameter_that_is_neither_a_value_nor_a_list_is_an_error_that_names_it(
    make_sweep: MakeSweep, tmp_path: Path, value: object
) -> None:
    folder = make_sweep(tmp_path / "sweep")
    file = folder / "trials" / "t0001" / "trial.json"
    file.write_text(json.dumps({"parameters": {"loss.min_area": value}, "status": "running"}))
    with pytest.raises(ResultsError, match=r"t0001/trial\.json: broken, parameters.loss.min_area"):
        read_records(folder)


@pytest.mark.parametrize("name", ["trials", "trials/t0001"])
@pytest.mark.parametrize("use", [read_records, Store.open])
def test_folder_that_is_a_link_is_refused(
    make_sweep: MakeSweep, tmp_path: Path, name: str, use: Callable[[Path], object]
) -> None:
    folder = make_sweep(tmp_path / "sweep")
    (folder / name).rename(tmp_path / "elsewhere")
    (folder / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ResultsError, match=rf"{name}: broken, it is a link"):
        use(folder)


def test_aliases_that_repeat_each_other_without_end_are_refused(tmp_path: Path) -> None:
    lines = ["k0: &k0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"k{n}: &k{n} [{', '.join([f'*k{n - 1}'] * 9)}]" for n in range(1, 10)]
    (tmp_path / "sweep.yaml").write_text("\n".join([*lines, "space: {? *k9 : 1}"]))
    with pytest.raises(ResultsError, match=r"sweep\.yaml: broken, .* counting what aliases repeat"):
        read_parameter_names(tmp_path)
