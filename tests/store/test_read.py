from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sweep.errors import ResultsError
from sweep.store.read import read_parameter_names, read_records
from sweep.store.store import Store

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
