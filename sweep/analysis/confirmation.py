"""What the replicates of the leaders say: who is best, how sure that is, who cannot be told apart.

Everything stands on the replicates alone. The run of the search is left out: it was chosen for its
Dice, and so is an optimistic draw.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from sweep.analysis.paired import groups, holm, mean_interval, paired_p, probability_best
from sweep.record import Status, TrialRecord

LEVEL = 0.05
"""Two finalists can be told apart where the p of their paired test, adjusted by Holm, is below."""
Block = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finalist:
    """A configuration and its replicates.

    Args:
        record: the trial of the search.
        replicates: all that were started, by seed and fold.
        scores: (seed, fold) → best value of the objective as a score, of which more is better
            (`sweep.objective`); the worst that there can be for a diverged one, where there is
            one. Those that failed or have not ended have none.
        mean: of the scores.
        low, high: 95 % interval of the mean by Student's t; NaN for a single score.
        p_best: probability that its mean is the highest of all finalists; None where fewer than
            two blocks are complete.
        group: letters; finalists that share one cannot be told apart.
    """

    record: TrialRecord
    replicates: tuple[TrialRecord, ...]
    scores: Mapping[Block, float]
    mean: float
    low: float
    high: float
    p_best: float | None = None
    group: str = ""

    @property
    def trial_id(self) -> str:
        return self.record.trial_id

    @property
    def epochs(self) -> float:
        """Mean number of epochs of the replicates with a result; infinite where none has one."""
        lengths = [len(r.history) for r in self.replicates if r.status.has_result]
        return sum(lengths) / len(lengths) if lengths else math.inf

    def count(self, status: Status) -> int:
        return sum(replicate.status is status for replicate in self.replicates)


@dataclass(frozen=True, slots=True)
class Confirmation:
    """All finalists, the highest mean first.

    Args:
        finalists: those with a score.
        p: adjusted p of each pair of ids in that order; 1 for pairs that share fewer than two
            blocks.
        blocks: number of seeds and folds on which all of them have a score.
        unfinished: number of replicates that run or were interrupted.
    """

    finalists: tuple[Finalist, ...]
    p: Mapping[tuple[str, str], float]
    blocks: int
    unfinished: int

    @property
    def winner(self) -> Finalist | None:
        """The first, where it can be told apart from every other and all replicates have ended."""
        first, *others = self.finalists
        told_apart = all(self.p[first.trial_id, other.trial_id] < LEVEL for other in others)
        return first if others and told_apart and not self.unfinished else None

    @property
    def tied(self) -> list[Finalist]:
        """The first and whoever cannot be told apart from it."""
        first, *others = self.finalists
        return [first, *(o for o in others if self.p[first.trial_id, o.trial_id] >= LEVEL)]

    @property
    def cheapest(self) -> Finalist:
        """Of these the one with the fewest epochs."""
        return min(self.tied, key=lambda finalist: finalist.epochs)

    def of(self, trial_id: str) -> Finalist | None:
        return next((one for one in self.finalists if one.trial_id == trial_id), None)


def confirmation(records: Iterable[TrialRecord]) -> Confirmation | None:
    """The finalists of a sweep; None where no replicate has a score.

    Args:
        records: of all trials of the sweep.
    """
    records = list(records)
    replicates = [record for record in records if record.replicate is not None]
    by_id = {record.trial_id: record for record in records}
    of: dict[str, list[TrialRecord]] = {}
    for record in replicates:
        assert record.replicate is not None
        if record.replicate.of in by_id:
            of.setdefault(record.replicate.of, []).append(record)
    measured = [one for name in of if (one := _finalist(by_id[name], of[name])) is not None]
    if not measured:
        return None
    measured.sort(key=lambda one: (-one.mean, one.epochs, one.record.number))
    unfinished = sum(not record.status.is_final for record in replicates)
    return _compared(measured, unfinished)


def score(replicate: TrialRecord) -> float | None:
    """Score that a replicate counts with; None where it failed or has not ended.

    Whoever runs a configuration that diverges gets no model: of Dice that is 0. What is the worst
    of a metric without a bound nobody knows, so there it is left out, and told.
    """
    if replicate.status is Status.DIVERGED:
        return replicate.objective.worst
    return replicate.score


def _finalist(record: TrialRecord, replicates: Sequence[TrialRecord]) -> Finalist | None:
    ordered = sorted(replicates, key=_block)
    scores = {_block(r): value for r in ordered if (value := score(r)) is not None}
    if not scores:
        return None
    values = list(scores.values())
    low, high = mean_interval(values)
    least, greatest = record.objective.bounds  # no mean lies outside
    return Finalist(
        record=record,
        replicates=tuple(ordered),
        scores=scores,
        mean=math.fsum(values) / len(values),
        low=low if math.isnan(low) else max(least, low),
        high=high if math.isnan(high) else min(greatest, high),
    )


def _compared(measured: Sequence[Finalist], unfinished: int) -> Confirmation:
    pairs = list(combinations(range(len(measured)), 2))
    raw = [paired_p(_differences(measured[i], measured[j])) for i, j in pairs]
    p = dict(zip(pairs, holm(raw), strict=True))
    letters = groups(len(measured), {pair for pair, value in p.items() if value < LEVEL})
    shared = [b for b in measured[0].scores if all(b in one.scores for one in measured)]
    best: list[float | None] = [None] * len(measured)
    if len(shared) > 1:
        table = np.array([[one.scores[block] for one in measured] for block in shared])
        best = list(probability_best(table))
    done = tuple(replace(one, p_best=best[n], group=letters[n]) for n, one in enumerate(measured))
    named = {(done[i].trial_id, done[j].trial_id): value for (i, j), value in p.items()}
    return Confirmation(done, named, len(shared), unfinished)


def _differences(first: Finalist, second: Finalist) -> list[float]:
    common = [block for block in first.scores if block in second.scores]
    return [first.scores[block] - second.scores[block] for block in common]


def _block(record: TrialRecord) -> Block:
    assert record.replicate is not None
    return record.replicate.block
