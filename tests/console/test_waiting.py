"""What is shown while something takes long, before and after the trials."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from sweep.api.run_sweep import _evaluating
from sweep.console import sweep_view
from sweep.console.sweep_view import TerminalView


def test_log_has_one_line_for_all_finalists(capsys: pytest.CaptureFixture[str]) -> None:
    with _evaluating(TerminalView(), "Evaluating the finalists on the test split") as show:
        for which in ("t0000, 1 of 3", "t0003, 2 of 3", "t0007, 3 of 3"):
            show(which)
    assert capsys.readouterr().out == "Evaluating the finalists on the test split\n"


def test_terminal_shows_each_finalist_and_the_time_and_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    screen = io.StringIO()
    terminal = Console(file=screen, force_terminal=True, width=100, color_system=None)
    monkeypatch.setattr(sweep_view, "make_console", lambda **_: terminal)
    with _evaluating(TerminalView(), "Evaluating the finalists [on] the test split") as show:
        show("t0003, 2 of 3")
        terminal.print("above")  # draws the line below it once more
    assert (
        "Evaluating the finalists [on] the test split: t0003, 2 of 3 0:00:00" in screen.getvalue()
    )
    assert screen.getvalue().endswith("\x1b[1A\x1b[2K")  # the line is cleared
