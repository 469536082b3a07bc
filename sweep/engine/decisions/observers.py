"""The observers of a sweep, notified one after the other. None of them can end the sweep."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NoReturn

from sweep.vocabulary.record import Observer, Relay

Failed = Callable[[str, Exception], object]
"""Called once for each observer that fails, with its name and exception."""


def raised(_name: str, error: Exception) -> NoReturn:
    """Raise the exception, if no other handler is given."""
    raise error


class Observers(Relay):
    """An observer that forwards events to others.

    An observer that raises still gets later events: a console that failed on one epoch shows the
    next. `sweep.tracking.tracker.Forgiving` stops after the first failure instead.

    Args:
        observers: the initial observers.
        failed: called with the first exception of each observer.
    """

    def __init__(self, observers: Iterable[Observer], failed: Failed = raised) -> None:
        self._observers = list(observers)
        self._failed = failed
        self._reported: set[int] = set()

    def add(self, observer: Observer) -> None:
        self._observers.append(observer)

    def _pass_on(self, event: str, *facts: object) -> None:
        for observer in self._observers:
            try:
                getattr(observer, event)(*facts)
            except Exception as error:  # noqa: BLE001 - the records have everything already
                if id(observer) not in self._reported:
                    self._reported.add(id(observer))
                    self._failed(type(observer).__name__, error)
