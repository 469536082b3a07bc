"""The value by which trials are compared where the question is what their settings did.

Their best Dice is not it, for two reasons. It may lie before the geometric loss acted
(`sweep.analysis.ranking.since_switch_on`). And a pruned trial was trained for fewer epochs: by the
clock `activation` it stops a fixed number of epochs after its own warm-up, so its Dice shows how
long it warmed up and little else.

So: the best since the switch-on, and for a pruned trial what the baseline still gained after
that many epochs on top of it: its distance to the baseline is taken to stay what it was. Without a
baseline, pruned trials are left out where the clock stops each at a time of its own; where all are
compared after the same epochs, their Dice stands as it is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate

from sweep.analysis.ranking.since_switch_on import score_since_switch_on
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.spec.space.presets import BASELINE
from sweep.vocabulary.record import Status, TrialRecord


def comparable_scores(
    spec: SweepSpec, ranked: Sequence[TrialRecord], inside: Sequence[TrialRecord]
) -> dict[str, float]:
    """Comparable score by trial id, of those of ``inside`` that have one.

    Args:
        ranked: all trials with a result, the baseline among them if there is one.
        inside: those of them whose parameters lie in the space.
    """
    baseline = next((record for record in ranked if record.preset == BASELINE), None)
    reference = best_so_far(baseline) if baseline else []
    found = {}
    for record in inside:
        score, pruned = score_since_switch_on(spec, record), record.status is Status.PRUNED
        if score is None or (pruned and not reference and spec.compares_gains):
            continue
        left = still_gained(reference, record) if pruned and reference else 0.0
        found[record.trial_id] = score + left
    return found


def best_so_far(record: TrialRecord) -> list[float]:
    """Best score up to each epoch; −∞ before the first that was measured."""
    scores = [score for _, score in record.objective.curve(record.history)]
    return list(accumulate((-math.inf if s is None else s for s in scores), max))


def still_gained(reference: Sequence[float], record: TrialRecord) -> float:
    """How much a best-so-far curve rises after as many epochs as a trial has."""
    then = reference[min(len(record.history), len(reference)) - 1]
    return reference[-1] - then if math.isfinite(then) else 0.0
