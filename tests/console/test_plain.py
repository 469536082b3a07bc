from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from sweep.console.plain_view import PlainView, TrainingLines
from sweep.console.sweep_progress import Progress
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.record import Outcome, Status, TrialRecord


@pytest.fixture
def screen() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def story(progress: Progress, screen: io.StringIO, story_for: Callable[[object], Any]) -> Any:
    """Heard by a plain view on a console that is far narrower than its lines."""
    return story_for(PlainView(progress, Console(file=screen, width=40)))


def test_end_of_a_trial_is_one_line_however_narrow_the_console(
    story: Any, screen: io.StringIO, clock: Any
) -> None:
    story.start(0, 0.25, 0.5)
    clock.now += 60
    story.end(0, Status.COMPLETED)  # 60 s for three quarters of a trial; nine are left
    assert screen.getvalue() == (
        "[1/10] t0000 completed; 2 epochs, best Dice 0.5000, rank 1 so far"
        " (0 running · 1 completed · 0 early-stopped · 0 pruned · 0 diverged · 0 failed;"
        " about 12 min 00 s left)\n"
    )


def test_divergence_is_told_with_its_cause(story: Any, screen: io.StringIO) -> None:
    story.start(0, 0.9, None)
    story.end(0, Status.DIVERGED)
    assert screen.getvalue().startswith(
        "[1/10] t0000 diverged: nonfinite gradient (compactness) at epoch 2 step 5; 2 epochs,"
    )


def test_what_a_trial_warned_of_is_told_once_below_its_line(
    progress: Progress, screen: io.StringIO
) -> None:
    warned = ("channel 0 [red]was clipped[/red]",)
    history = tuple(EpochMetrics(epoch=n, val_dice=0.5, warnings=warned) for n in range(2))
    done = Outcome(status=Status.COMPLETED)
    view = PlainView(progress, Console(file=screen, width=40))
    view.trial_ended(
        TrialRecord(trial_id="t0000", number=0, parameters={}, history=history, outcome=done)
    )
    _, *below = screen.getvalue().splitlines()
    assert below == ["    warning: channel 0 [red]was clipped[/red]"]


def test_trial_without_an_epoch_has_no_dice(story: Any, screen: io.StringIO) -> None:
    story.start(0)
    story.end(0, Status.FAILED, "ValueError: no [bold]such[/bold] thing")
    line = screen.getvalue()
    assert line.startswith(
        "[1/10] t0000 failed: ValueError: no [bold]such[/bold] thing; 0 epochs, best Dice – ("
    )


def test_starts_and_epochs_are_not_told(story: Any, screen: io.StringIO) -> None:
    story.start(0, 0.1, 0.2, 0.3)
    assert screen.getvalue() == ""


def test_log_has_a_line_a_trial_and_no_control_codes(story: Any, screen: io.StringIO) -> None:
    for number in range(10):
        story.start(number, 0.1 * number)
        story.end(number, Status.PRUNED, "stopped by asha after 1 epochs")
    lines = screen.getvalue().splitlines()
    assert [line[: line.index("]") + 1] for line in lines] == [f"[{n}/10]" for n in range(1, 11)]
    assert "\x1b" not in screen.getvalue()


def test_epoch_of_a_single_training_has_its_loss_terms_only_where_there_are_some(
    capsys: pytest.CaptureFixture[str],
) -> None:
    lines = TrainingLines("validation")
    epoch = EpochMetrics(epoch=0, val_dice=0.5, train_loss=1.25, seconds=2.0)
    lines.epoch_reported("t0000", epoch)
    lines.epoch_reported("t0000", replace(epoch, epoch=1, terms={"dice": 0.25, "ce": 1.0}))
    assert capsys.readouterr().out.splitlines() == [
        "epoch    0  val Dice 0.5000  loss 1.2500  2.0 s",
        "epoch    1  val Dice 0.5000  loss 1.2500  (dice 0.2500  ce 1.0000)  2.0 s",
    ]


def test_what_many_trials_warn_of_is_told_for_the_first_and_counted_at_the_end(
    story: Any, progress: Progress, screen: io.StringIO
) -> None:
    view = PlainView(progress, Console(file=screen, width=40))
    unread = "nothing has read `trainer.options.width` in the first epoch"
    for trial_id in ("t0000", "t0001", "t0002"):
        own = (unread, "only this one") if trial_id == "t0001" else (unread,)
        for epoch in range(2):
            warned = EpochMetrics(epoch=epoch, val_dice=0.5, warnings=own)
            view.epoch_reported(trial_id, warned)
    view.ended()
    assert screen.getvalue().splitlines() == [
        f"warning: t0000: {unread}",
        "warning: t0001: only this one",
        f"warning of 3 trials: {unread}",
    ]
