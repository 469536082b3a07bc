from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from sweep.console.live_view import SHOWN_RUNNING, LiveView
from sweep.console.sweep_progress import Progress
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.objective import Objective
from sweep.vocabulary.record import Status

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
    every = "1 running · 0 completed · 1 early-stopped · 0 pruned · 0 diverged · 0 failed"
    assert (every if width >= len(every) else "1 running · 1 early-stopped best") in text
    assert "best so far: validation Dice 0.7500 t0000 at epoch 1" in text
    for part in ("▸ t0001", "2/4 epochs", "Dice –", "best 0.5000"):
        assert part in text
    assert "…" not in text  # nothing is cut off


def test_sweep_whose_trials_have_all_ended_has_no_time_left(
    progress: Progress, story: Any, clock: Any
) -> None:
    for number in range(10):
        story.start(number, 0.5)
        clock.now += 10
        story.end(number, Status.COMPLETED)
    assert "10/10 trials 1 min 40 s all ended" in words(drawn(progress, 100))


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


@pytest.mark.parametrize("width", [60, 80, 100])
def test_every_running_trial_and_every_count_takes_one_line_from_60_columns_on(
    progress: Progress, story: Any, width: int
) -> None:
    for number in range(7):
        story.start(number, 0.5)
    for number, status in enumerate(status for status in Status if status.is_final):
        story.end(number, status)
    progress.max_epochs = 100
    lines = drawn(progress, width).splitlines()
    assert sum("▸" in line for line in lines) == 2
    assert ["best 0.5000" in line for line in lines if "▸" in line] == [True, True]
    [best] = [number for number, line in enumerate(lines) if line.startswith("best so far")]
    assert best <= 3 if width < 78 else best == 2


def test_wide_screen_shows_what_sets_the_running_trials_apart(progress: Progress) -> None:
    progress.trial_started("t0000", {"loss.warmup_epochs": 3, "loss.weights.aspect": 0.03125})
    assert "warmup_epochs=3 weights.aspect=0.0312" in drawn(progress, 120)
    assert "warmup_epochs" not in drawn(progress, 70)


def test_what_trials_warn_of_is_one_line_a_sentence_with_the_number_of_trials(
    progress: Progress,
) -> None:
    clipped = "channel 0 [red]was clipped[/red] " + "and so on " * 20
    for number in range(3):
        progress.trial_started(f"t{number:04d}", {})
        metrics = EpochMetrics(epoch=0, val_dice=0.5, warnings=(clipped,))
        progress.epoch_reported(f"t{number:04d}", metrics)
    text = drawn(progress, 60)
    [line] = [line for line in text.splitlines() if "!" in line]
    assert line.startswith("  ! t0000 and 2 more: channel 0 [red]was clipped[/red] and")
    assert line.endswith("…")
    assert progress.warning_words == [f"t0000 and 2 more: {clipped}"]


def test_view_of_a_minimised_metric_tells_its_own_name_and_its_lowest_value() -> None:
    objective = Objective("surface_mm", "min")
    progress = Progress(trials=2, max_epochs=4, objective=objective)
    for number, values in enumerate([[3.0, 5.0], [4.0, None]]):
        progress.trial_started(f"t{number:04d}", {})
        for epoch, value in enumerate(values):
            metrics = EpochMetrics(epoch=epoch, val_dice=0.9, metrics={"surface_mm": value})
            progress.epoch_reported(f"t{number:04d}", metrics)
    text = words(drawn(progress, 120))
    assert "best so far: surface_mm 3.0000 t0000 at epoch 0" in text
    assert "surface_mm 5.0000 best 3.0000" in text
    assert "surface_mm – best 4.0000" in text
    assert "Dice" not in text


def test_ranking_so_far_marks_the_trials_that_ended_lately(progress: Progress, story: Any) -> None:
    for number, dice in enumerate([0.5, 0.9, 0.6]):
        story.start(number, dice)
        story.end(number, Status.COMPLETED)
    for number in range(3, 7):
        story.start(number, 0.1)
        story.end(number, Status.PRUNED)
    wide, narrow = drawn(progress, 120), drawn(progress, 60)
    line = (
        "ranking: 1 t0001 0.9000 · 2 t0002 0.6000 new · 3 t0000 0.5000 · 4 t0003 0.1000 new"
        " · 5 t0004 0.1000 new"
    )
    assert line in wide
    assert "ranking: 1 t0001 0.9000 · 2 t0002 0.6000 new\n" in narrow


def test_there_is_no_ranking_of_one(progress: Progress, story: Any) -> None:
    story.start(0, 0.5)
    story.end(0, Status.COMPLETED)
    assert "ranking:" not in drawn(progress, 120)
