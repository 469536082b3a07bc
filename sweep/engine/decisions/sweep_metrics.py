"""The metrics of a sweep for Prometheus, without Ray."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from sweep.analysis.ranking.sweep_state import SweepState
from sweep.trainer.divergence.verdicts import VERDICTS


class Metric(Enum):
    """Name, tags besides the sweep's name, and description.

    Prometheus shows them as ``ray_<name>``, those of `COUNTERS` as ``ray_<name>_total``.
    """

    TRIALS = ("sweep_trials", ("status",), "Trials in each status.")
    PLANNED = ("sweep_trials_planned", (), "Trials that the sweep will have.")
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
    TRIAL_EPOCHS = ("sweep_trial_epochs", ("trial",), "Epochs that a running trial has finished.")
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
"""Metrics whose rate is of interest. The others may also be 0, or shrink."""


@dataclass(frozen=True, slots=True)
class MetricSample:
    """The value of one metric now; ``tag`` if it has one besides the sweep's name."""

    metric: Metric
    value: float
    tag: str | None = None


def samples(state: SweepState) -> Iterator[MetricSample]:
    """Every number of a sweep; those by status and cause also if they are 0."""
    yield MetricSample(Metric.PLANNED, state.trials)
    for status, count in state.counts.items():
        yield MetricSample(Metric.TRIALS, count, status)
    yield MetricSample(Metric.TRIALS, state.waiting, "waiting")
    for cause in VERDICTS:
        yield MetricSample(Metric.DIVERGENCES, state.causes[cause], cause)
    yield MetricSample(Metric.EPOCHS, state.trained_epochs)
    yield MetricSample(Metric.STEPS, state.trained_steps)
    yield MetricSample(Metric.STEPS_SHARED, state.shared_steps)
    if state.best_dice is not None:
        yield MetricSample(Metric.BEST_DICE, state.best_dice)
    if (best := state.best) is not None:
        yield MetricSample(Metric.BEST, best.value)
    for trial_id, trial in state.running.items():
        for metric, value in (
            (Metric.TRIAL_EPOCHS, trial.epochs),
            (Metric.TRIAL_DICE, trial.dice),
            (Metric.TRIAL_BEST_DICE, trial.best_dice),
            (Metric.TRIAL_VALUE, trial.value),
        ):
            if value is not None:
                yield MetricSample(metric, value, trial_id)
