"""The live view of a running sweep: one screen that is redrawn in place."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from sweep.console.progress import Progress
from sweep.console.words import STYLES, count_words, dice_words, duration_words
from sweep.record import Status

SHOWN_RUNNING = 8
REDRAWS_A_SECOND = 4


class LiveView:
    """Shows `Progress` while it is entered."""

    def __init__(self, name: str, progress: Progress, console: Console) -> None:
        self._name = name
        self._progress = progress
        # Redrawn by rich's own thread: a busy driver does not freeze the clock.
        self._live = Live(self, console=console, refresh_per_second=REDRAWS_A_SECOND)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._live.stop()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Group(*self._lines())

    def _lines(self) -> list[RenderableType]:
        progress = self._progress
        lines: list[RenderableType] = [self._head(), count_words(progress.counts), self._best()]
        if progress.running:
            lines.append(self._running())
        for record in list(progress.divergences):  # the driver may add one meanwhile
            assert record.outcome is not None
            lines.append(
                Text.assemble(
                    ("  ✗ ", STYLES[Status.DIVERGED]), record.trial_id, "  ", record.outcome.cause
                )
            )
        return lines

    def _head(self) -> RenderableType:
        progress = self._progress
        left = progress.remaining
        row = Table.grid(padding=(0, 2))
        row.add_row(
            Text(self._name, style="bold"),
            ProgressBar(total=1, completed=progress.done, width=30, complete_style="cyan"),
            f"{progress.finished_trials}/{progress.trials} trials",
            duration_words(progress.elapsed),
            f"about {duration_words(left)} left" if left is not None else "starting",
        )
        return row

    def _bar(self, epochs: int) -> ProgressBar:
        total = self._progress.max_epochs
        return ProgressBar(total=total, completed=epochs, width=16, complete_style="cyan")

    def _best(self) -> Text:
        best = self._progress.best
        if best is None:
            return Text("best so far: none yet", style="dim")
        return Text.assemble(
            "best so far: ",
            (f"validation Dice {best.dice:.4f}", "bold green"),
            f"  {best.trial_id} at epoch {best.epoch}",
        )

    def _running(self) -> RenderableType:
        table = Table.grid(padding=(0, 2))
        shown = list(self._progress.running.values())
        for trial in shown[:SHOWN_RUNNING]:
            table.add_row(
                Text("  ▸ " + trial.trial_id, style=STYLES[Status.RUNNING]),
                self._bar(trial.epochs),
                f"{trial.epochs}/{self._progress.max_epochs} epochs",
                f"Dice {dice_words(trial.dice)}",
                Text(f"best {dice_words(trial.best)}", style="dim"),
            )
        if len(shown) > SHOWN_RUNNING:
            table.add_row(Text(f"  … {len(shown) - SHOWN_RUNNING} more", style="dim"))
        return table
