"""Configurations that were trained on the same seeds and folds: which of them is ahead, if any.

Only *units* that vary independently are counted. On one fold these are the seeds, and the result
holds on that fold. On several folds these are the folds: a configuration may suit one fold better
than another configuration does, and all its seeds there share that. So a fold counts once, with the
mean over its seeds.

What difference such a comparison can show is known before anything is trained.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from sweep.analysis.confirm.paired_statistics import (
    DECIMALS,
    groups,
    holm,
    mean_interval,
    paired_p,
    probability_best,
)
from sweep.spec.search.replicate_plan import most_finalists
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.spec.words.phrases import counted
from sweep.vocabulary.objective import mean_of_runs

LEVEL = 0.05
"""Significance level of every test."""
LEAST_UNITS = 3
"""Seeds, or folds where there are several, below which only the mean is reported."""
POWER = 0.8
"""Share of confirmations that name a leader which is so far ahead, in deviations that are known."""
POWER_BY_ESTIMATE = "some 70 %"
"""What is left of `POWER` where the deviation is estimated from the same runs: simulated by the
section ``stated`` of ``benchmarks/confirmation.py``."""
EXAMPLE = 0.01
"""Deviation from seed to seed, in Dice, of the example in the sentence."""
DRAWS, BATCH = 8_000, 1_000

Block = tuple[int, int]
"""Seed and fold."""
Scores = Mapping[Block, float]
Pair = tuple[int, int]


def folds_of(scores: Iterable[Scores]) -> set[int]:
    return {fold for one in scores for _, fold in one}


def units(scores: Scores, *, by_fold: bool) -> dict[int, float]:
    """The values that vary independently: the mean over the seeds of each fold, or one per seed."""
    gathered: dict[int, list[float]] = {}
    for (seed, fold), value in scores.items():
        gathered.setdefault(fold if by_fold else seed, []).append(value)
    return {unit: fmean(values) for unit, values in gathered.items()}


def table_of(
    scores: Sequence[Scores], shared: Collection[Block], *, by_fold: bool
) -> NDArray[np.float64]:
    """``[units, configurations]`` of the blocks that all of them have."""
    rows = [units({b: one[b] for b in shared}, by_fold=by_fold).values() for one in scores]
    return np.array([list(row) for row in rows]).T


@dataclass(frozen=True)
class PairedComparison:
    """Configurations on the same seeds and folds, the one with the highest mean first.

    The first is the winner if it beats each of the others in a two-sided paired t-test at `LEVEL`.
    No correction is needed for their number, nor for the choice of the first by the same data: all
    tests have to agree, and only one configuration can be first. The error is largest where two are
    equal and all others far behind, and it is `LEVEL` there (Gutmann and Maymin 1987, Is the
    selected population the best?, Ann. Statist. 15; Hung and Fithian 2019, Rank verification for
    exponential families, Ann. Statist. 47). That one *pair* differs is another claim: its p is
    adjusted over all pairs by Holm.

    Args:
        scores: of each configuration.
        by_fold: whether the units are folds rather than seeds.
    """

    scores: tuple[Scores, ...]
    by_fold: bool

    @cached_property
    def shared(self) -> Scores:
        """The scores of the first on the blocks on which all configurations have one."""
        first, *others = self.scores
        return {b: v for b, v in first.items() if all(b in other for other in others)}

    @cached_property
    def count(self) -> int:
        """Number of units that all configurations share."""
        return len(units(self.shared, by_fold=self.by_fold))

    @property
    def winner(self) -> int | None:
        """0 where the first beats all others; None where it does not, or there is too little."""
        others = range(1, len(self.scores))
        beats = self.is_telling and all(self.beats(0, other) for other in others)
        return 0 if beats else None

    def beats(self, i: int, j: int) -> bool:
        """Whether the mean difference favours ``i`` and is significant in its own test."""
        return math.fsum(self.differences(i, j)) > 0 and self._p(i, j) < LEVEL

    def differences(self, i: int, j: int) -> list[float]:
        """Differences of the scores on the blocks that both have, one per unit."""
        first, second = self.scores[i], self.scores[j]
        found = {block: first[block] - second[block] for block in first if block in second}
        return list(units(found, by_fold=self.by_fold).values())

    @cached_property
    def apart(self) -> set[Pair]:
        """Pairs that differ: by Holm over all pairs, and every pair with the winner."""
        if self.count < LEAST_UNITS:
            return set()
        pairs = list(combinations(range(len(self.scores)), 2))
        adjusted = holm([self._p(*pair) for pair in pairs])
        found = {pair for pair, p in zip(pairs, adjusted, strict=True) if p < LEVEL}
        return found if self.winner is None else found | {pair for pair in pairs if 0 in pair}

    @property
    def letters(self) -> list[str] | None:
        """A letter for each set that cannot be told apart; None where it is not `is_telling`."""
        return groups(len(self.scores), self.apart) if self.is_telling else None

    @property
    def is_telling(self) -> bool:
        """Whether there are two configurations to compare, and enough shared units."""
        return len(self.scores) > 1 and self.count >= LEAST_UNITS

    def p_best(self) -> list[float] | None:
        """Probability of each that its mean is the highest; None where it is not `is_telling`."""
        if not self.is_telling:
            return None
        return probability_best(table_of(self.scores, self.shared, by_fold=self.by_fold))

    @cached_property
    def spread(self) -> float | None:
        """Standard deviation of one configuration's units, without what all configurations share.

        The root mean square over the pairs of the deviation of their differences, over √2.
        """
        pairs = combinations(range(len(self.scores)), 2)
        found = [d for pair in pairs if len(d := self.differences(*pair)) > 1]
        if not found:
            return None
        return math.sqrt(float(np.mean([np.var(d, ddof=1) for d in found])) / 2)

    def _p(self, i: int, j: int) -> float:
        differences = self.differences(i, j)
        return float(paired_p(differences)) if len(differences) >= LEAST_UNITS else 1.0


def interval(scores: Scores, *, by_fold: bool, among: Sequence[Scores] = ()) -> tuple[float, float]:
    """95 % interval of the mean over units, by Student's t; NaN for fewer than `LEAST_UNITS`, and
    where all are equal: their spread is not known then, and is not 0.

    Args:
        scores: of one configuration.
        by_fold: whether the units are folds rather than seeds.
        among: of all configurations of which it was picked as the highest; empty where it was not.
    """
    values, *picked_from = [[*units(one, by_fold=by_fold).values()] for one in (scores, *among)]
    are_equal = round(max(values, default=0.0) - min(values, default=0.0), DECIMALS) == 0
    return mean_interval([] if are_equal else values, LEAST_UNITS, among=picked_from)


def mean_of(scores: Scores, *, by_fold: bool) -> float:
    """Mean over units; NaN where there are none."""
    return mean_of_runs(units(scores, by_fold=by_fold).values()) if scores else math.nan


def detectable(units: int, others: int) -> float:
    """How far the best must lie above each of the others to be named in `POWER` of all cases.

    Simulated with normal noise and a fixed seed, to within about 1 %. All others are taken to be
    equal, which is the hardest case.

    Args:
        units: seeds, or folds where there are several.
        others: number of finalists besides the best.

    Returns:
        In standard deviations of one configuration's units; infinite below `LEAST_UNITS`, and where
        there are no others.
    """
    if units < LEAST_UNITS or others < 1:
        return math.inf
    from scipy.special import stdtrit

    rng = np.random.default_rng(0)
    critical = float(stdtrit(units - 1, 1 - LEVEL / 2)) / math.sqrt(units)
    needed = []
    for _ in range(DRAWS // BATCH):
        noise = rng.standard_normal((BATCH, units, others + 1))
        differences = noise[..., :1] - noise[..., 1:]
        lead = critical * differences.std(axis=1, ddof=1) - differences.mean(axis=1)
        needed.append(lead.max(axis=1))
    return float(np.quantile(np.concatenate(needed), POWER))


def can_show(spec: SweepSpec) -> str:
    """A sentence on what the confirmation of a sweep can show; empty for a sweep without one."""
    if spec.confirm is None:
        return ""
    seeds, folds = spec.confirm.blocks
    others = most_finalists(spec) - 1
    if others < 1:
        return "confirm: with a single finalist there is nothing to compare."
    units = seeds if folds == 1 else folds
    once = "of several folds each counts once, whatever the number of seeds"
    if units < LEAST_UNITS:
        what = "seeds" if folds == 1 else "folds"
        none = f"confirm: {units} {what} name no winner, however far ahead one is:"
        if folds == 1:
            return f"{none} it takes {LEAST_UNITS}."
        return (
            f"{none} {once}, and it takes {LEAST_UNITS}. `folds: 1` compares seeds instead, and"
            " what is said then holds on that fold."
        )
    far = detectable(units, others)
    best = f"name the best of {others + 1} finalists in {100 * POWER:.0f} % of cases if it lies"
    each = "the other" if others == 1 else f"each of the other {others}"
    if folds == 1:
        return (
            f"confirm: {seeds} seeds on one fold {best} {far:.1f} standard deviations from seed to"
            f" seed above {each} ({far * EXAMPLE:.3f} Dice where runs of one configuration deviate"
            f" by {EXAMPLE:g}). What is said then holds on that fold."
        )
    alike, unlike = far / math.sqrt(seeds), far * math.sqrt(1 + 1 / seeds)
    return (
        f"confirm: {counted(folds, 'fold')} of {counted(seeds, 'seed')} {best} {alike:.1f} standard"
        f" deviations from seed to seed above {each} and all folds agree on that, or {unlike:.1f}"
        f" and it varies from fold to fold as much as runs do from seed to seed ({once})."
    )
