"""Progress of a sweep and its remaining time, for the console."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from sweep.analysis.ranking.sweep_state import SweepState
from sweep.console.console_words import duration_words
from sweep.vocabulary.epoch_metrics import EpochMetrics

ENDED_FOR_A_PACE, DONE_FOR_A_PACE = 2, 0.1
"""Ended trials, or done share of the rest of the sweep, that are needed to estimate a pace. Most
trials end long before their last epoch, so the first epochs alone would mislead."""


@dataclass
class Progress(SweepState):
    """A sweep's state with a clock. Views read it.

    Args:
        max_epochs: largest number of epochs of one trial.
        clock: monotonic, in seconds.
        stopping: whether a stop was requested.
    """

    max_epochs: int = 1
    clock: Callable[[], float] = time.monotonic
    stopping: bool = False
    _started: float = 0.0
    _epochs_at_start: int = 0
    _work_at_start: float = 0.0
    _ended_at_start: int = 0
    _pace_from: tuple[float, float] | None = None
    """Clock and work at the first reported epoch, after the start of Ray and all imports."""

    def start_clock(self) -> None:
        """Call it before the first new trial. Trials that were replayed before took no time."""
        self._started = self.clock()
        self._epochs_at_start = self.trained_epochs
        self._work_at_start = self.work
        self._ended_at_start = self.finished_trials
        self._pace_from = None

    def epoch_reported(self, trial_id: str, metrics: EpochMetrics) -> None:
        super().epoch_reported(trial_id, metrics)
        if self._pace_from is None and not metrics.shared:
            self._pace_from = self.clock(), self.work

    @property
    def epochs_reported(self) -> int:
        """Epochs since the clock started, without those of a shared warm-up."""
        return self.trained_epochs - self._epochs_at_start

    @property
    def trials_ended(self) -> int:
        """Trials that have ended since the clock started."""
        return self.finished_trials - self._ended_at_start

    @property
    def work(self) -> float:
        """Number of trials that are done; a running one counts by its epochs.

        A pace in trials stays right where their number changes: by `sweep.enqueue`, `stop_when`
        or a race.
        """
        running = sum(trial.epochs for trial in list(self.running.values())) / self.max_epochs
        return self.finished_trials + running

    @property
    def done(self) -> float:
        """Done share of the sweep, in [0, 1]."""
        return min(1.0, self.work / self.trials)

    @property
    def may_end_earlier(self) -> bool:
        """Whether ``trials`` is an upper bound."""
        return self.planned is not None and self.planned.is_upper_bound

    @property
    def count_words(self) -> str:
        """``7/20``, or ``7/≤35`` where the sweep may end with fewer trials."""
        return f"{self.finished_trials}/{'≤' * self.may_end_earlier}{self.trials}"

    @property
    def running_word(self) -> str:
        """Word for unfinished trials."""
        return "running"

    @property
    def time_words(self) -> str:
        """The elapsed time."""
        return duration_words(self.elapsed)

    @property
    def left_words(self) -> str:
        """The remaining time."""
        if self.stopping:
            return "stopping"
        left = self.remaining
        if left is None:
            return "time left not known yet" if self.epochs_reported else "starting"
        if self.finished_trials >= self.trials:
            return "all ended"
        if round(left) == 0:
            return "finishing"  # after the last epoch no pace is known
        return f"{'up to' if self.may_end_earlier else 'about'} {duration_words(left)} left"

    @property
    def elapsed(self) -> float:
        return self.clock() - self._started

    @property
    def has_pace(self) -> bool:
        """Whether enough is done since the start to estimate the remaining time."""
        left_at_start = self.trials - self._work_at_start
        gained = self.work - self._work_at_start
        return self.trials_ended >= ENDED_FOR_A_PACE or gained >= DONE_FOR_A_PACE * left_at_start

    @property
    def remaining(self) -> float | None:
        """Seconds left at the pace since the first epoch; None while there is no pace yet."""
        left = self.trials - self.work
        if left <= 0:
            return 0.0
        if self._pace_from is None or not self.has_pace:
            return None
        since, work_then = self._pace_from
        gained = self.work - work_then
        return (self.clock() - since) * left / gained if gained > 0 else None


class Phase(StrEnum):
    """Phase of a followed sweep, as the view shows it."""

    RUNNING = "running"
    FINISHED = "finished"
    STOPPED = "not running"


@dataclass
class FollowedProgress(Progress):
    """`Progress` without a clock: a results folder has the duration of epochs, not their time."""

    phase: Phase = Phase.RUNNING

    @property
    def running_word(self) -> str:
        return "unfinished" if self.phase is Phase.STOPPED else "running"

    @property
    def time_words(self) -> str:
        return f"{duration_words(self.trained_seconds)} of training"

    @property
    def left_words(self) -> str:
        return super().left_words if self.phase is Phase.RUNNING else self.phase.value

    @property
    def remaining(self) -> float | None:
        """Seconds left at the speed so far, with as many trials at a time as now."""
        if not self.trained_seconds or not self.has_pace:
            return None
        at_a_time = max(1, len(self.running) - self.waiting)
        return self.trained_seconds * (1 - self.done) / self.done / at_a_time
