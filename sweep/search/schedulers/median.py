"""The median stopping rule, without the values of diverged trials."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from fractions import Fraction

from sweep.search.schedulers.decision import Decision, OnArrival
from sweep.search.schedulers.rung import Rung
from sweep.vocabulary.record import Status


@dataclass(slots=True)
class _Reported:
    """A trial's values from the grace period on.

    ``total`` is exact: the mean of equal values is that value, and no trial falls behind an equal
    one.
    """

    best: float = -math.inf
    total: Fraction = Fraction(0)
    count: int = 0


class MedianStopping(OnArrival):
    """Stops a trial whose best value is below the median of the others' running means.

    A trial is judged after every epoch from the grace period on, except the last, against all
    others that have trained as many epochs, also ended ones. A higher value is better.

    - Best and mean count from the grace period on. Before it trials may be one and the same run.
    - With fewer than ``min_trials`` others every trial continues.
    - A trial at the median continues; so do several trials with equal values.
    - ``None`` (nothing was measured in that epoch) continues and does not change the mean.
    - NaN and ±inf stop from the grace period on and do not count in a mean.
    - Diverged and failed trials are forgotten (`end`). Pruned and completed ones are evidence.
    - A trial that jumps over epochs (resumed at a later one) is compared at those that it reports.
    - A trial that was stopped or has ended stays so, whatever it reports later.

    The decisions depend only on the sequence of calls: replaying it restores the state.

    Args:
        grace_period: trained epochs of the first judgement.
        max_epochs: trained epochs of a complete trial, which is not judged any more.
        min_trials: number of other trials that a judgement needs, at least 1.

    Source: Golovin et al., "Google Vizier: A Service for Black-Box Optimization", KDD 2017,
    section 3.2.2. There the others are the completed trials. Here, as in Ray Tune, they are all
    that have trained as many epochs, because under a scheduler few trials complete.
    """

    def __init__(
        self,
        *,
        grace_period: int,
        max_epochs: int,
        min_trials: int = 3,
    ) -> None:
        self._judged = range(grace_period, max_epochs)
        self._min_trials = min_trials
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
            course.best = max(course.best, value)
            course.total += Fraction(value)
            course.count += 1
            enough = len(means) >= self._min_trials
            passes = not enough or course.best >= means.median()
            means.record(trial_id, float(course.total / course.count))
            if passes:
                return Decision.CONTINUE
        self._out.add(trial_id)
        return Decision.STOP

    def end(self, trial_id: str, status: Status) -> None:
        """Note that the trial has ended with this final status."""
        self._out.add(trial_id)
        self._courses.pop(trial_id, None)
        if not status.has_result:
            for means in self._means.values():
                means.remove(trial_id)
