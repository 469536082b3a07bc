"""What a person wants to know of a running sweep, kept up to date event by event."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from sweep.analysis.ranking.finalists import Planned
from sweep.analysis.ranking.live_ranking import Standings
from sweep.console.console_words import duration_words
from sweep.spec.words.short_names import label
from sweep.store.layout import is_replicate, trial_number
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.objective import DICE, Objective
from sweep.vocabulary.record import ParameterValue, Status, TrialRecord

SHOWN_DIVERGENCES = 4
ENDED_FOR_A_PACE, DONE_FOR_A_PACE = 2, 0.1
"""Trials that have ended, or share of the sweep's rest that is done, from which a pace can be told:
most trials end long before their last epoch, which the epochs of the first ones cannot know."""

KEPT_WARNINGS = 100
"""Different sentences; trials tend to warn of the same."""


@dataclass(slots=True)
class Running:
    """A trial under way: epochs trained, the objective's last and best value, what it searches.

    Args:
        waits: whether no worker has it.
    """

    trial_id: str
    label: str = ""
    epochs: int = 0
    value: float | None = None
    best: float | None = None
    best_epoch: int = 0
    waits: bool = False


@dataclass(frozen=True, slots=True)
class Best:
    """The best value of all trials of the search that have not diverged."""

    trial_id: str
    value: float
    epoch: int


@dataclass(slots=True)
class Progress:
    """An observer of the conductor; the views read it.

    Args:
        trials: number of trials of the sweep, replicates included.
        max_epochs: most epochs of one trial.
        clock: seconds; monotonic.
        objective: what trials are judged by.
        planned: keeps ``trials`` right where leaders are trained again.
    """

    trials: int
    max_epochs: int
    clock: Callable[[], float] = time.monotonic
    objective: Objective = DICE
    planned: Planned | None = None
    running: dict[str, Running] = field(default_factory=dict)
    ended: Counter[Status] = field(default_factory=Counter)
    divergences: deque[TrialRecord] = field(default_factory=lambda: deque(maxlen=SHOWN_DIVERGENCES))
    warnings: dict[str, list[str]] = field(default_factory=dict)
    """Sentence → the trials that warned of it, first things first."""
    trained_seconds: float = 0.0
    """Of all epochs, added over the trials."""
    epochs_reported: int = 0
    """Since the clock was started, without those of a shared warm-up."""
    stopping: bool = False
    """Whether somebody has asked for the end."""
    standings: Standings = field(default_factory=Standings)
    _started: float = 0.0
    _done_at_start: float = 0.0
    _ended_at_start: int = 0
    _pace_from: tuple[float, float] | None = None
    """Clock and share done when the first epoch was reported: Ray and the imports come before."""

    def start_clock(self) -> None:
        """Call when the first new trial may start: what was replayed before took no time."""
        self._started = self.clock()
        self._done_at_start = self.done
        self._ended_at_start = self.finished_trials
        self._pace_from = None
        self.epochs_reported = 0

    def trial_started(
        self,
        trial_id: str,
        parameters: Mapping[str, ParameterValue],
    ) -> None:
        self.running[trial_id] = Running(trial_id, label(parameters))

    def epoch_reported(self, trial_id: str, metrics: EpochMetrics) -> None:
        trial = self.running[trial_id]
        trial.epochs = metrics.epoch + 1
        trial.waits = False
        trial.value = self.objective.value(metrics)
        self.trained_seconds += 0.0 if metrics.shared else metrics.seconds
        self.epochs_reported += not metrics.shared
        if self._pace_from is None and not metrics.shared:
            self._pace_from = self.clock(), self.done
        for text in metrics.warnings:
            if text in self.warnings or len(self.warnings) < KEPT_WARNINGS:
                trials = self.warnings.setdefault(text, [])
                trials += [trial_id] if trial_id not in trials else []
        turned = self.objective.turned
        if trial.value is None:
            return
        if trial.best is None or turned(trial.value) > turned(trial.best):
            trial.best, trial.best_epoch = trial.value, metrics.epoch

    def trial_waits(self, trial_id: str) -> None:
        self.running[trial_id].waits = True

    def trial_ended(self, record: TrialRecord) -> None:
        self.running.pop(record.trial_id)
        self.ended[record.status] += 1
        if self.planned is not None:
            self.planned.add(record)
            self.trials = self.planned.total
        if not is_replicate(record.trial_id):  # a lucky seed of a finalist leads nobody
            self.standings.add(record)
        if record.status is Status.DIVERGED:
            self.divergences.append(record)

    @property
    def best(self) -> Best | None:
        """Of equals the trial that was started first."""
        found = [
            Best(trial.trial_id, trial.best, trial.best_epoch)
            for trial in list(self.running.values())
            if trial.best is not None and not is_replicate(trial.trial_id)
        ]
        leader = self.standings.leader
        if leader is not None and leader.best is not None and leader.value is not None:
            found.append(Best(leader.trial_id, leader.value, leader.best.epoch))
        return max(
            found,
            key=lambda best: (self.objective.turned(best.value), -trial_number(best.trial_id)),
            default=None,
        )

    @property
    def counts(self) -> dict[Status, int]:
        """Number of trials in each status, without the `waiting` ones."""
        return {Status.RUNNING: len(self.running) - self.waiting} | {
            status: self.ended[status] for status in Status if status.is_final
        }

    @property
    def waiting(self) -> int:
        """Number of trials without an end that no worker has."""
        return sum(trial.waits for trial in list(self.running.values()))

    @property
    def finished_trials(self) -> int:
        return self.ended.total()

    @property
    def done(self) -> float:
        """Share of the sweep that is done, in [0, 1]; a running trial counts by its epochs."""
        under_way = sum(trial.epochs for trial in list(self.running.values())) / self.max_epochs
        return min(1.0, (self.finished_trials + under_way) / self.trials)

    @property
    def warning_words(self) -> list[str]:
        """What trials warned of, each sentence once, with the trial that did so first."""
        return [
            f"{trials[0]}{f' and {len(trials) - 1} more' if trials[1:] else ''}: {text}"
            for text, trials in list(self.warnings.items())
        ]

    @property
    def running_word(self) -> str:
        """What the trials without an end are."""
        return "running"

    @property
    def time_words(self) -> str:
        """How long it has taken."""
        return duration_words(self.elapsed)

    @property
    def left_words(self) -> str:
        """How long it will take."""
        if self.stopping:
            return "stopping"
        left = self.remaining
        if left is None:
            return "time left not known yet" if self.epochs_reported else "starting"
        if round(left) == 0 and self.finished_trials < self.trials:
            return "finishing"  # a pace tells nothing of what comes after the last epoch
        return f"about {duration_words(left)} left"

    @property
    def elapsed(self) -> float:
        return self.clock() - self._started

    @property
    def has_pace(self) -> bool:
        """Whether enough has been done since the start to tell how long the rest will take."""
        ended = self.finished_trials - self._ended_at_start
        left_at_start = 1 - self._done_at_start
        gained = self.done - self._done_at_start
        return ended >= ENDED_FOR_A_PACE or gained >= DONE_FOR_A_PACE * left_at_start

    @property
    def remaining(self) -> float | None:
        """Seconds left at the pace since the first epoch; None while there is no pace yet."""
        done = self.done
        if done >= 1:
            return 0.0
        if self._pace_from is None or not self.has_pace:
            return None
        since, done_then = self._pace_from
        gained = done - done_then
        return (self.clock() - since) * (1 - done) / gained if gained > 0 else None
