from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from sweep.store.read_results import read_parameter_names, read_records
from sweep.store.store import Store
from sweep.vocabulary.errors import ResultsError

MakeSweep = Callable[[Path], Path]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_folder_of_an_earlier_sweep_is_refused_with_what_to_do(
    make_sweep: MakeSweep, tmp_path: Path, sweep_yaml: str
) -> None:
    folder = make_sweep(tmp_path / "sweep")
    before = read_records(folder)
    with pytest.raises(ResultsError, match=r"not empty: .*--resume, .*`name:` .*, or remove"):
        Store.create(folder, sweep_yaml)
    assert read_records(folder) == before


def test_folder_of_somebody_else_is_refused_without_advice_to_resume(
    tmp_path: Path, sweep_yaml: str
) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(ResultsError, match="not empty") as caught:
        Store.create(tmp_path, sweep_yaml)
    assert "--resume" not in str(caught.value)
    assert names(tmp_path) == ["thesis.tex"]


def test_start_that_was_killed_before_it_wrote_the_spec_can_be_repeated(
    tmp_path: Path, sweep_yaml: str
) -> None:
    (tmp_path / ".lock").touch()
    (tmp_path / ".sweep.yaml.0123.tmp").touch()
    with Store.create(tmp_path, sweep_yaml) as store:
        assert store.records() == []


def test_path_that_is_a_file_is_refused_with_its_name(tmp_path: Path, sweep_yaml: str) -> None:
    file = tmp_path / "file"
    file.touch()
    for folder in (file, file / "below"):
        with pytest.raises(ResultsError, match=str(folder)):
            Store.create(folder, sweep_yaml)
        with pytest.raises(ResultsError, match=str(folder)):
            Store.open(folder)


@pytest.mark.parametrize("use", [Store.open, read_records, read_parameter_names])
def test_folder_that_is_no_results_folder_is_told_so(
    tmp_path: Path, use: Callable[[Path], object]
) -> None:
    with pytest.raises(ResultsError, match=r"is not a results folder: it has no sweep\.yaml"):
        use(tmp_path)
    with pytest.raises(ResultsError, match="does not exist"):
        use(tmp_path / "missing")
    assert names(tmp_path) == []


def test_second_store_on_a_folder_is_refused_until_the_first_closes(
    make_sweep: MakeSweep, tmp_path: Path
) -> None:
    folder = make_sweep(tmp_path / "sweep")
    with Store.open(folder):
        with pytest.raises(ResultsError, match="is in use"):
            Store.open(folder)
        assert len(read_records(folder)) == 2  # readers need no lock
    Store.open(folder).close()


START = """
import sys
from pathlib import Path
from sweep.vocabulary.errors import ResultsError
from sweep.store.store import Store

print("ready", flush=True)
sys.stdin.readline()
try:
    store = Store.create(Path(sys.argv[1]), "space: {}\\n")
    print("won", flush=True)
except ResultsError:
    print("refused", flush=True)
sys.stdin.readline()
"""


def test_of_processes_that_start_at_once_exactly_one_wins_and_its_death_frees_the_folder(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "sweep"
    command = [sys.executable, "-c", START, str(folder)]
    racers = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]

    def answer(racer: subprocess.Popen[str]) -> str:
        assert racer.stdout is not None
        return racer.stdout.readline().strip()

    try:
        assert [answer(racer) for racer in racers] == ["ready"] * 3
        for racer in racers:
            assert racer.stdin is not None
            racer.stdin.write("\n")
            racer.stdin.flush()
        assert sorted(answer(racer) for racer in racers) == ["refused", "refused", "won"]
        with pytest.raises(ResultsError, match="is in use"):
            Store.open(folder)
    finally:
        for racer in racers:
            racer.kill()
            racer.communicate()
    Store.open(folder).close()
