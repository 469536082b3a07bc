"""When, and by what, trials are compared: what a scheduler is told of an epoch.

Trials that switch on at different epochs are hard to compare. After equally many trained epochs one
has just begun what the other has finished; after equally many epochs since then the later one is
further in its training and has the better Dice for that alone. The gain over a baseline in the same
epoch takes that advantage away. ``benchmarks/clocks.py`` measures what each rule here is worth.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from sweep.spec.presets import BASELINE
from sweep.spec.strategy import activation_time
from sweep.spec.sweep import SweepSpec


class Reading(NamedTuple):
    """What a scheduler is told of a trial.

    Args:
        trial_id: of the trial.
        time: how far it is; below 1 there is nothing yet to judge it by.
        score: what it is judged by; None where that is not known yet.
    """

    trial_id: str
    time: int
    score: float | None


class Clock(Protocol):
    """Reads a report for the scheduler. Its state is a function of what it was told."""

    def start(self, trial_id: str, activation: int, preset: str | None) -> None:
        """Take note of a trial whose geometric loss acts in full after ``activation`` epochs."""
        ...

    def read(self, trial_id: str, epochs: int, score: float | None) -> Reading:
        """The reading of a trial after ``epochs`` trained epochs, the last with this score: the
        objective, turned so that more is better (`sweep.objective`).
        """
        ...

    def late(self) -> Iterable[Reading]:
        """Earlier readings whose score has become known since the last call."""
        ...

    def end(self, trial_id: str) -> None:
        """Take note that a trial has ended."""
        ...


class TrainedEpochs:
    """The score by trained epochs, as it comes."""

    def start(self, trial_id: str, activation: int, preset: str | None) -> None:
        pass

    def read(self, trial_id: str, epochs: int, score: float | None) -> Reading:
        return Reading(trial_id, 0 if score is None else epochs, score)

    def late(self) -> Iterable[Reading]:
        return ()

    def end(self, trial_id: str) -> None:
        pass


@dataclass(slots=True)
class _Course:
    """A trial so far.

    Args:
        activation: number of epochs before its geometric loss acts in full.
        best: validation Dice.
        dice: of each epoch since then.
        paired: how many of these are in the sums.
        count, mean, squares: of their differences to the baseline: number, mean, and sum of the
            squared distances from it (Welford's running sums).
    """

    activation: int
    best: float = -math.inf
    dice: list[float | None] = field(default_factory=list)
    paired: int = 0
    count: int = 0
    mean: float = 0.0
    squares: float = 0.0

    def pair(self, difference: float) -> None:
        self.count += 1
        distance = difference - self.mean
        self.mean += distance / self.count
        self.squares += distance * (difference - self.mean)

    @property
    def spread(self) -> float:
        """Standard deviation of the differences."""
        return math.sqrt(self.squares / self.count) if self.count else 0.0


class SinceActivation:
    """What a trial promises over the baseline, by epochs since its geometric loss acts in full.

    The score is the best Dice so far minus the baseline's in the same epoch, plus the standard
    deviation of the differences in single epochs since activation. Most geometric losses first
    cost Dice. One that changes much may come to gain much, one that changes nothing never will: an
    upper confidence bound, as in bandits.

    Time is the number of epochs since activation, but no more than a quarter of all that are
    trained: in the first epochs of a training Dice rises so steeply that a gain is noise, while
    late in it a few epochs tell.

    A report in an epoch that the baseline has not reached yet has no score until it has. One after
    the baseline's end is compared with its last. The baseline itself, and whatever has no geometric
    loss, is never judged: it is never activated.
    """

    def __init__(self) -> None:
        self._courses: dict[str, _Course] = {}
        self._baseline: str | None = None
        self._baseline_dice: list[float | None] = []
        self._baseline_best: list[float] = []
        self._baseline_ended = False
        self._ahead: defaultdict[int, list[tuple[Reading, float]]] = defaultdict(list)

    def start(self, trial_id: str, activation: int, preset: str | None) -> None:
        self._courses[trial_id] = _Course(activation)
        if preset == BASELINE:
            self._baseline = trial_id

    def read(self, trial_id: str, epochs: int, score: float | None) -> Reading:
        course = self._courses[trial_id]
        if score is not None:
            course.best = max(course.best, score)
        if trial_id == self._baseline:
            self._baseline_dice.append(score)
            self._baseline_best.append(course.best)
        if epochs > course.activation:
            course.dice.append(score)
        time = activation_time(epochs, course.activation)
        if time < 1 or math.isinf(course.best):
            return Reading(trial_id, min(time, 0), None)
        if not self._baseline_ended and epochs > len(self._baseline_best):
            reading = Reading(trial_id, time, None)
            self._ahead[epochs].append((reading, course.best))
            return reading
        return Reading(trial_id, time, self._promise(course, course.best, epochs))

    def late(self) -> Iterable[Reading]:
        reached = len(self._baseline_best)
        for epochs in sorted(self._ahead):
            if epochs > reached and not self._baseline_ended:
                return
            for reading, best in self._ahead.pop(epochs):
                course = self._courses.get(reading.trial_id)
                if course is not None:
                    yield reading._replace(score=self._promise(course, best, epochs))

    def end(self, trial_id: str) -> None:
        del self._courses[trial_id]
        if trial_id == self._baseline:
            self._baseline_ended = True

    def _promise(self, course: _Course, best: float, epochs: int) -> float:
        known = len(self._baseline_best)
        if not known:
            return best
        for since in range(course.paired, epochs - course.activation):
            dice = course.dice[since]
            control = self._baseline_dice[min(course.activation + since, known - 1)]
            if dice is not None and control is not None:
                course.pair(dice - control)
            course.paired = since + 1
        control = self._baseline_best[min(epochs, known) - 1]
        # Where the baseline has measured nothing there is nothing to gain over it.
        return best - (control if math.isfinite(control) else 0.0) + course.spread


def make_clock(spec: SweepSpec) -> Clock:
    """The clock that the sweep's scheduler counts by."""
    return SinceActivation() if spec.compares_gains else TrainedEpochs()
