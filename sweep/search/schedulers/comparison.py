"""What trials are compared by, and when: a trial's epoch as the scheduler sees it.

Trials that switch on at different epochs are hard to compare. After the same number of trained
epochs, one has just begun what the other has finished. After the same number of epochs since the
switch-on, the later one has trained longer, and has a better Dice for that reason alone. The gain
over a baseline in the same epoch removes that advantage. ``benchmarks/clocks.py`` measures the
value of each rule here.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from sweep.search.schedulers.projected_gain import Values, noise_of, projected_gain
from sweep.spec.search.search_strategy import epochs_in_full
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.spec.space.presets import BASELINE
from sweep.vocabulary.dominance import Point


class ComparedValue(NamedTuple):
    """A report to the scheduler.

    Args:
        trial_id: of the trial.
        resource: how far it is, in the unit of the rungs (Ray Tune's `time_attr`). Below 1 it
            cannot be judged yet.
        score: what it is judged by, with several objectives a score of each; None if that is not
            known yet.
    """

    trial_id: str
    resource: int
    score: float | Point | None


class ByTrainedEpochs:
    """The score itself, by trained epochs. Other comparisons override what differs.

    If nothing was measured in the epoch of a rung, the trial is judged there by its last value that
    no rung has judged. Without one it is judged at its next value.

    The state of a comparison is a function of the calls.

    Args:
        rungs: trained epochs of each, ascending.
    """

    def __init__(self, rungs: Sequence[int] = ()) -> None:
        self._rungs = rungs
        self._passed: dict[str, int] = {}  # rungs that a trial has passed
        self._unjudged: dict[str, float | None] = {}

    def start(self, trial_id: str, full_from: int, preset: str | None) -> None:
        """Note a trial whose geometric loss acts in full after ``full_from`` epochs."""

    def read(self, trial_id: str, epochs: int, score: Any) -> ComparedValue:
        """The report on a trial after ``epochs`` trained epochs.

        Args:
            score: the objective in the last of them, turned so that more is better
                (`sweep.vocabulary.objective`); with several objectives, the trial's point.
        """
        passed = bisect_right(self._rungs, epochs)
        if passed > self._passed.get(trial_id, 0):
            unjudged = self._unjudged.pop(trial_id, None)
            score = unjudged if score is None else score
            if score is not None:
                self._passed[trial_id] = passed
        elif score is not None:
            self._unjudged[trial_id] = score
        return ComparedValue(trial_id, 0 if score is None else epochs, score)

    def late(self) -> Iterable[ComparedValue]:
        """Earlier reports whose score has become known since the last call."""
        return ()

    def end(self, trial_id: str) -> None:
        """Note that a trial has ended."""
        self._passed.pop(trial_id, None)
        self._unjudged.pop(trial_id, None)


@dataclass(slots=True)
class _Curve:
    """A trial so far.

    Args:
        full_from: number of epochs before its geometric loss acts in full.
        values: score of each epoch; NaN if nothing was measured.
    """

    full_from: int
    values: list[float] = field(default_factory=list)

    def note(self, epochs: int, value: float | None) -> None:
        """Note the value after ``epochs`` epochs. Epochs without a report are NaN."""
        del self.values[epochs - 1 :]  # the trial may have resumed from an earlier epoch
        self.values += [math.nan] * (epochs - 1 - len(self.values))
        self.values.append(math.nan if value is None else value)

    def until(self, epochs: int) -> Values:
        """Values of the first ``epochs`` epochs. If there are fewer, the last one is repeated."""
        known = self.values[:epochs]
        return np.array(known + known[-1:] * (epochs - len(known)))


class ByProjectedGain(ByTrainedEpochs):
    """The projected gain over the baseline, by epochs since the trial's loss acts in full.

    The score is `sweep.search.schedulers.projected_gain`: how far the trial is ahead of the
    baseline, and how far it may still come, limited by the baseline's own noise.

    The resource is the number of epochs in full, but at most a quarter of all trained epochs. In
    the first epochs of a training Dice rises so steeply that a gain is noise. Later a few epochs
    are enough.

    A report in an epoch that the baseline has not reached yet has no score until then. A report
    after the baseline's end is compared with the baseline's last epoch. The baseline itself, and
    every trial without a geometric loss, is never judged: its loss never acts in full.
    """

    def __init__(self) -> None:
        super().__init__()
        self._curves: dict[str, _Curve] = {}
        self._baseline: str | None = None
        self._control = _Curve(0)
        self._baseline_ended = False
        self._ahead: defaultdict[int, list[ComparedValue]] = defaultdict(list)

    def start(self, trial_id: str, full_from: int, preset: str | None) -> None:
        self._curves[trial_id] = _Curve(full_from)
        if preset == BASELINE:
            self._baseline = trial_id
            self._control = self._curves[trial_id]

    def read(self, trial_id: str, epochs: int, score: Any) -> ComparedValue:
        curve = self._curves[trial_id]
        curve.note(epochs, score)
        resource = epochs_in_full(epochs, curve.full_from)
        if resource < 1 or all(map(math.isnan, curve.values)):
            return ComparedValue(trial_id, min(resource, 0), None)
        if not self._is_reached(epochs):
            report = ComparedValue(trial_id, resource, None)
            self._ahead[epochs].append(report)
            return report
        return ComparedValue(trial_id, resource, self._projected_gain(curve, epochs))

    def late(self) -> Iterable[ComparedValue]:
        for epochs in sorted(self._ahead):
            if not self._is_reached(epochs):
                return
            for report in self._ahead.pop(epochs):
                curve = self._curves.get(report.trial_id)
                if curve is not None:
                    yield report._replace(score=self._projected_gain(curve, epochs))

    def end(self, trial_id: str) -> None:
        del self._curves[trial_id]
        if trial_id == self._baseline:
            self._baseline_ended = True

    def _is_reached(self, epochs: int) -> bool:
        """Whether the baseline's values up to this epoch are known, or it has ended."""
        return self._baseline_ended or epochs <= len(self._control.values)

    def _projected_gain(self, curve: _Curve, epochs: int) -> float:
        noise = noise_of(np.array(self._control.values[:epochs]))
        values, control = curve.until(epochs), self._control.until(epochs)
        if not len(control):  # the baseline ended before its first epoch
            control = np.full(epochs, math.nan)
        return projected_gain(values, control, curve.full_from, noise)


def make_comparison(spec: SweepSpec) -> ByTrainedEpochs:
    """The comparison of the sweep's trials."""
    return ByProjectedGain() if spec.compares_gains else ByTrainedEpochs(spec.rungs())
