"""The live view of a running sweep: one screen that is redrawn in place."""

from __future__ import annotations

from functools import partial
from typing import Any, Self

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.constrain import Constrain
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from sweep.analysis.ranking.sweep_state import Running
from sweep.console.console_words import STYLES, count_words, value_words
from sweep.console.sweep_progress import Progress
from sweep.vocabulary.errors import one_line
from sweep.vocabulary.record import Status

SHOWN_RUNNING = 8
SHOWN_LEADERS = 5
SHOWN_WARNINGS = 2
REDRAWS_A_SECOND = 4
CELL_COLUMNS = 80
"""Width in a notebook. Front ends do not tell theirs, and scroll what is wider out of sight."""
GAP = 2
"""Columns between two parts of a row."""
NARROWEST_BAR = 6


class LiveView:
    """Shows `Progress` while it is entered, with shorter rows on a narrow screen.

    Args:
        in_cell: redraw an output of a notebook's cell instead of the screen of ``console``.
    """

    def __init__(
        self, name: str, progress: Progress, console: Console, *, in_cell: bool = False
    ) -> None:
        self._name = name
        self._progress = progress
        # Redrawn by rich's own thread: a busy driver does not freeze the clock.
        live = _LiveCell if in_cell else Live
        self._live = live(self, console=console, refresh_per_second=REDRAWS_A_SECOND)

    def __enter__(self) -> Self:
        self._live.start(refresh=True)
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        progress, width = self._progress, options.max_width
        words, waiting = progress.running_word, progress.waiting
        yield from self._head(width)
        yield count_words(progress.counts, width, running=words, waiting=waiting)
        yield self._best()
        if (leaders := self._leaders(width)) is not None:
            yield leaders
        if progress.race_words:
            yield Text(f"race: {progress.race_words}")
        if progress.counts[Status.RUNNING]:
            yield self._running(width)
        yield self._divergences()
        # The last warnings, each in one line. All are printed in full at the end.
        for text in progress.warning_words[-SHOWN_WARNINGS:]:
            line = ("  ! ", "yellow"), one_line(text)
            yield Text.assemble(*line, no_wrap=True, overflow="ellipsis")

    def _head(self, width: int) -> list[RenderableType]:
        progress = self._progress
        name = Text(one_line(self._name), style="bold")
        facts = [
            f"{progress.count_words} trials",
            progress.time_words,
            progress.left_words,
        ]
        rest = sum(cell_len(fact) + GAP for fact in facts) + GAP
        in_one = min(30, width - name.cell_len - rest)
        bar = ProgressBar(
            total=1,
            completed=progress.done,
            width=in_one if in_one >= NARROWEST_BAR else max(1, width - name.cell_len - GAP),
            complete_style="cyan",
        )
        if in_one >= NARROWEST_BAR:
            return [_row(name, bar, *facts)]
        return [_row(name, bar), Text(" · ".join(facts))]

    def _best(self) -> Text:
        best, objective = self._progress.best, self._progress.objective
        if best is None:
            return Text("best so far: none yet", style="dim")
        return Text.assemble(
            "best so far: ",
            (one_line(f"{objective.label} {objective.text(best.value)}"), "bold green"),
            f"  {best.trial_id} at epoch {best.epoch}",
        )

    def _leaders(self, width: int) -> Text | None:
        """The first of the ranking so far in one line; None before two have ended.

        A rank changes only where a trial enters above it: those that have entered lately are new.
        """
        progress = self._progress
        leaders = progress.ranking.leaders(SHOWN_LEADERS)
        if len(leaders) < 2:
            return None
        line, is_over = Text("ranking:"), progress.finished_trials >= progress.trials
        for rank, record in enumerate(leaders, start=1):
            mean = record.mean_score if record.replicated else None
            value = record.value if mean is None else progress.objective.turned(mean)
            text = one_line(value_words(value, progress.objective))
            lost = len(record.diverged_runs)
            part = Text(f" {rank} {record.trial_id} {text}{f' ({lost} diverged)' if lost else ''}")
            if record.trial_id in progress.ranking.latest and not is_over:
                part.append(" new", style="bold cyan")
            dot = " ·" if rank > 1 else ""
            if line.cell_len + cell_len(dot) + part.cell_len > width:
                break
            line.append(dot).append_text(part)
        return line

    def _running(self, width: int) -> RenderableType:
        running = [trial for trial in list(self._progress.running.values()) if not trial.waits]
        shown, short = running[:SHOWN_RUNNING], one_line(self._progress.objective.short)
        cells = [self._cells(trial, "{} epochs", f"{short} {{}}") for trial in shown]
        if _widest(cells) + GAP + NARROWEST_BAR > width:
            cells = [self._cells(trial, "{}", "{}") for trial in shown]
        bar = min(16, width - _widest(cells) - GAP)
        room = width - _widest(cells) - (16 + GAP) - GAP  # beside the widest bar
        table = Table.grid(padding=(0, GAP, 0, 0))
        for trial, (name, *facts) in zip(shown, cells, strict=True):
            row: list[RenderableType] = [name]
            if bar >= NARROWEST_BAR:
                total, done = self._progress.max_epochs, trial.epochs
                row.append(ProgressBar(total, done, width=bar, complete_style="cyan"))
            row += facts
            if room >= 16:
                label = Text(one_line(trial.label), style="dim")
                label.truncate(room, overflow="ellipsis")
                row.append(label)
            table.add_row(*row)
        if len(running) == len(shown):
            return table
        return Group(table, Text(f"  … {len(running) - len(shown)} more", style="dim"))

    def _cells(self, trial: Running, epochs: str, value: str) -> list[Text]:
        words = partial(value_words, objective=self._progress.objective)
        of_all = f"{trial.epochs}/{self._progress.max_epochs}"
        return [
            Text(f"  ▸ {trial.trial_id}", style=STYLES[Status.RUNNING]),
            Text(epochs.format(of_all)),
            Text(value.format(words(trial.value))),
            Text(f"best {words(trial.best)}", style="dim"),
        ]

    def _divergences(self) -> RenderableType:
        table = Table.grid(padding=(0, GAP, 0, 0))
        table.add_column(no_wrap=True)
        table.add_column()  # a long cause continues below its beginning
        for record in list(self._progress.divergences):  # the driver may add one meanwhile
            assert record.outcome is not None
            name = Text.assemble(("  ✗ ", STYLES[Status.DIVERGED]), record.trial_id)
            table.add_row(name, Text(one_line(record.outcome.cause)))
        return table


class _LiveCell(Live):
    """A `Live` in one output of a notebook's cell, which any front end replaces in place.

    In a notebook rich would draw into a widget of ipywidgets. A widget also takes, and then clears,
    what other threads print at that moment: one line in nine of a loop that prints. It is also
    missing from a saved notebook wherever no kernel runs. An output with an id stays, and needs no
    further package.
    """

    _drawn: Any = None
    _output: Any = None

    def refresh(self) -> None:
        view = Constrain(self.get_renderable(), CELL_COLUMNS)
        # A front end that is away keeps each message: send only what differs.
        if (drawn := view._repr_mimebundle_((), ())) == self._drawn:
            return
        self._drawn = drawn
        if self._output is not None:
            self._output.update(drawn, raw=True)
            return
        from IPython.display import display

        show: Any = display
        self._output = show(drawn, raw=True, display_id=True)


def _row(*parts: RenderableType) -> Table:
    row = Table.grid(padding=(0, GAP, 0, 0))
    row.add_row(*parts)
    return row


def _widest(rows: list[list[Text]]) -> int:
    """Width of a table of these rows."""
    widths: list[int] = [
        max(cell.cell_len for cell in column) for column in zip(*rows, strict=True)
    ]
    return sum(widths) + GAP * (len(widths) - 1)
