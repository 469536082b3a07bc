"""When, and by what, trials are compared: what a scheduler is told of an epoch.

Trials that switch on at different epochs are hard to compare. After equally many trained epochs one
has just begun what the other has finished; after equally many epochs since the switch-on the later
one is further in its training and has the better Dice for that alone. The gain over a baseline in
the same epoch takes that advantage away. ``benchmarks/clocks.py`` measures it: on two recorded
sweeps of 48 trials, gains since the switch-on kept a trial within 0.005 of the winner in at least
99 % of the orders for 27 % of the epochs of full training, Dice by trained epochs for 42 %.
"""

from __future__ import annotations

import math
from typing import Protocol

from sweep.spec.presets import BASELINE
from sweep.spec.sweep import SweepSpec


class Clock(Protocol):
    """Reads a report for the scheduler. Its state is a function of what it was told."""

    def start(self, trial_id: str, switch_on: int, preset: str | None) -> None:
        """Take note of a trial that trains ``switch_on`` epochs before its geometric loss acts."""
        ...

    def read(self, trial_id: str, epochs: int, dice: float | None) -> tuple[int, float | None]:
        """Time and score of a trial after ``epochs`` trained epochs.

        Returns:
            a time below 1 is before the scheduler's; None for a score is none that it may judge.
        """
        ...

    def end(self, trial_id: str) -> None:
        """Take note that a trial has ended."""
        ...


class TrainedEpochs:
    """Validation Dice by trained epochs, as it comes."""

    def start(self, trial_id: str, switch_on: int, preset: str | None) -> None:
        pass

    def read(self, trial_id: str, epochs: int, dice: float | None) -> tuple[int, float | None]:
        return epochs, dice

    def end(self, trial_id: str) -> None:
        pass


class SinceActivation:
    """Best Dice so far minus the baseline's in the same epoch, by epochs since the switch-on.

    A report in an epoch that the baseline has not reached yet has no score: the scheduler then
    judges the next one that has. One after the baseline's end is compared with its last. The
    baseline itself, and whatever has no geometric loss, is never judged: it never switches on.
    """

    def __init__(self) -> None:
        self._switch_on: dict[str, int] = {}
        self._best: dict[str, float] = {}
        self._baseline: str | None = None
        self._baseline_best: list[float] = []
        self._baseline_ended = False

    def start(self, trial_id: str, switch_on: int, preset: str | None) -> None:
        self._switch_on[trial_id] = switch_on
        self._best[trial_id] = -math.inf
        if preset == BASELINE:
            self._baseline = trial_id

    def read(self, trial_id: str, epochs: int, dice: float | None) -> tuple[int, float | None]:
        if dice is not None:
            self._best[trial_id] = max(self._best[trial_id], dice)
        if trial_id == self._baseline:
            self._baseline_best.append(self._best[trial_id])
        time = epochs - self._switch_on[trial_id]
        return time, self._gain(trial_id, epochs) if time >= 1 else None

    def end(self, trial_id: str) -> None:
        if trial_id == self._baseline:
            self._baseline_ended = True

    def _gain(self, trial_id: str, epochs: int) -> float | None:
        known = len(self._baseline_best)
        if known < epochs and not self._baseline_ended:
            return None
        reference = self._baseline_best[min(epochs, known) - 1] if known else 0.0
        gain = self._best[trial_id] - max(reference, 0.0)
        return gain if math.isfinite(gain) else None


def make_clock(spec: SweepSpec) -> Clock:
    """The clock that the sweep's scheduler counts by."""
    return SinceActivation() if spec.compares_gains else TrainedEpochs()
