"""The median stopping rule, which knows no value of a diverged trial."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from sweep.search.schedulers.decision import Decision, OnArrival
from sweep.search.schedulers.rung import Rung
from sweep.vocabulary.record import Status


@dataclass(slots=True)
class _Reported:
    """What a trial has reported from the grace period on; ``total`` is exact, so that equal
    values have that value as their mean and no trial falls behind its own double.
    """

    best: float = -math.inf
    total: Fraction = Fraction(0)
    count: int = 0

    def add(self, score: float) -> None:
        self.best = max(self.best, score)
        self.total += Fraction(score)
        self.count += 1

    @property
    def mean(self) -> float:
        return float(self.total / self.count)


class MedianStopping(OnArrival):
    """Stops a trial whose best value is below the median of the others' running means.

    Judged after every epoch from the grace period on but the last, against all others that have
    trained as many epochs, ended ones included:

    - Best and mean count from the grace period on: before it trials may be one and the same run.
    - With fewer than ``min_trials`` others nothing is known against anybody.
    - A trial at the median continues; so do all of several that are equal.
    - ``None`` (nothing was measured in that epoch) continues and leaves the mean as it is.
    - NaN and ±inf stop from the grace period on and enter no mean.
    - Diverged and failed trials are forgotten (`end`), pruned and completed ones are evidence.
    - A trial that jumps over epochs (resumed at a later one) is compared at those that it reports.
    - A trial that was stopped or has ended stays so, whatever it still reports.

    The decisions depend on nothing but the sequence of calls: replaying it restores the state.

    Args:
        grace_period: trained epochs of the first judgement.
        max_epochs: trained epochs after which nothing is left to be stopped.
        min_trials: others that a judgement needs, at least 1.
        mode: whether the highest or the lowest value is the best.

    Source: Golovin et al., "Google Vizier: A Service for Black-Box Optimization", KDD 2017,
    section 3.2.2. There the others are the completed trials; here, as in Ray Tune, all that have
    come as far, since beside a scheduler few complete.
    """

    def __init__(
        self,
        *,
        grace_period: int,
        max_epochs: int,
        min_trials: int = 3,
        mode: Literal["max", "min"] = "max",
    ) -> None:
        self._judged = range(grace_period, max_epochs)
        self._min_trials = min_trials
        self._sign = 1 if mode == "max" else -1
        self._courses: defaultdict[str, _Reported] = defaultdict(_Reported)
        self._means: dict[int, Rung] = {}  # running means of all trials, by trained epochs
        self._out: set[str] = set()

    def report(self, trial_id: str, epochs: int, value: float | None) -> Decision:
        """Record the value of a trial that has trained ``epochs`` epochs and judge it."""
        if trial_id in self._out:
            return Decision.STOP
        if epochs not in self._judged or value is None:
            return Decision.CONTINUE
        if math.isfinite(value):
            means = self._means.setdefault(epochs, Rung(epochs))
            if trial_id in means:
                return Decision.CONTINUE
            course = self._courses[trial_id]
            course.add(self._sign * value)
            enough = len(means) >= self._min_trials
            passes = not enough or course.best >= means.median()
            means.record(trial_id, course.mean)
            if passes:
                return Decision.CONTINUE
        self._out.add(trial_id)
        return Decision.STOP

    def end(self, trial_id: str, status: Status) -> None:
        """Take note that the trial has ended with this final status."""
        self._out.add(trial_id)
        self._courses.pop(trial_id, None)
        if not status.has_result:
            for means in self._means.values():
                means.remove(trial_id)
