"""The search spaces and examples that come with the package."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from sweep.cli import app
from sweep.starter.shipped_files import FOLDERS, SHIPPED, files_of, shipped_folder

Call = Callable[..., Result]


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Call:
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(app, ["init", *arguments])


def test_every_file_of_both_folders_has_a_name_to_write_it_by() -> None:
    there = {
        file.relative_to(shipped_folder()).as_posix()
        for folder in FOLDERS
        for file in (shipped_folder() / folder).rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    assert {file for shipped in SHIPPED.values() for file in files_of(shipped)} == there


def test_without_a_name_all_are_listed(call: Call) -> None:
    lines = call().stdout.splitlines()
    for name, shipped in SHIPPED.items():
        assert any(line.split() == [name, *shipped.words.split()] for line in lines)


@pytest.mark.parametrize("name", SHIPPED)
def test_files_are_written_as_they_are_and_where_their_own_text_says(
    call: Call, tmp_path: Path, name: str
) -> None:
    result = call(name)
    assert result.exit_code == 0
    for file in files_of(SHIPPED[name]):
        text = (shipped_folder() / file).read_text(encoding="utf-8")
        written = (tmp_path / file).read_text(encoding="utf-8")
        assert written in (text, text.partition("\n")[2])  # without the line for editors
        assert "$schema=../" not in written
        assert file in result.stdout.splitlines()
    if SHIPPED[name].next:
        assert f"Next: {SHIPPED[name].next}" in result.stdout
        assert (tmp_path / SHIPPED[name].next.split()[-1]).exists()


def test_nothing_is_overwritten_unless_asked(call: Call, tmp_path: Path) -> None:
    call("function")
    (tmp_path / "examples" / "function.yaml").write_text("mine")
    (tmp_path / "examples" / "function_trainer.py").unlink()
    result = call("function")
    assert result.exit_code == 2
    assert result.stderr == (
        "error: examples/function.yaml: exists already; --force overwrites it\n"
    )
    assert not (tmp_path / "examples" / "function_trainer.py").exists()
    assert call("function", "--force").exit_code == 0
    assert (tmp_path / "examples" / "function.yaml").read_text() != "mine"


def test_files_for_another_folder_are_run_there(call: Call, tmp_path: Path) -> None:
    result = call("quickstart", "-o", "my tries")
    assert (tmp_path / "my tries" / "search_spaces" / "quickstart.yaml").exists()
    assert "Next: cd 'my tries' && python -m sweep.run search_spaces/quickstart.yaml" in (
        result.stdout
    )


@pytest.mark.parametrize("option", [("--trainer", "nnunet"), ("--gpu-memory", "24")])
def test_option_of_a_fitted_file_is_not_ignored_without_one(
    call: Call, option: tuple[str, str]
) -> None:
    result = call("quickstart", *option)
    assert result.exit_code == 2
    assert result.stderr == f"error: {option[0]}: fits a file to a dataset: give --from too\n"


def test_misspelt_name_is_answered_with_the_right_one(call: Call) -> None:
    result = call("quikstart")
    assert result.exit_code == 2
    assert "did you mean `quickstart`?" in result.stderr
