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

import numpy as np

from sweep.search.schedulers.projected_gain import Values, noise_of, projected_gain
from sweep.spec.search.search_strategy import epochs_in_full
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.spec.space.presets import BASELINE


class ComparedValue(NamedTuple):
    """What a scheduler is told of a trial.

    Args:
        trial_id: of the trial.
        resource: how far it is, in the unit of the rungs (Ray Tune's `time_attr`); below 1 there is
            nothing yet to judge it by.
        score: what it is judged by; None where that is not known yet.
    """

    trial_id: str
    resource: int
    score: float | None


class Comparison(Protocol):
    """Reads a report for the scheduler: how far a trial is, and its score.

    Its state is a function of what it was told.
    """

    def start(self, trial_id: str, full_from: int, preset: str | None) -> None:
        """Take note of a trial whose geometric loss acts in full after ``full_from`` epochs."""
        ...

    def read(self, trial_id: str, epochs: int, score: float | None) -> ComparedValue:
        """The reading of a trial after ``epochs`` trained epochs, the last with this score: the
        objective, turned so that more is better (`sweep.vocabulary.objective`).
        """
        ...

    def late(self) -> Iterable[ComparedValue]:
        """Earlier readings whose score has become known since the last call."""
        ...

    def end(self, trial_id: str) -> None:
        """Take note that a trial has ended."""
        ...


class ByTrainedEpochs:
    """The score by trained epochs, as it comes."""

    def start(self, trial_id: str, full_from: int, preset: str | None) -> None:
        pass

    def read(self, trial_id: str, epochs: int, score: float | None) -> ComparedValue:
        return ComparedValue(trial_id, 0 if score is None else epochs, score)

    def late(self) -> Iterable[ComparedValue]:
        return ()

    def end(self, trial_id: str) -> None:
        pass


@dataclass(slots=True)
class _Curve:
    """A trial so far.

    Args:
        full_from: number of epochs before its geometric loss acts in full.
        values: validation Dice of each epoch; NaN where nothing was measured.
    """

    full_from: int
    values: list[float] = field(default_factory=list)

    def note(self, epochs: int, value: float | None) -> None:
        """Take note of the value after ``epochs`` epochs; those that nobody told are unknown."""
        del self.values[epochs - 1 :]  # of a trial that goes on from an earlier epoch
        self.values += [math.nan] * (epochs - 1 - len(self.values))
        self.values.append(math.nan if value is None else value)

    def until(self, epochs: int) -> Values:
        """Of the first ``epochs`` epochs; the last of them goes on where there are fewer."""
        known = self.values[:epochs]
        return np.array(known + known[-1:] * (epochs - len(known)))


class ByProjectedGain:
    """The projected gain over the baseline, by epochs since the trial's loss acts in full.

    The score is `sweep.search.schedulers.projected_gain`: how far the trial is ahead of the
    baseline, and how far it may come, of which the baseline's own noise says what can be believed.

    The resource is the number of epochs in full, but no more than a quarter of all that are
    trained: in the first epochs of a training Dice rises so steeply that a gain is noise, while
    late in it a few epochs tell.

    A report in an epoch that the baseline has not reached yet has no score until it has. One after
    the baseline's end is compared with its last. The baseline itself, and whatever has no geometric
    loss, is never judged: it never acts in full.
    """

    def __init__(self) -> None:
        self._courses: dict[str, _Curve] = {}
        self._baseline: str | None = None
        self._control = _Curve(0)
        self._baseline_ended = False
        self._ahead: defaultdict[int, list[ComparedValue]] = defaultdict(list)

    def start(self, trial_id: str, full_from: int, preset: str | None) -> None:
        self._courses[trial_id] = _Curve(full_from)
        if preset == BASELINE:
            self._baseline = trial_id
            self._control = self._courses[trial_id]

    def read(self, trial_id: str, epochs: int, score: float | None) -> ComparedValue:
        course = self._courses[trial_id]
        course.note(epochs, score)
        resource = epochs_in_full(epochs, course.full_from)
        if resource < 1 or all(map(math.isnan, course.values)):
            return ComparedValue(trial_id, min(resource, 0), None)
        if not self._is_reached(epochs):
            reading = ComparedValue(trial_id, resource, None)
            self._ahead[epochs].append(reading)
            return reading
        return ComparedValue(trial_id, resource, self._projected_gain(course, epochs))

    def late(self) -> Iterable[ComparedValue]:
        for epochs in sorted(self._ahead):
            if not self._is_reached(epochs):
                return
            for reading in self._ahead.pop(epochs):
                course = self._courses.get(reading.trial_id)
                if course is not None:
                    yield reading._replace(score=self._projected_gain(course, epochs))

    def end(self, trial_id: str) -> None:
        del self._courses[trial_id]
        if trial_id == self._baseline:
            self._baseline_ended = True

    def _is_reached(self, epochs: int) -> bool:
        """Whether all is known of the baseline that will be, up to this epoch."""
        return self._baseline_ended or epochs <= len(self._control.values)

    def _projected_gain(self, course: _Curve, epochs: int) -> float:
        noise = noise_of(np.array(self._control.values[:epochs]))
        values, control = course.until(epochs), self._control.until(epochs)
        if not len(control):  # it ended before its first epoch
            control = np.full(epochs, math.nan)
        return projected_gain(values, control, course.full_from, noise)


def make_comparison(spec: SweepSpec) -> Comparison:
    """What the sweep's scheduler compares trials by."""
    return ByProjectedGain() if spec.compares_gains else ByTrainedEpochs()
