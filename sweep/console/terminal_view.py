"""A sweep on a terminal, in a notebook, or in the log of a job: what `sweep.run` prints."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from sweep.console.console_words import make_console, print_warnings
from sweep.console.live_view import LiveView
from sweep.console.plain_view import PlainView
from sweep.console.sweep_progress import Progress
from sweep.console.sweep_view import Watch

if TYPE_CHECKING:
    from sweep.analysis.ranking.ranking_frame import Ranking
    from sweep.spec.search.sweep_spec import SweepSpec


class TerminalView:
    """Implements `View` by rich.

    Args:
        live: redraw one screen in place, where there is a terminal; False prints lines. A notebook
            has one output that is redrawn, and prints beside it.
        table: print the ranking at the end.
    """

    def __init__(self, *, live: bool = True, table: bool = True) -> None:
        self._console = make_console()
        self._in_cell = Console().is_jupyter
        on_screen = live and self._console.is_terminal
        self._live = on_screen or self._in_cell
        self._table = table
        # Bound now: while Ray runs, stderr goes to the log. A live view is printed above, not into.
        self._errors = self._console if on_screen else make_console(stderr=True)

    def warn(self, warnings: Iterable[str]) -> None:
        print_warnings(warnings, self._errors)

    def say(self, line: str, *, wrap: bool = False) -> None:
        soft = not (wrap and self._console.is_terminal)  # a file has no width
        self._console.print(line, soft_wrap=soft, highlight=False, markup=False)

    @contextmanager
    def working(self, on: str) -> Iterator[Callable[[str], object]]:
        """Shows what is being done; where there is no terminal, a line for each new stage of it."""
        if self._console.is_terminal:
            with self._console.status(on) as status:
                yield status.update
            return
        said = set[str]()

        def tell(sentence: str) -> None:
            stage = sentence.partition(":")[0]  # without how far it is
            if stage not in said:
                said.add(stage)
                self.say(stage)

        yield tell

    @contextmanager
    def watching(self, name: str, progress: Progress) -> Iterator[Watch]:
        def acknowledge(words: str) -> None:
            progress.stopping = True
            if not self._live:  # there the next redraw shows it; in a handler nothing else is safe
                os.write(sys.__stderr__.fileno() if sys.__stderr__ else 2, f"{words}\n".encode())

        if not self._live:
            yield Watch(PlainView(progress, self._console), acknowledge)
            return
        with LiveView(name, progress, self._console, in_cell=self._in_cell):
            yield Watch(acknowledge=acknowledge)
        print_warnings(progress.warning_words)

    def ranked(self, spec: SweepSpec, ranking: Ranking, folder: Path, uri: str | None) -> None:
        from sweep.analysis.ranking.ranking_columns import own_metrics
        from sweep.console.sweep_summary import print_patience, print_results

        if self._table:
            print_results(
                self._console,
                ranking.frame,
                ranking.records,
                list(spec.space),
                title=spec.name,
                objective=spec.judged_by,
                own=own_metrics(spec.model_dump(include={"trainer"}), ranking.records),
                kinds=[spec.trainer.kind],
            )
            if ranking.patience is not None:
                print_patience(self._console, ranking.patience)
        self.say(f"Ranking: {uri or folder / 'ranking.csv'}")
        if ranking.winner is not None:
            best = shlex.quote(str(folder / "best.yaml"))
            self.say(
                f"Best:    {best}  (trial {ranking.winner}; train it alone with"
                f" python -m sweep.train {best})"
            )
