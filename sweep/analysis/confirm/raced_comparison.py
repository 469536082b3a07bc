"""The comparison of finalists after a race, which looked at them several times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

from sweep.analysis.confirm.paired_comparison import (
    LEAST_UNITS,
    Block,
    Pair,
    PairedComparison,
    table_of,
    units,
)
from sweep.analysis.confirm.paired_statistics import probability_best
from sweep.analysis.confirm.race import Race, told_apart


@dataclass(frozen=True)
class RacedComparison(PairedComparison):
    """Finalists of a race, those that are left first.

    The first is the winner if it was told apart from each of the others at some look. As without a
    race no correction is needed for the number of others. For the number of looks it is made
    (`sweep.analysis.confirm.race_statistics.levels`), so that a false winner is named in 5 % of
    races at most. Blocks after a finalist was dropped say nothing of it, and count for nothing.

    Args:
        looks: after each complete block: the places of those compared, and the blocks so far.
        planned: number of blocks of the race.
        left: number of finalists that were not dropped.
    """

    looks: tuple[tuple[tuple[int, ...], tuple[Block, ...]], ...] = ()
    planned: int = 0
    left: int = 0

    @cached_property
    def count(self) -> int:
        return len(units(self.scores[0], by_fold=self.by_fold))

    def beats(self, i: int, j: int) -> bool:
        return (i, j) in self._told(1)

    @cached_property
    def apart(self) -> set[Pair]:
        """Pairs that differ, their error shared among all pairs, and every pair with the winner."""
        pairs = list(combinations(range(len(self.scores)), 2))
        found = {(min(pair), max(pair)) for pair in self._told(max(1, len(pairs)))}
        return found if self.winner is None else found | {pair for pair in pairs if 0 in pair}

    def p_best(self) -> list[float] | None:
        """Of those that are left; None where too few are, or too few units."""
        left = self.scores[: self.left]
        shared = [b for b in left[0] if all(b in one for one in left)]
        table = table_of(left, shared, by_fold=self.by_fold)
        if table.ndim < 2 or table.shape[1] < 2 or len(table) < LEAST_UNITS:
            return None
        return probability_best(table)

    def _told(self, pairs: int) -> set[Pair]:
        tables = []
        for compared, trained in self.looks:
            scores = [self.scores[place] for place in compared]
            shared = [b for b in trained if all(b in one for one in scores)]
            by_fold = len({fold for _, fold in shared}) > 1
            tables.append((compared, table_of(scores, shared, by_fold=by_fold)))
        return told_apart(tables, self.planned, pairs)


def raced_comparison(
    found: Race, ids: Sequence[str], scores: Sequence[dict[Block, float]], *, by_fold: bool
) -> RacedComparison:
    """The comparison of these finalists, in this order.

    Args:
        found: their race.
        ids: of those that are compared; those that are left come first.
        scores: of each, by which they are compared: not always those of the race.
        by_fold: whether the units are folds rather than seeds.
    """
    places = {one: place for place, one in enumerate(ids)}
    looks = [
        (
            tuple(places[one] for one in look if one in places),
            found.plan.blocks[:number],
        )
        for number, look in enumerate(found.looks, start=1)
    ]
    left = sum(one in places for one in found.running)
    planned = len(found.plan.blocks)
    return RacedComparison(tuple(scores), by_fold, tuple(looks), planned, left)
