"""Follow a growing results folder: each event once, no line read twice, no lock."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Generic, TypeVar

from sweep.store.files import own_file, parse_lines, parsed, reading
from sweep.store.journal import (
    ConfigurationEnqueued,
    EpochRecorded,
    Event,
    JournalState,
    NoteAdded,
    StopRequested,
    TrialEnded,
    TrialStarted,
    TrialWaits,
    event_of,
)
from sweep.store.layout import Layout
from sweep.store.read_results import read_facts, read_objective, require_results
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.errors import ResultsError
from sweep.vocabulary.record import Observer, Outcome, SearchEnded

T = TypeVar("T")


class Tail(Generic[T]):
    """The complete lines of a growing ``.jsonl`` file, each once.

    Args:
        path: the file, which may appear later.
        parse: parses the object in a line; raises as for `read_jsonl`.
    """

    def __init__(self, path: Path, parse: Callable[[Mapping[str, Any]], T]) -> None:
        self._path = path
        self._parse = parse
        self._file: tuple[int, int] | None = None
        self._offset = 0
        self._lines = 0

    def news(self) -> list[T]:
        """The lines added since the last call.

        Raises:
            ResultsError: the file cannot be read, a line is broken, or the file was replaced.
        """
        if not os.path.lexists(self._path) and self._file is None:
            return []
        with reading(self._path), open(self._path, "rb", opener=own_file) as file:
            status = os.fstat(file.fileno())
            known, self._file = self._file, (status.st_dev, status.st_ino)
            if known not in (None, self._file) or status.st_size < self._offset:
                raise ResultsError(f"{self._path} was replaced in the meantime: open it again")
            file.seek(self._offset)
            found = []
            for line, value in parse_lines(file, self._path, self._parse, after=self._lines):
                found.append(value)
                self._offset += len(line)
                self._lines += 1
        return found


class Follower:
    """Notify an observer like a controller would, from the files in a results folder.

    Args:
        folder: the results folder of a running, ended or interrupted sweep.
    Raises:
        ResultsError: it is not a results folder.
    """

    def __init__(self, folder: Path) -> None:
        self._layout = Layout(folder)
        require_results(self._layout)
        self._objective = read_objective(folder)
        self._journal = Tail(self._layout.journal, event_of)
        self._progress = JournalState()
        # Unfinished trials: their history file, and the epochs read from it.
        self._histories: dict[str, tuple[Tail[EpochMetrics], list[EpochMetrics]]] = {}

    def notify(self, *observers: Observer) -> bool:
        """Notify observers of events since the last call; returns whether there were any.

        Raises:
            ResultsError: a file is broken, or the folder has other results now.
        """
        events = [event for event in self._journal.news() if self._is_news(event)]
        for event in events:
            notification = self._notification(event)
            for observer in observers:
                notification(observer)
        return bool(events)

    def _is_news(self, event: Event) -> bool:
        """False for known events: a worker that resumed from its checkpoint repeats them."""
        try:
            news = self._progress.is_news(event)
        except ValueError as error:
            raise ResultsError(f"{self._layout.journal}: broken, {error}") from error
        if news:
            self._progress.add(event)
        return news

    def _notification(self, event: Event) -> Callable[[Observer], None]:
        match event:
            case ConfigurationEnqueued():
                return lambda observer: observer.trial_enqueued()
            case StopRequested() | NoteAdded():
                return lambda _: None
        name = event.trial_id
        paths = self._layout.trial(name)
        match event:
            case TrialStarted():
                parameters = read_facts(name, paths, self._objective).parameters
                tail = Tail(paths.history, lambda line: parsed(EpochMetrics, line))
                self._histories[name] = tail, []
                return lambda observer: observer.trial_started(name, parameters)
            case EpochRecorded():
                metrics = self._metrics(event)
                return lambda observer: observer.epoch_reported(name, metrics)
            case TrialWaits():
                return lambda observer: observer.trial_waits(name)
            case TrialEnded():
                _, history = self._histories.pop(name)
                facts = read_facts(name, paths, self._objective)
                outcome = facts.outcome or Outcome(status=event.status)
                ended = replace(facts, history=tuple(history), outcome=outcome)
                return lambda observer: observer.trial_ended(ended)
            case SearchEnded():
                return lambda observer: observer.search_ended(event)

    def _metrics(self, event: EpochRecorded) -> EpochMetrics:
        """The metrics of an epoch. Its line in the history is written before the event."""
        tail, history = self._histories[event.trial_id]
        for metrics in tail.news() if event.epoch >= len(history) else ():
            if metrics.epoch == len(history):  # else it was written twice around a crash
                history.append(metrics)
        return history[event.epoch] if event.epoch < len(history) else event.known
