"""What a view of a running sweep is: the code that runs sweeps shows everything through one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from sweep.analysis.ranking.ranking_frame import Ranking
from sweep.console.sweep_progress import Progress
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.vocabulary.record import Observer

Words = Callable[[str], object]


def _unheard(_words: str) -> None:
    """A view that shows nothing."""


@dataclass(frozen=True, slots=True)
class Watch:
    """How a sweep is shown while its trials run.

    Args:
        observer: notified of events from now on; None if ``progress`` shows everything.
        acknowledge: is called from within the handler of a signal that asks for a stop.
    """

    observer: Observer | None = None
    acknowledge: Words = _unheard


class View(Protocol):
    """Show one sweep to the user who started it.

    Its methods are called in the order in which they stand, `warn` and `say` at any time.
    """

    def warn(self, warnings: Iterable[str]) -> None:
        """Each is one sentence."""

    def say(self, line: str, *, wrap: bool = False) -> None:
        """A line that stays; ``wrap`` where it is a sentence, without paths that must be whole."""

    def working(self, on: str) -> AbstractContextManager[Words]:
        """While it is entered something takes long; what it yields is told how far that is."""

    def watching(self, name: str, progress: Progress) -> AbstractContextManager[Watch]:
        """While it is entered the trials run; ``progress`` is kept up to date."""

    def ranked(self, spec: SweepSpec, ranking: Ranking, folder: Path, uri: str | None) -> None:
        """The sweep has ended, or was stopped.

        Args:
            folder: the results.
            uri: what ``folder`` is a copy of; None where it is the results folder itself.
        """


class Silent:
    """A view that shows nothing."""

    def warn(self, warnings: Iterable[str]) -> None: ...

    def say(self, line: str, *, wrap: bool = False) -> None: ...

    def working(self, on: str) -> AbstractContextManager[Words]:
        return nullcontext(_unheard)

    def watching(self, name: str, progress: Progress) -> AbstractContextManager[Watch]:
        return nullcontext(Watch())

    def ranked(self, spec: SweepSpec, ranking: Ranking, folder: Path, uri: str | None) -> None: ...
