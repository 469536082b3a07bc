"""The journal of a sweep: the order of events over all its trials.

A scheduler's decisions depend on the order of reports. The journal keeps that order, so that
replaying it rebuilds a scheduler exactly. The reported values are in the trial's own files.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Set
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from sweep.store.files import (
    JsonLines,
    append_line,
    drop_torn_line,
    parsed,
    read_jsonl,
    sync,
    to_json,
    writing,
)
from sweep.store.layout import trial_number
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.errors import ResultsError
from sweep.vocabulary.objective import Objective
from sweep.vocabulary.record import ParameterValue, SearchEnded, Status
from sweep.vocabulary.strict_json import finite_or_none


@dataclass(frozen=True, slots=True)
class TrialStarted:
    """The trial was proposed and its folder written."""

    trial_id: str


@dataclass(frozen=True, slots=True)
class EpochRecorded:
    """The trial reported an epoch (from 0).

    Args:
        val_dice: its validation Dice.
        metrics: the objectives, if they are other metrics.
    """

    trial_id: str
    epoch: int
    val_dice: float | None
    metrics: Mapping[str, float | None] = field(default_factory=dict)

    @classmethod
    def of(cls, trial_id: str, metrics: EpochMetrics, objective: Objective) -> EpochRecorded:
        """The part of an epoch that decisions depend on."""
        names = {one.metric for one in objective.each}
        judged = {name: v for name, v in metrics.metrics.items() if name in names}
        return cls(trial_id, metrics.epoch, metrics.val_dice, judged)

    @property
    def known(self) -> EpochMetrics:
        """The known metrics of the epoch if its line in the history is lost."""
        return EpochMetrics(epoch=self.epoch, val_dice=self.val_dice, metrics=self.metrics)


@dataclass(frozen=True, slots=True)
class TrialEnded:
    """The trial reached its final status."""

    trial_id: str
    status: Status


@dataclass(frozen=True, slots=True)
class TrialWaits:
    """The trial has no worker: it waits for its warm-up or is paused by the scheduler.

    Only for display. Decisions depend on the other events alone.
    """

    trial_id: str


@dataclass(frozen=True, slots=True)
class StopRequested:
    """A user asked to stop the trial. It ends as pruned at its next report.

    Args:
        request: id of the request; each is taken once. So in the following two.
        by: user@host.
        at: time in ISO 8601.
    """

    request: str
    trial_id: str
    by: str
    at: str


@dataclass(frozen=True, slots=True)
class ConfigurationEnqueued:
    """A user asked for a trial of a configuration. It is the next one that is proposed.

    Args:
        parameters: the values that the user gave, by dotted name. The searcher draws the others.
    """

    request: str
    parameters: Mapping[str, ParameterValue]
    by: str
    at: str


@dataclass(frozen=True, slots=True)
class NoteAdded:
    """A user wrote a note. No decision depends on it.

    Args:
        text: of a note on the whole sweep it is Markdown.
        trial_id: the trial that it is on; None: it is on the sweep.
    """

    request: str
    text: str
    by: str
    at: str
    trial_id: str | None = None


TrialEvent = TrialStarted | EpochRecorded | TrialWaits | TrialEnded | SearchEnded
Request = StopRequested | ConfigurationEnqueued | NoteAdded
Event = TrialEvent | Request

NAMES: dict[type[Event], str] = {
    TrialStarted: "start",
    EpochRecorded: "epoch",
    TrialWaits: "wait",
    TrialEnded: "end",
    SearchEnded: "search_end",
    StopRequested: "stop",
    ConfigurationEnqueued: "enqueue",
    NoteAdded: "note",
}
"""Kind of event → its name in the journal."""


class JournalState:
    """Progress of each trial: tells new, known and impossible events apart."""

    def __init__(self) -> None:
        self._epochs: dict[str, int] = {}
        self._ended: dict[str, Status] = {}
        self._waiting: set[str] = set()  # since their last epoch
        self._search_ended: set[str] = set()  # the trials whose ends ended the search
        self._requests: set[str] = set()

    def is_news(self, event: Event) -> bool:
        """Whether an event is new. A resumed worker repeats known events.

        Raises:
            ValueError: ``event`` cannot follow: no start, a gap between epochs, or after the end.
        """
        if isinstance(event, Request) and event.request in self._requests:
            return False
        if isinstance(event, ConfigurationEnqueued) or event.trial_id is None:
            return True
        return self._is_news_of_trial(event, event.trial_id)

    def _is_news_of_trial(self, event: TrialEvent | Request, trial: str) -> bool:
        epochs = self._epochs.get(trial)
        match event:
            case TrialStarted():
                return epochs is None
            case _ if epochs is None:
                raise ValueError(f"{trial} was never started")
            case EpochRecorded(epoch=epoch) if epoch < epochs:
                return False
            case EpochRecorded(epoch=epoch) if epoch > epochs:
                raise ValueError(f"{trial} must report epoch {epochs} next, but got {epoch=}")
            case TrialWaits() if trial in self._waiting:
                return False
            case SearchEnded():
                return trial not in self._search_ended
            case TrialEnded(status=status) if self._ended.get(trial) is status:
                return False
            case NoteAdded():
                return True
        if trial in self._ended:
            raise ValueError(f"{trial} has already ended: {self._ended[trial]}")
        return True

    def ended_before(self, other: JournalState) -> list[str]:
        """The ended trials of which ``other`` has more epochs, sorted."""
        return sorted(one for one in self._ended if self._epochs[one] < other._epochs.get(one, 0))

    def add(self, event: Event) -> None:
        """Add a new event."""
        match event:
            case TrialStarted(trial_id=trial):
                self._epochs[trial] = 0
            case EpochRecorded(trial_id=trial):
                self._epochs[trial] += 1
                self._waiting.discard(trial)
            case TrialWaits(trial_id=trial):
                self._waiting.add(trial)
            case TrialEnded(trial_id=trial, status=status):
                self._ended[trial] = status
                self._waiting.discard(trial)
            case SearchEnded(trial_id=trial):
                self._search_ended.add(trial)
            case StopRequested() | ConfigurationEnqueued() | NoteAdded():
                self._requests.add(event.request)

    @property
    def started(self) -> Set[str]:
        return self._epochs.keys()

    @property
    def ended(self) -> Set[str]:
        return self._ended.keys()


_CUT = (
    "restore it from a backup, or delete this line and all after it: epochs and ends of trials are"
    " then taken from the trials' own files, but notes and requests of users there are lost"
)


class Journal:
    """The single writer of a journal.

    Args:
        path: the file. It is created if missing, and a torn last line is removed.

    Raises:
        ResultsError: the file is broken.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.progress = JournalState()
        if not os.path.lexists(path):
            with writing(path):
                path.touch()
        drop_torn_line(path)
        try:
            for event in read_journal(path):
                self.progress.add(event)
        except ResultsError as error:
            if isinstance(error.__cause__, OSError):  # it cannot be read at all
                raise
            raise ResultsError(f"{error}; {_CUT}") from error

    def append(self, event: Event) -> bool:
        """Write ``event`` if it is new; returns whether it was. Raises as `JournalState`."""
        news = self.progress.is_news(event)
        if news:
            append_line(self._path, to_json(values_of(event)))
            self.progress.add(event)
        return news

    def sync(self) -> None:
        """Flush every event to disk."""
        sync(self._path)


def read_journal(path: Path) -> Iterator[Event]:
    """The events in order, each once. Needs no lock.

    Raises:
        ResultsError: the file cannot be read, or a line before the last is broken.
    """
    progress = JournalState()

    def parse(line: Mapping[str, Any]) -> Event | None:
        event = event_of(line)
        if not progress.is_news(event):
            return None
        progress.add(event)
        return event

    return (event for event in read_jsonl(path, parse) if event is not None)


def values_of(event: Event) -> Mapping[str, Any]:
    """The inverse of `event_of`."""
    values = {"event": NAMES[type(event)]} | asdict(event)
    if not values.get("metrics", True):  # the objective is Dice, as in most sweeps
        del values["metrics"]
    if values.get("trial_id", "") is None:
        del values["trial_id"]
    finite: Mapping[str, Any] = finite_or_none(values)
    return finite


def search_end(path: Path, trials: int) -> SearchEnded | None:
    """The early end of the search of a sweep with this number of ``trials``; None without one.

    An end does not hold any more once the sweep was extended. Raises as `read_journal`.
    """
    found = [event for event in read_journal(path) if isinstance(event, SearchEnded)]
    return found[-1] if found and found[-1].trials >= trials else None


@dataclass(frozen=True, slots=True)
class _Line:
    event: str
    trial_id: str = ""


def waiting_trials(path: Path) -> frozenset[str]:
    """Ids of the trials that have no worker by the last that was recorded of them.

    Lines are not looked into any further. Raises as `read_journal`; without a journal nobody waits.
    """
    if not os.path.lexists(path):  # a folder of version 0.1 may have none
        return frozenset()
    telling = {NAMES[kind] for kind in (TrialWaits, EpochRecorded, TrialEnded)}
    lines = JsonLines.read(path).fields(_Line)
    last = {one.get("trial_id"): one["event"] for one in lines if one["event"] in telling}
    return frozenset(trial for trial, event in last.items() if event == NAMES[TrialWaits] and trial)


def event_of(line: Mapping[str, Any]) -> Event:
    """The event in a line of the journal; raises KeyError or ValueError if it is invalid."""
    for kind, name in NAMES.items():
        if name == line["event"]:
            if "trial_id" in line or kind not in (ConfigurationEnqueued, NoteAdded):
                trial_number(line["trial_id"])
            return parsed(kind, line)
    raise ValueError(f"unknown event {line['event']!r}, which a newer version may have written")
