"""The state of a running sweep, kept up to date event by event: its ranking and its numbers."""

from __future__ import annotations

import time
from bisect import insort
from collections import Counter, deque
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from sweep.analysis.ranking.finalists import Planned, best_first, place
from sweep.analysis.ranking.pareto_ranks import stands_apart
from sweep.analysis.ranking.ranking_frame import ranking_frame, write_csv
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.spec.words.short_names import label
from sweep.store.layout import is_replicate, trial_number
from sweep.vocabulary.dominance import Point, dominates
from sweep.vocabulary.epoch_metrics import NOTHING, EpochMetrics
from sweep.vocabulary.objective import DICE, Objective
from sweep.vocabulary.record import Observer, ParameterValue, SearchEnded, Status, TrialRecord

SHOWN_DIVERGENCES = 4
KEPT_WARNINGS = 100
"""Number of different sentences."""
LEAST_SECONDS = 3.0
"""Least time between two writes; more where a write takes longer than a twentieth of it."""

LATEST, KEPT_LEADERS = 5, 10
"""Number of trials."""


class LiveRanking:
    """The trials that have ended, in the order of `ranking`.

    A trial that ends is inserted at its place: the others are not sorted again. A view may read in
    another thread.
    """

    def __init__(self) -> None:
        self.ranked: list[TrialRecord] = []
        """Best first by the first objective; beside its best epoch a trial keeps only the Dice and
        the objective."""
        self._latest = deque[str](maxlen=LATEST)
        self._changes = 0
        self._leaders: tuple[int, list[TrialRecord]] = (0, [])  # after so many changes
        self._rivals: dict[str, _Rival] = {}
        """Of several objectives: the trials that fewer than `KEPT_LEADERS` others beat. Nobody else
        can be a leader, and who beats one of them is one of them."""

    def add(self, record: TrialRecord) -> None:
        """Add a trial that has ended; each trial once."""
        insort(self.ranked, _light(record), key=place)
        if record.objective.others:
            self._compete(record)
        self._latest.append(record.trial_id)
        self._changes += 1

    def leaders(self, most: int) -> list[TrialRecord]:
        """The first of the ranking that have a value; at most `KEPT_LEADERS`."""
        changes, (known, found) = self._changes, self._leaders
        if known != changes:
            if self.ranked[0].objective.others:
                able = [one for one in self.ranked if one.trial_id in self._rivals]
            else:
                able = self.ranked[:KEPT_LEADERS]
            first = best_first(able)[:KEPT_LEADERS]
            found = [one for one in first if one.status.has_result and one.best]
            self._leaders = changes, found
        return found[:most]

    def _compete(self, record: TrialRecord) -> None:
        if (point := record.point) is None:
            return
        own = _Rival(point, stands_apart(record))
        rivals = {
            name: replace(one, beaten_by=one.beaten_by + own.beats(one))
            for name, one in self._rivals.items()
        }
        beaten_by = sum(one.beats(own) for one in self._rivals.values())
        rivals[record.trial_id] = replace(own, beaten_by=beaten_by)
        self._rivals = {n: one for n, one in rivals.items() if one.beaten_by < KEPT_LEADERS}

    @property
    def latest(self) -> Collection[str]:
        """Ids of the trials that ended last; none while these are all."""
        return self._latest if len(self.ranked) > LATEST else ()

    def replicate(self, record: TrialRecord) -> None:
        """Add a replicate of the search that has ended: its trial moves to its new place."""
        assert record.replicate is not None
        score = record.score
        trial = next((one for one in self.ranked if one.trial_id == record.replicate.of), None)
        if trial is None or (score is None and record.status is not Status.DIVERGED):
            return  # its trial was deleted, or it says nothing
        if score is None:
            moved = replace(trial, diverged_runs=(*trial.diverged_runs, record.trial_id))
        else:
            moved = replace(trial, replicated=(*trial.replicated, score))
        others = [one for one in self.ranked if one is not trial]
        insort(others, moved, key=place)
        self.ranked = others  # at once: a view never misses a trial
        self._changes += 1

    @property
    def leader(self) -> TrialRecord | None:
        """The best trial with a result, None where there is none."""
        return next(iter(self.leaders(1)), None)


@dataclass(frozen=True, slots=True)
class _Rival:
    """A trial by its scores; those that stand apart come behind all others (`pareto_ranks`)."""

    point: Point
    apart: bool
    beaten_by: int = 0

    def beats(self, other: _Rival) -> bool:
        if self.apart is not other.apart:
            return other.apart
        return dominates(self.point, other.point)


class RankingFile(Observer):
    """An observer that keeps ``ranking.csv`` up to date while the sweep runs.

    It writes every few seconds at most, and only after a trial has ended. It writes the same as
    `sweep.analysis.ranking.ranking_frame.write_ranking`, which writes the file when the sweep ends.

    Args:
        path: of the file.
        spec: of the sweep.
        clock: seconds; monotonic.
    """

    def __init__(
        self, path: Path, spec: SweepSpec, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._path = path
        self._spec = spec
        self._clock = clock
        self._ranking = LiveRanking()
        self._replicates: list[TrialRecord] = []
        self._is_behind = False
        self._due = clock() + LEAST_SECONDS  # so a resumed session writes its old trials once

    def trial_started(self, trial_id: str, parameters: Mapping[str, ParameterValue]) -> None:
        self._write_when_due()

    def epoch_reported(self, trial_id: str, metrics: EpochMetrics) -> None:
        self._write_when_due()

    def trial_ended(self, record: TrialRecord) -> None:
        if record.replicate is None:
            self._ranking.add(record)
        else:
            self._replicates.append(record)
        self._is_behind = True
        self._write_when_due()

    def _write_when_due(self) -> None:
        """Raises `SweepFailed` where it cannot."""
        started = self._clock()
        if not self._is_behind or started < self._due:
            return
        records = [*self._ranking.ranked, *self._replicates]
        write_csv(self._path, ranking_frame(records, list(self._spec.space), self._spec))
        self._is_behind = False
        now = self._clock()
        self._due = now + max(LEAST_SECONDS, 19 * (now - started))


def _light(record: TrialRecord) -> TrialRecord:
    """What a ranking shows of a trial: the full histories of a thousand trials need much memory.

    An epoch with all that it measured takes 1.5 kB, without it a quarter of that.
    """
    best, outcome, name = record.best, record.outcome, record.objective.metric

    def light(epoch: EpochMetrics) -> EpochMetrics:
        judged = {name: epoch.metrics[name]} if name in epoch.metrics else NOTHING
        return replace(epoch, terms=NOTHING, metrics=judged, warnings=())

    return replace(
        record,
        history=tuple(epoch if epoch is best else light(epoch) for epoch in record.history),
        outcome=outcome and replace(outcome, divergence=None, error=None),
    )


@dataclass(slots=True)
class Running:
    """A running trial: its parameters in one line, epochs trained, last and best values.

    Args:
        value, best: of the objective.
        merit: of its best epoch; see `Objective.merit`.
        dice, best_dice: validation Dice, whatever the objective is.
        waits: whether it waits for a worker.
    """

    trial_id: str
    label: str = ""
    epochs: int = 0
    value: float | None = None
    best: float | None = None
    best_epoch: int = 0
    dice: float | None = None
    best_dice: float | None = None
    merit: tuple[float, float] | None = None
    waits: bool = False


@dataclass(frozen=True, slots=True)
class Best:
    """The best value of all trials of the search that have not diverged.

    With several objectives, the value of the first one, of the trial that leads the ranking or of a
    running one that is ahead of it in the first.
    """

    trial_id: str
    value: float
    epoch: int
    merit: tuple[float, float] = field(default=(0.0, 0.0), compare=False)


@dataclass
class SweepState(Observer):
    """An observer that counts; the console and the metrics both read it.

    Args:
        trials: number of trials of the sweep, replicates included.
        objective: of the sweep.
        planned: updates ``trials`` as trials end, where leaders are trained again.
    """

    trials: int
    objective: Objective = DICE
    planned: Planned | None = None
    running: dict[str, Running] = field(default_factory=dict)
    ended: Counter[Status] = field(default_factory=Counter)
    causes: Counter[str] = field(default_factory=Counter)
    divergences: deque[TrialRecord] = field(default_factory=lambda: deque(maxlen=SHOWN_DIVERGENCES))
    warnings: dict[str, dict[str, None]] = field(default_factory=dict)
    """Sentence → the trials that warned of it, in order of time."""
    trained_epochs: int = 0
    trained_steps: int = 0
    trained_seconds: float = 0.0
    """Summed over the trials, without the epochs of a shared warm-up."""
    shared_steps: int = 0
    """Steps that trials took over from a shared warm-up."""
    ranking: LiveRanking = field(default_factory=LiveRanking)
    _ended_dice: float | None = None
    """Best Dice of the ended trials of the search with a result."""

    def trial_started(self, trial_id: str, parameters: Mapping[str, ParameterValue]) -> None:
        self.running[trial_id] = Running(trial_id, label(parameters))

    def epoch_reported(self, trial_id: str, metrics: EpochMetrics) -> None:
        if metrics.shared:
            self.shared_steps += metrics.steps
        else:
            self.trained_epochs += 1
            self.trained_steps += metrics.steps
            self.trained_seconds += metrics.seconds
        for text in metrics.warnings:
            if text in self.warnings or len(self.warnings) < KEPT_WARNINGS:
                self.warnings.setdefault(text, {})[trial_id] = None
        trial = self.running[trial_id]
        trial.epochs = metrics.epoch + 1
        trial.waits = False
        trial.dice = DICE.value(metrics)
        trial.best_dice = _larger(trial.best_dice, trial.dice)
        trial.value = self.objective.value(metrics)
        merit = self.objective.merit(metrics)
        if merit is not None and (trial.merit is None or merit > trial.merit):
            trial.best, trial.best_epoch, trial.merit = trial.value, metrics.epoch, merit

    def trial_enqueued(self) -> None:
        if self.planned is None:
            self.trials += 1
        else:
            self.planned.enqueued += 1
            self.trials = self.planned.total

    def trial_waits(self, trial_id: str) -> None:
        self.running[trial_id].waits = True

    def trial_ended(self, record: TrialRecord) -> None:
        self.running.pop(record.trial_id, None)
        self.ended[record.status] += 1
        if self.planned is not None:
            self.planned.add(record)
            self.trials = self.planned.total
        if record.replicate is not None and record.replicate.in_search:
            self.ranking.replicate(record)
        if not is_replicate(record.trial_id):  # a lucky seed of a finalist must not lead
            self.ranking.add(record)
            if record.status.has_result and (best := DICE.best(record.history)) is not None:
                self._ended_dice = _larger(self._ended_dice, best.val_dice)
        if record.status is Status.DIVERGED:
            self.divergences.append(record)
        if record.outcome is not None and record.outcome.divergence is not None:
            self.causes[record.outcome.divergence.cause] += 1

    def search_ended(self, event: SearchEnded) -> None:
        if self.planned is not None:
            self.planned.end_search(event)
            self.trials = self.planned.total

    @property
    def race_words(self) -> str:
        """Who is left of the finalists that race; empty before the first block has ended."""
        race = None if self.planned is None else self.planned.race
        return race.words if race is not None and race.looks else ""

    @property
    def best(self) -> Best | None:
        """The best trial of the search, running or ended with a result.

        Of equals the trial that was started first. Once a trial has replicates in the search, only
        those that have ended are compared, by the mean of their runs.
        """
        found = [
            Best(trial.trial_id, trial.best, trial.best_epoch, trial.merit)
            for trial in self._running_of_search()
            if trial.best is not None and trial.merit is not None
        ]
        leader = self.ranking.leader
        if leader is not None and leader.replicated and leader.mean_score is not None:
            value = self.objective.turned(leader.mean_score)
            return Best(leader.trial_id, value, leader.best.epoch if leader.best else 0)
        if leader is not None and leader.best is not None and leader.value is not None:
            merit = self.objective.merit(leader.best)
            assert merit is not None, "it has a value"
            found.append(Best(leader.trial_id, leader.value, leader.best.epoch, merit))
        return max(
            found,
            key=lambda best: (best.merit, -trial_number(best.trial_id)),
            default=None,
        )

    @property
    def best_dice(self) -> float | None:
        """The best validation Dice of the same trials, whatever the objective is."""
        return _larger(self._ended_dice, *(t.best_dice for t in self._running_of_search()))

    @property
    def counts(self) -> dict[Status, int]:
        """Number of trials in each status; `waiting` trials are not counted as running."""
        return {Status.RUNNING: len(self.running) - self.waiting} | {
            status: self.ended[status] for status in Status if status.is_final
        }

    @property
    def waiting(self) -> int:
        """Number of trials that wait for a worker."""
        return sum(trial.waits for trial in list(self.running.values()))

    @property
    def finished_trials(self) -> int:
        return self.ended.total()

    @property
    def warning_words(self) -> list[str]:
        """Each warning once, with the first trial that gave it and the number of others."""
        # Copies, since a view may read while the driver adds a trial.
        told = ((text, list(trials)) for text, trials in list(self.warnings.items()))
        return [
            f"{first}{f' and {len(others)} more' if others else ''}: {text}"
            for text, (first, *others) in told
        ]

    def _running_of_search(self) -> list[Running]:
        # A copy, since a view may read while the driver adds a trial.
        return [one for one in list(self.running.values()) if not is_replicate(one.trial_id)]


def _larger(*values: float | None) -> float | None:
    return max((value for value in values if value is not None), default=None)
