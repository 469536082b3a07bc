"""What a pruned trial would have reached: an expectation, bounded by what was measured.

It rests on the baseline's curve, which knows how much training alone still brings. A trial that is
behind the baseline when it is pruned is expected to stay as far behind. Of a gain, the share is
expected that trials which trained on kept of theirs: early gains often are a head start that is
lost again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from statistics import fmean

from sweep.vocabulary.record import Status, TrialRecord

LEAST_KEPT = 3
"""Trials that trained on after as many epochs, below which nobody knows what is left of a gain."""


@dataclass(frozen=True, slots=True)
class Expectation:
    """A score that nobody measured.

    Args:
        measured: the best score since the switch-on: the least that it would have reached.
        score: the expected one, between ``measured`` and the best score of any trial.
        low, high: what it may be, within the same bounds: ``score`` give or take by how much such
            an expectation was wrong for the trials that trained on (root mean square). Anything
            within the bounds, where they are fewer than `LEAST_KEPT`. Of pruned trials these hold
            less than they say (``benchmarks/trends.py expected``).
    """

    measured: float
    score: float
    low: float
    high: float


def expectations(
    records: Sequence[TrialRecord], starts: Mapping[str, int], baseline: TrialRecord
) -> dict[str, Expectation]:
    """Of the pruned trials among these, by their ids.

    The baseline itself shows nothing of gains over it, and neither does a trial without a value
    from its start on.

    Args:
        records: trials with a result.
        starts: epoch from which each trial's scores count, by its id.
        baseline: the trial without a geometric loss, with a result.
    """
    reference = _best_so_far(baseline, 0)
    curves = {one.trial_id: _best_so_far(one, starts[one.trial_id]) for one in records}
    curves = {name: curve for name, curve in curves.items() if curve and math.isfinite(curve[-1])}
    best = max([reference[-1], *(curve[-1] for curve in curves.values())])

    def gain(trial: str, since: int) -> float:
        """Over what the baseline had reached by then, so many epochs after the switch-on."""
        then = min(starts[trial] + since, len(reference)) - 1
        found = curves[trial][since - 1] - reference[then]
        return found if math.isfinite(found) else 0.0

    is_pruned = {one.trial_id: one.status is Status.PRUNED for one in records}
    whole = [t for t in curves if not is_pruned[t] and t != baseline.trial_id]

    @cache
    def lasting(since: int) -> _Lasting:
        longer = [trial for trial in whole if len(curves[trial]) > since]
        return _Lasting.of([(gain(t, since), curves[t][-1] - reference[-1]) for t in longer])

    found = {}
    for trial, curve in curves.items():
        if is_pruned[trial]:
            known = lasting(len(curve))
            score = reference[-1] + known.expected(gain(trial, len(curve)))
            ends = (score, score - known.error, score + known.error)
            found[trial] = Expectation(
                curve[-1], *(min(max(value, curve[-1]), best) for value in ends)
            )
    return found


@dataclass(frozen=True, slots=True)
class _Lasting:
    """What is left in the end of the gains that trials have at some time.

    Args:
        share: of a gain, in [0, 1].
        error: of what is expected by it, as a root mean square; infinite where it is not known.
    """

    share: float
    error: float

    @classmethod
    def of(cls, pairs: Sequence[tuple[float, float]]) -> _Lasting:
        """From the gains of trials, then and in the end: the slope of least squares through 0."""
        if len(pairs) < LEAST_KEPT:
            return cls(1.0, math.inf)
        gains = [pair for pair in pairs if pair[0] > 0]
        squares = sum(then * then for then, _ in gains)
        slope = sum(then * end for then, end in gains) / squares if squares else 1.0
        found = cls(min(1.0, max(0.0, slope)), math.inf)
        errors = [(end - found.expected(then)) ** 2 for then, end in pairs]
        return cls(found.share, math.sqrt(fmean(errors)))

    def expected(self, gain: float) -> float:
        """The gain in the end."""
        return self.share * gain if gain > 0 else gain


def _best_so_far(record: TrialRecord, start: int) -> list[float]:
    """Its best score up to each epoch from ``start`` on; −∞ before the first value."""
    scores = record.objective.scores(record.history)[start:]
    return [*accumulate((-math.inf if s is None else s for s in scores), max)]
