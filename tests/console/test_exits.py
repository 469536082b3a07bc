from __future__ import annotations

import gc
import io
import pickle
from contextlib import suppress
from errno import ENOSPC
from pathlib import Path

import pytest
import typer

from sweep.command_line.exit_codes import exit_codes
from sweep.command_line.rare_collections import rare_collections
from sweep.machine.interrupted import INTERRUPTED
from sweep.vocabulary.errors import (
    InputError,
    Mistake,
    NotApplied,
    ResultsError,
    StorageFailed,
    SweepError,
    SweepFailed,
)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InputError.single("must be positive", key="trials", file="x.yaml", line=3), 2),
        (ResultsError("results/x exists already"), 2),
        (SweepFailed("no trial has a result"), 1),
    ],
)
def test_error_of_the_package_becomes_one_line_and_its_exit_code(
    error: SweepError, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(typer.Exit) as end, exit_codes():
        raise error
    assert end.value.exit_code == code
    assert end.value.__suppress_context__
    assert capsys.readouterr() == ("", f"error: {error}\n")


@pytest.mark.parametrize(
    "error",
    [
        InputError([Mistake("must be positive", key="trials"), Mistake("is missing", file="x")]),
        NotApplied({"optimizer.lr": (0.1, 0.01)}),
        StorageFailed("the disk is full"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_error_of_another_process_is_what_it_was_there(error: SweepError) -> None:
    there = pickle.loads(pickle.dumps(error))
    assert (type(there), str(there), vars(there)) == (type(error), str(error), vars(error))


def test_path_that_the_system_refuses_is_told_in_one_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    name = "x" * 300
    with pytest.raises(typer.Exit) as end, exit_codes():
        Path(name).stat()
    assert end.value.exit_code == 2
    assert capsys.readouterr() == ("", f"error: {name}: File name too long\n")


def test_full_disk_that_nobody_expected_is_not_hidden() -> None:
    with pytest.raises(OSError, match="No space left"), exit_codes():
        raise OSError(ENOSPC, "No space left on device", "x")


def test_every_mistake_is_a_line_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    mistakes = [Mistake("is wrong", key=key, file="x.yaml", line=1) for key in ("a", "b")]
    with pytest.raises(typer.Exit), exit_codes():
        raise InputError(mistakes)
    assert capsys.readouterr().err == "errors:\nx.yaml:1: a: is wrong\nx.yaml:1: b: is wrong\n"


def test_interruption_is_told_and_has_its_code(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as end, exit_codes():
        raise KeyboardInterrupt
    assert end.value.exit_code == INTERRUPTED == 130
    assert capsys.readouterr() == ("", "interrupted\n")


def test_fault_of_the_program_itself_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError), exit_codes():
        raise ZeroDivisionError


def test_control_characters_of_a_message_are_written_out(
    capsys: pytest.CaptureFixture[str],
) -> None:
    error = InputError.single("is\x1b[2J wrong\n", file="a\nb\udcff.yaml", line=1)
    with pytest.raises(typer.Exit), exit_codes():
        raise error
    assert capsys.readouterr().err == "error: a\\nb\\udcff.yaml:1: is\\x1b[2J wrong\\n\n"


def test_what_stdout_cannot_show_is_written_out(monkeypatch: pytest.MonkeyPatch) -> None:
    stdout = io.TextIOWrapper(io.BytesIO(), encoding="latin-1")
    monkeypatch.setattr("sys.stdout", stdout)
    with exit_codes():
        typer.echo("Dice – \udcff")
    stdout.flush()
    assert stdout.buffer.getvalue() == b"Dice \\u2013 \\udcff\n"


def test_rare_collections_end_with_the_command_that_asked_for_them() -> None:
    before = gc.get_threshold()
    with suppress(RuntimeError), rare_collections():
        assert gc.get_threshold()[0] > before[0]
        raise RuntimeError
    assert gc.get_threshold() == before


def test_what_a_command_leaves_is_not_searched_when_python_ends() -> None:
    gc.unfreeze()
    kept = [[]]
    with rare_collections():
        assert gc.get_freeze_count() == 0
    assert gc.get_freeze_count() > 0
    assert not any(found is kept for found in gc.get_objects())
