"""A sweep in numbers, for whoever watches it from outside; knows no Ray."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import reduce

from sweep.store.layout import is_replicate
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.objective import DICE, Objective
from sweep.vocabulary.record import Cause, ParameterValue, Status, TrialRecord
from sweep.vocabulary.strict_json import finite_or_none


class Metric(Enum):
    """Name, tags beside the sweep's name, and what is measured.

    Prometheus shows them as ``ray_<name>``, those of `COUNTERS` as ``ray_<name>_total``.
    """

    TRIALS = ("sweep_trials", ("status",), "Trials in each status.")
    PLANNED = ("sweep_trials_planned", (), "Trials that the sweep is to have.")
    BEST_DICE = ("sweep_best_dice", (), "Best validation Dice of all trials with a result.")
    TRIAL_DICE = ("sweep_trial_dice", ("trial",), "Last validation Dice of a running trial.")
    TRIAL_BEST_DICE = (
        "sweep_trial_best_dice",
        ("trial",),
        "Best validation Dice of a running trial.",
    )
    BEST = ("sweep_best_objective", (), "Best value of the objective of all trials with a result.")
    TRIAL_VALUE = (
        "sweep_trial_objective",
        ("trial",),
        "Last value of the objective of a running trial.",
    )
    TRIAL_EPOCHS = ("sweep_trial_epochs", ("trial",), "Epochs that a running trial has behind it.")
    DIVERGENCES = ("sweep_divergences", ("cause",), "Diverged trials by cause.")
    EPOCHS = ("sweep_epochs_trained", (), "Epochs that trials trained themselves.")
    STEPS = ("sweep_steps_trained", (), "Optimizer steps of those epochs.")
    STEPS_SHARED = (
        "sweep_steps_shared",
        (),
        "Optimizer steps that trials took from a shared warm-up instead of training them.",
    )

    def __init__(self, key: str, tags: tuple[str, ...], description: str) -> None:
        self.key = key
        self.tags = tags
        self.description = description


COUNTERS = frozenset({Metric.EPOCHS, Metric.STEPS})
"""Those of which the rate is of interest. The others are shown also where they are 0, or shrink."""


@dataclass(frozen=True, slots=True)
class Sample:
    """The value of one metric now; ``tag`` where it has one beside the sweep's name."""

    metric: Metric
    value: float
    tag: str | None = None


@dataclass(slots=True)
class _Running:
    epochs: int = 0
    value: float | None = None
    leading: float | None = None
    dice: float | None = None
    best: float | None = None
    waits: bool = False


@dataclass(slots=True)
class Tally:
    """An observer of the conductor that counts.

    Args:
        trials: number of trials that the sweep is to have.
        objective: what they are judged by.
    """

    trials: int
    objective: Objective = DICE
    _running: dict[str, _Running] = field(default_factory=dict)
    _ended: Counter[Status] = field(default_factory=Counter)
    _causes: Counter[Cause] = field(default_factory=Counter)
    _best: float | None = None
    _leading: float | None = None
    _epochs: int = 0
    _steps: int = 0
    _shared: int = 0

    def trial_started(self, trial_id: str, parameters: Mapping[str, ParameterValue]) -> None:
        self._running[trial_id] = _Running()

    def epoch_reported(self, trial_id: str, metrics: EpochMetrics) -> None:
        if metrics.shared:
            self._shared += metrics.steps
        else:
            self._epochs += 1
            self._steps += metrics.steps
        trial = self._running[trial_id]
        trial.epochs = metrics.epoch + 1
        trial.waits = False
        trial.dice = finite_or_none(metrics.val_dice)
        trial.best = _larger(trial.best, trial.dice)
        trial.value = self.objective.value(metrics)
        trial.leading = _larger(trial.leading, self.objective.score(metrics))

    def trial_waits(self, trial_id: str) -> None:
        self._running[trial_id].waits = True

    def trial_ended(self, record: TrialRecord) -> None:
        self._running.pop(record.trial_id, None)
        self._ended[record.status] += 1
        if record.status.has_result and record.replicate is None:
            by_dice = DICE.best(record.history)
            self._best = _larger(self._best, by_dice.val_dice if by_dice else None)
            self._leading = _larger(self._leading, record.score)
        if record.outcome is not None and record.outcome.divergence is not None:
            self._causes[record.outcome.divergence.cause] += 1

    def samples(self) -> Iterator[Sample]:
        """Every number there is; those by status and cause also where they are 0."""
        yield Sample(Metric.PLANNED, self.trials)
        waiting = sum(trial.waits for trial in self._running.values())
        yield Sample(Metric.TRIALS, len(self._running) - waiting, Status.RUNNING)
        yield Sample(Metric.TRIALS, waiting, "waiting")
        for status in Status:
            if status.is_final:
                yield Sample(Metric.TRIALS, self._ended[status], status)
        for cause in Cause:
            yield Sample(Metric.DIVERGENCES, self._causes[cause], cause)
        yield Sample(Metric.EPOCHS, self._epochs)
        yield Sample(Metric.STEPS, self._steps)
        yield Sample(Metric.STEPS_SHARED, self._shared)
        for trial_id, trial in self._running.items():
            yield Sample(Metric.TRIAL_EPOCHS, trial.epochs, trial_id)
            for metric, value in (
                (Metric.TRIAL_DICE, trial.dice),
                (Metric.TRIAL_BEST_DICE, trial.best),
                (Metric.TRIAL_VALUE, trial.value),
            ):
                if value is not None:
                    yield Sample(metric, value, trial_id)
        # As on the screen: a trial leads while it runs, and no longer once it has diverged.
        search = [t for trial_id, t in self._running.items() if not is_replicate(trial_id)]
        best = reduce(_larger, (trial.best for trial in search), self._best)
        if best is not None:
            yield Sample(Metric.BEST_DICE, best)
        leading = reduce(_larger, (trial.leading for trial in search), self._leading)
        if leading is not None:
            yield Sample(Metric.BEST, self.objective.turned(leading))


def _larger(a: float | None, b: float | None) -> float | None:
    return max((value for value in (a, b) if value is not None), default=None)
