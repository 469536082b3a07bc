"""Nobody reads what is printed, and what is done goes on. The streams are real pipes and files."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sweep.command_line.output_stream import is_read, tolerant_output

PRINTS = """
import sys
from sweep.command_line.exit_codes import exit_codes
from sweep.console.console_words import make_console
with exit_codes(continues={continues}):
    for number in range(3):
        make_console().print("line", number)
    print("done", file=open(sys.argv[1], "w"))
"""


def run(folder: Path, shell: str, *, continues: bool = True) -> subprocess.CompletedProcess[str]:
    script = folder / "prints.py"
    script.write_text(PRINTS.format(continues=continues))
    command = f"{sys.executable} {script} {folder / 'done'} {shell}"
    return subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("shell", ["| true; exit ${PIPESTATUS[0]}", "> /dev/full", ">&-"])
def test_command_comes_to_its_end_where_nobody_reads(tmp_path: Path, shell: str) -> None:
    if "full" in shell and not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    done = run(tmp_path, shell)
    assert (tmp_path / "done").read_text() == "done\n"
    assert done.returncode == 0
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


def test_it_is_said_once_where_something_goes_on(tmp_path: Path) -> None:
    told = "warning: standard output is gone (No space left on device): continuing without it\n"
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    assert run(tmp_path, "> /dev/full").stderr == told
    assert run(tmp_path, "> /dev/full", continues=False).stderr == ""


def test_errors_that_nobody_reads_either_are_no_traceback(tmp_path: Path) -> None:
    assert run(tmp_path, "2>&1 | true; exit ${PIPESTATUS[0]}").returncode == 0


def test_whoever_only_shows_something_can_ask_whether_it_is_seen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reader, writer = os.pipe()
    with os.fdopen(writer, "w") as stream:
        monkeypatch.setattr("sys.stdout", stream)
        with tolerant_output(warn=False):
            print("one", flush=True)  # noqa: T201
            assert is_read()
            os.close(reader)
            print("two", flush=True)  # noqa: T201
            assert not is_read()
    assert is_read()
