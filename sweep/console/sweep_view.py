"""The view of a running sweep. The code that runs sweeps shows everything through one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from sweep.analysis.ranking.ranking_frame import Ranking
from sweep.console.sweep_progress import Progress
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.vocabulary.record import Observer

Words = Callable[[str], object]


def _ignore(_words: str) -> None:
    """Show nothing."""


@dataclass(frozen=True, slots=True)
class Watch:
    """How a sweep is shown while its trials run.

    Args:
        observer: notified of events from now on; None if ``progress`` shows everything.
        acknowledge: called in the handler of a signal that requests a stop.
    """

    observer: Observer | None = None
    acknowledge: Words = _ignore


class View:
    """Shows one sweep to the user who started it. This base class shows nothing.

    Its methods are called in this order, `warn` and `say` at any time.
    """

    def warn(self, warnings: Iterable[str]) -> None:
        """Show warnings, each one sentence."""

    def say(self, line: str, *, wrap: bool = False) -> None:
        """Show a line; ``wrap`` for a sentence without paths, which must stay in one line."""

    def working(self, on: str) -> AbstractContextManager[Words]:
        """Something takes long while this is entered. It yields a function that shows progress."""
        return nullcontext(_ignore)

    def watching(self, name: str, progress: Progress) -> AbstractContextManager[Watch]:
        """The trials run while this is entered; ``progress`` is kept up to date."""
        return nullcontext(Watch())

    def ranked(self, spec: SweepSpec, ranking: Ranking, folder: Path, uri: str | None) -> None:
        """The sweep has ended, or was stopped.

        Args:
            folder: the results.
            uri: the URI that ``folder`` is a copy of; None if it is the results folder itself.
        """
