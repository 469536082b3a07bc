"""The state of a running sweep in numbers, kept up to date event by event."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from sweep.analysis.ranking.finalists import Planned
from sweep.analysis.ranking.live_ranking import LiveRanking
from sweep.spec.words.short_names import label
from sweep.store.layout import is_replicate, trial_number
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.objective import DICE, Objective
from sweep.vocabulary.record import Observer, ParameterValue, Status, TrialRecord

SHOWN_DIVERGENCES = 4
KEPT_WARNINGS = 100
"""Different sentences; trials tend to warn of the same."""


@dataclass(slots=True)
class Running:
    """A trial under way: epochs trained, last and best values, what it searches.

    Args:
        value, best: of the objective.
        dice, best_dice: validation Dice, whatever the objective is.
        waits: whether no worker has it.
    """

    trial_id: str
    label: str = ""
    epochs: int = 0
    value: float | None = None
    best: float | None = None
    best_epoch: int = 0
    dice: float | None = None
    best_dice: float | None = None
    waits: bool = False


@dataclass(frozen=True, slots=True)
class Best:
    """The best value of all trials of the search that have not diverged."""

    trial_id: str
    value: float
    epoch: int


@dataclass
class SweepState(Observer):
    """An observer of the controller that counts; the console and the metrics both read it.

    Args:
        trials: number of trials of the sweep, replicates included.
        objective: what trials are judged by.
        planned: keeps ``trials`` right where leaders are trained again.
    """

    trials: int
    objective: Objective = DICE
    planned: Planned | None = None
    running: dict[str, Running] = field(default_factory=dict)
    ended: Counter[Status] = field(default_factory=Counter)
    causes: Counter[str] = field(default_factory=Counter)
    divergences: deque[TrialRecord] = field(default_factory=lambda: deque(maxlen=SHOWN_DIVERGENCES))
    warnings: dict[str, list[str]] = field(default_factory=dict)
    """Sentence → the trials that warned of it, first things first."""
    trained_epochs: int = 0
    trained_steps: int = 0
    trained_seconds: float = 0.0
    """Of all epochs, added over the trials, without those of a shared warm-up."""
    shared_steps: int = 0
    """Steps that trials took over from a shared warm-up."""
    ranking: LiveRanking = field(default_factory=LiveRanking)
    _ended_dice: float | None = None
    """Best Dice of the trials of the search that have ended with a result."""

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
                trials = self.warnings.setdefault(text, [])
                trials += [trial_id] if trial_id not in trials else []
        trial = self.running[trial_id]
        trial.epochs = metrics.epoch + 1
        trial.waits = False
        trial.dice = DICE.value(metrics)
        trial.best_dice = _larger(trial.best_dice, trial.dice)
        trial.value = self.objective.value(metrics)
        turned = self.objective.turned
        if trial.value is None:
            return
        if trial.best is None or turned(trial.value) > turned(trial.best):
            trial.best, trial.best_epoch = trial.value, metrics.epoch

    def trial_waits(self, trial_id: str) -> None:
        self.running[trial_id].waits = True

    def trial_ended(self, record: TrialRecord) -> None:
        self.running.pop(record.trial_id, None)
        self.ended[record.status] += 1
        if self.planned is not None:
            self.planned.add(record)
            self.trials = self.planned.total
        if not is_replicate(record.trial_id):  # a lucky seed of a finalist leads nobody
            self.ranking.add(record)
            if record.status.has_result and (best := DICE.best(record.history)) is not None:
                self._ended_dice = _larger(self._ended_dice, best.val_dice)
        if record.status is Status.DIVERGED:
            self.divergences.append(record)
        if record.outcome is not None and record.outcome.divergence is not None:
            self.causes[record.outcome.divergence.cause] += 1

    @property
    def best(self) -> Best | None:
        """Of equals the trial that was started first."""
        found = [
            Best(trial.trial_id, trial.best, trial.best_epoch)
            for trial in self._running_of_search()
            if trial.best is not None
        ]
        leader = self.ranking.leader
        if leader is not None and leader.best is not None and leader.value is not None:
            found.append(Best(leader.trial_id, leader.value, leader.best.epoch))
        return max(
            found,
            key=lambda best: (self.objective.turned(best.value), -trial_number(best.trial_id)),
            default=None,
        )

    @property
    def best_dice(self) -> float | None:
        """Of the same trials the best validation Dice, whatever the objective is."""
        return _larger(self._ended_dice, *(t.best_dice for t in self._running_of_search()))

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
    def warning_words(self) -> list[str]:
        """What trials warned of, each sentence once, with the trial that did so first."""
        return [
            f"{trials[0]}{f' and {len(trials) - 1} more' if trials[1:] else ''}: {text}"
            for text, trials in list(self.warnings.items())
        ]

    def _running_of_search(self) -> list[Running]:
        """A copy: a view may read while the driver adds a trial."""
        return [one for one in list(self.running.values()) if not is_replicate(one.trial_id)]


def _larger(*values: float | None) -> float | None:
    return max((value for value in values if value is not None), default=None)
