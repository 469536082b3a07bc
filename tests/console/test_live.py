from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from sweep.console.live import SHOWN_RUNNING, LiveView
from sweep.console.progress import Progress
from sweep.record import Status

widths = pytest.mark.parametrize("width", [100, 60])


def drawn(progress: Progress, width: int, name: str = "quickstart") -> str:
    """What the view shows on a console without a terminal."""
    console = Console(file=io.StringIO(), width=width, record=True)
    console.print(LiveView(name, progress, console))
    return console.export_text()


def words(text: str) -> str:
    """With every run of blanks and line breaks as one blank."""
    return " ".join(text.split())


@widths
def test_view_of_a_sweep_that_has_not_begun(progress: Progress, width: int) -> None:
    text = words(drawn(progress, width))
    assert text.startswith("quickstart 0/10 trials 0 s starting")
    assert "best so far: none yet" in text


@widths
def test_view_shows_progress_counts_best_and_running_trials(
    progress: Progress, story: Any, clock: Any, width: int
) -> None:
    story.start(0, 0.25, 0.75)
    story.end(0, Status.EARLY_STOPPED)
    story.start(1, 0.5, None)
    clock.now += 90
    text = words(drawn(progress, width))
    assert "1/10" in text
    assert "1 min 30 s" in text
    assert "1 running · 0 completed · 1 early-stopped · 0 pruned · 0 diverged · 0 failed" in text
    assert "best so far: validation Dice 0.7500 t0000 at epoch 1" in text
    for part in ("▸ t0001", "2/4 epochs", "Dice –", "best 0.5000"):
        assert part in text
    assert "…" not in text  # nothing is cut off


@widths
def test_view_shows_the_last_divergences_with_their_causes(
    progress: Progress, story: Any, width: int
) -> None:
    for number in range(6):
        story.start(number)
        story.end(number, Status.DIVERGED)
    text = words(drawn(progress, width))
    for number in range(2, 6):
        assert f"✗ t000{number} nonfinite gradient (compactness) at epoch 2 step 5" in text
    assert "t0001" not in text


@widths
def test_many_running_trials_are_summed_up(progress: Progress, story: Any, width: int) -> None:
    for number in range(SHOWN_RUNNING + 2):
        story.start(number, 0.5)
    text = drawn(progress, width)
    assert text.count("▸") == SHOWN_RUNNING
    assert "… 2 more" in text


@pytest.mark.parametrize("width", [20, 40, 60, 80, 100, 200])
def test_no_line_is_wider_than_the_screen(
    progress: Progress, story: Any, clock: Any, width: int
) -> None:
    clock.now += 1e6
    for number in range(4):
        story.start(number, 0.5)
    story.end(0, Status.DIVERGED)
    text = drawn(progress, width, name="a_sweep_with_a_rather_long_name")
    assert max(map(len, text.splitlines())) <= width


def test_name_is_text_and_not_markup(progress: Progress) -> None:
    assert "[red]x" in drawn(progress, 100, name="[red]x")


def test_view_on_a_terminal_stays_there_with_its_last_state(progress: Progress, story: Any) -> None:
    screen = io.StringIO()
    console = Console(file=screen, width=100, force_terminal=True, color_system=None)
    with LiveView("quickstart", progress, console):
        story.start(0, 0.5)
        story.end(0, Status.COMPLETED)
    last = screen.getvalue().rpartition("\x1b[2K")[2]
    assert "1 completed" in last
    assert "best so far: validation Dice 0.5000" in last
    assert screen.getvalue().endswith("\x1b[?25h")  # the cursor is back


def test_error_inside_the_view_passes_through_it(progress: Progress) -> None:
    console = Console(file=io.StringIO(), width=100, force_terminal=True)
    with pytest.raises(KeyboardInterrupt), LiveView("quickstart", progress, console):
        raise KeyboardInterrupt
