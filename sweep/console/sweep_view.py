"""The views of a running sweep: one that shows nothing, and the output of `sweep.run`."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import Progress as Bar
from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn

from sweep.analysis.ranking.ranking_frame import Ranking
from sweep.analysis.report_words import cut_short
from sweep.console.console_words import make_console, print_line, print_sentence, print_warnings
from sweep.console.live_view import LiveView
from sweep.console.plain_view import PlainView
from sweep.console.sweep_progress import Progress
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.spec.space.presets import BASELINE
from sweep.store.at_uri.local_results import as_given
from sweep.store.layout import Layout
from sweep.vocabulary.record import Observer

Words = Callable[[str], object]


@dataclass(frozen=True, slots=True)
class Watch:
    """How a sweep is shown while its trials run.

    Args:
        observer: notified of events from now on; None if ``progress`` shows everything.
        acknowledge: called in the handler of a signal that requests a stop.
    """

    observer: Observer | None = None
    acknowledge: Words = lambda _: None


class View:
    """Shows one sweep to the user who started it. This base class shows nothing.

    Its methods are called in this order, `warn` and `say` at any time.
    """

    def warn(self, *warnings: str) -> None:
        """Show warnings, each one sentence."""

    def say(self, line: str, *, wrap: bool = False) -> None:
        """Show a line; ``wrap`` it at words if it is a sentence."""

    def working(self, on: str) -> AbstractContextManager[Words]:
        """Something takes long while this is entered. It yields a function that shows progress."""
        return nullcontext(lambda _: None)

    def watching(self, name: str, progress: Progress) -> AbstractContextManager[Watch]:
        """The trials run while this is entered; ``progress`` is kept up to date."""
        return nullcontext(Watch())

    def ranked(self, spec: SweepSpec, ranking: Ranking, folder: Path, uri: str | None) -> None:
        """The sweep has ended, or was stopped.

        Args:
            folder: the results.
            uri: the URI that ``folder`` is a copy of; None if it is the results folder itself.
        """


class TerminalView(View):
    """Prints on a terminal, in a notebook, or to the log of a job.

    Args:
        live: redraw one screen in place if stdout is a terminal; False prints lines. A notebook
            has one output that is redrawn, and prints beside it.
        table: print the ranking at the end.
        words: rewords each warning and line for whoever reads them.
    """

    def __init__(
        self, *, live: bool = True, table: bool = True, words: Callable[[str], str] = str
    ) -> None:
        self._words = words
        self._console = make_console()
        self._in_cell = Console().is_jupyter
        on_screen = live and self._console.is_terminal
        self._live = on_screen or self._in_cell
        self._table = table
        # Bound now: while Ray runs, stderr goes to the log. Warnings are printed above a live view.
        self._errors = self._console if on_screen else make_console(stderr=True)

    def warn(self, *warnings: str) -> None:
        print_warnings(map(self._words, warnings), self._errors)

    def say(self, line: str, *, wrap: bool = False) -> None:
        line = self._words(line)
        if wrap:
            print_sentence(self._console, line)
        else:
            print_line(self._console, line)

    @contextmanager
    def working(self, on: str) -> Iterator[Words]:
        """Show the current stage and how long all takes; in a log, a line for each new stage."""
        if self._console.is_terminal:
            stage = TextColumn("{task.description}", markup=False)
            columns = SpinnerColumn(), stage, TimeElapsedColumn()
            with Bar(*columns, console=self._console, transient=True) as bar:
                task = bar.add_task(on, total=None)
                yield lambda sentence: bar.update(task, description=sentence)
            return
        shown = set[str]()

        def update(sentence: str) -> None:
            stage = sentence.partition(":")[0]  # without its progress
            if stage not in shown:
                shown.add(stage)
                self.say(stage)

        yield update

    @contextmanager
    def watching(self, name: str, progress: Progress) -> Iterator[Watch]:
        def acknowledge(words: str) -> None:
            progress.stopping = True
            if not self._live:  # a live view shows it anyway; in a handler only os.write is safe
                os.write(sys.__stderr__.fileno() if sys.__stderr__ else 2, f"{words}\n".encode())

        if not self._live:
            plain = PlainView(progress, self._console)
            yield Watch(plain, acknowledge)
            plain.ended()
            return
        with LiveView(name, progress, self._console, in_cell=self._in_cell):
            yield Watch(acknowledge=acknowledge)
        print_warnings(map(self._words, progress.warning_words))

    def ranked(self, spec: SweepSpec, ranking: Ranking, folder: Path, uri: str | None) -> None:
        from sweep.analysis.ranking.further_improvement import outlook_words
        from sweep.analysis.ranking.ranking_columns import own_metrics
        from sweep.console.sweep_summary import Summary, print_results

        if self._table:
            summary = Summary(
                title=spec.name,
                rows=ranking.table,
                records=ranking.records,
                parameters=list(spec.space),
                objective=spec.judged_by,
                own=own_metrics(spec.model_dump(include={"trainer"}), ranking.records),
                kinds=[spec.trainer.kind],
                outlook=outlook_words(folder, spec, ranking.records),
                spec=spec,
                edited=[words] if (words := ranking.texts.words(ranking.winner)) else (),
                patience={} if ranking.patience is None else {spec.name: ranking.patience},
            )
            print_results(self._console, summary)
        layout = Layout(folder)
        files = [layout.ranking_csv, layout.best_yaml]
        ranked, best = (shlex.quote(as_given(folder, uri, one)) for one in files)
        self.say(f"Ranking: {ranked}")
        if ranking.winner is not None:
            record = next(one for one in ranking.records if one.trial_id == ranking.winner)
            what = [f"the {record.preset}"] if record.preset == BASELINE else []
            about = ", ".join(
                [f"trial {ranking.winner}", *what, *filter(None, [cut_short(record)])]
            )
            self.say(
                f"Best:    {best}  ({about}; train it alone with python -m sweep.train {best})"
            )
        output = "" if uri is None else " -o ."
        self.say(f"Report:  python -m sweep.export {shlex.quote(as_given(folder, uri))}{output}")
