"""All who watch a sweep, told one after the other; none of them can end it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NoReturn

from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.record import Observer, ParameterValue, TrialRecord

Failed = Callable[[str, Exception], object]
"""Is told, once of each, of an observer that fails: its name, and what it raised."""


def raised(_name: str, error: Exception) -> NoReturn:
    """Where there is nobody to tell."""
    raise error


class Observers(Observer):
    """An observer that passes on to others.

    One that raises is told the rest nevertheless: a console that stumbled over one epoch shows the
    next ones. Whoever would rather be left alone then is made `sweep.tracking.tracker.Forgiving`.

    Args:
        observers: those from the beginning.
        failed: is told of the first exception of each.
    """

    def __init__(self, observers: Iterable[Observer], failed: Failed = raised) -> None:
        self._observers = list(observers)
        self._failed = failed
        self._told: set[int] = set()

    def add(self, observer: Observer) -> None:
        self._observers.append(observer)

    def trial_started(self, trial_id: str, parameters: Mapping[str, ParameterValue]) -> None:
        self._each(lambda observer: observer.trial_started(trial_id, parameters))

    def epoch_reported(self, trial_id: str, metrics: EpochMetrics) -> None:
        self._each(lambda observer: observer.epoch_reported(trial_id, metrics))

    def trial_waits(self, trial_id: str) -> None:
        self._each(lambda observer: observer.trial_waits(trial_id))

    def trial_ended(self, record: TrialRecord) -> None:
        self._each(lambda observer: observer.trial_ended(record))

    def _each(self, tell: Callable[[Observer], None]) -> None:
        for observer in self._observers:
            try:
                tell(observer)
            except Exception as error:  # noqa: BLE001 - the records have everything already
                if id(observer) not in self._told:
                    self._told.add(id(observer))
                    self._failed(type(observer).__name__, error)
