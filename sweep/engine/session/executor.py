"""What trains the trials of a sweep, and then evaluates and draws its finalists."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

from sweep.analysis.ranking.sweep_state import SweepState
from sweep.engine.decisions.sweep_controller import SweepController
from sweep.engine.session.ending import Ending, note
from sweep.store.layout import Layout, TrialPaths
from sweep.store.store import Store
from sweep.vocabulary.error_lines import blamed
from sweep.vocabulary.errors import ResultsError, SweepError

T = TypeVar("T")


def nothing(*_: object) -> None:
    """Nobody listens."""


class Each(Protocol):
    """Calls ``do(trials, *arguments)`` for each group of trials, where trials are trained.

    ``do`` gets the files of the trials of a group, with their best weights if these were kept. It
    is a function of a module, and what it takes and returns can be pickled. It may write below the
    folders of its trials.

    Yields the number of a group with what ``do`` returned, or the `SweepError` that it raised, in
    the order in which they end. Any other exception, such as one of a user's metric, becomes a
    `ResultsError` of one line, and its traceback stands in ``sweep.log``.
    """

    def __call__(
        self, do: Callable[..., T], groups: Sequence[Sequence[str]], *arguments: Any
    ) -> Iterator[tuple[int, T | SweepError]]: ...


class Executor(Protocol):
    """Trains and evaluates for one session of a sweep, and ends there what it has started."""

    @property
    def each(self) -> Each:
        """Calls a function where trials are trained."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...

    def train(
        self,
        controller: SweepController,
        state: SweepState | None = None,
        steer: Callable[[], object] = nothing,
        acknowledge: Callable[[str], object] = nothing,
    ) -> Ending:
        """Run the controller's trials until it has finished, or a signal or the time stops it.

        Args:
            controller: decides and records.
            state: observes the controller; None: nobody asks how the sweep stands.
            steer: takes what users ask of the sweep; called again and again.
            acknowledge: called in the signal handler when a signal has arrived.
        Raises:
            SweepFailed: results cannot be written, or the sweep's own code or Ray failed.
        """


def in_turn(store: Store) -> Each:
    """`Each` in this process, one group after the other."""

    def each(
        do: Callable[..., T], groups: Sequence[Sequence[str]], *arguments: Any
    ) -> Iterator[tuple[int, T | SweepError]]:
        for number, group in enumerate(groups):
            found = attempted(do, [*map(store.with_best_weights, group)], *arguments)
            yield number, noted(found, store.layout.log)

    return each


def attempted(
    do: Callable[..., T], trials: Sequence[TrialPaths], *arguments: Any
) -> T | SweepError:
    """What ``do`` returns, or an error that any process can read; see `Each`."""
    try:
        return do(trials, *arguments)
    except SweepError as error:
        return error
    except Exception as error:  # noqa: BLE001 - whatever a user's code or a library raises
        found = ResultsError(f"{blamed(error)} (more in {Layout.log.name})")
        found.add_note(traceback.format_exc())
        return found


def noted(found: T | SweepError, log: Path) -> T | SweepError:
    """``found``, with the traceback that `attempted` has added to an error appended to ``log``."""
    if isinstance(found, SweepError) and hasattr(found, "__notes__"):
        note(log, found)
    return found
