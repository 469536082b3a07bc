"""The confirmation as a race: who is left after each block of replicates, and who was dropped why.

A block is a seed on a fold. All that are left train a block before any trains the next. After each
block whoever cannot win any more is dropped:

- two more of its replicates diverged than of another that is worth as much. With one more it goes
  on, but ranks behind (`sweep.analysis.confirm.divergence_gate`), since the other may diverge too;
- it is told apart from the leader: the paired t-test of their blocks so far is below the level of
  this look. There are looks after all blocks, a half, a quarter and so on, not before four
  (`sweep.analysis.confirm.race_statistics`);
- it can hardly become first any more, and no winner is in prospect, so that it would be trained for
  nothing. While a winner is in prospect it goes on, because a winner has to beat everybody.

This is a function of the blocks that everybody left has ended. So the order in which replicates
end, the number of workers and interruptions change nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np

from sweep.analysis.confirm.divergence_gate import first_by_divergence
from sweep.analysis.confirm.paired_comparison import Block, Pair, folds_of, mean_of, table_of
from sweep.analysis.confirm.paired_statistics import least_p
from sweep.analysis.confirm.race_statistics import (
    Array,
    levels,
    overtakes,
    pairwise_t,
    prospect,
    two_sided,
)
from sweep.spec.search.replicate_plan import blocks
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.vocabulary.record import Status, TrialRecord, confirming

RISK = 0.05
"""Chance, over all finalists, that one is dropped that would have become first."""
DIVERGED_MORE = 2
"""Diverged replicates more than another's that it takes to be dropped."""
LEAST_PROSPECT = 0.1
"""Chance of a winner below which finalists are dropped that can hardly become first."""

Runs = Mapping[tuple[str, Block], TrialRecord]
"""(id of the finalist, block) → its replicate."""


class Why(StrEnum):
    """Why a finalist was dropped."""

    BEHIND = "behind"
    HOPELESS = "hopeless"
    DIVERGED = "diverged"


@dataclass(frozen=True, slots=True)
class Dropped:
    """A finalist that was dropped.

    Args:
        after: number of blocks that it was trained on.
        by: id of the leader then.
        why: the reason.
        mean: of its scores, each fold counted once; −∞ where it has none.
    """

    after: int
    by: str
    why: Why
    mean: float


@dataclass(frozen=True, slots=True)
class RacePlan:
    """What is fixed before a race.

    Args:
        blocks: in order of training.
        budget: largest number of trainings.
        worst: the worst score; None where there is none.
    """

    blocks: tuple[Block, ...]
    budget: int
    worst: float | None = 0.0

    @property
    def by_fold(self) -> bool:
        return len({fold for _, fold in self.blocks}) > 1

    @property
    def may_name(self) -> bool:
        """Whether its units are enough to tell anybody apart when all blocks are trained."""
        units = len({fold for _, fold in self.blocks}) if self.by_fold else len(self.blocks)
        return least_p(units) < levels(len(self.blocks))[-1]

    @property
    def unit(self) -> str:
        """What the blocks are counted in: all of one seed are folds, all of one fold are seeds."""
        seeds = {seed for seed, _ in self.blocks}
        return "block" if self.by_fold and len(seeds) > 1 else "fold" if self.by_fold else "seed"


@dataclass(frozen=True, slots=True)
class Race:
    """A race after its last complete block.

    Args:
        plan: what was fixed before.
        running: ids of those that are left, the leader first.
        dropped: the others.
        looks: after each complete block the ids that had passed the gate of divergence, the highest
            mean first.
        spent: number of trainings in these blocks.
    """

    plan: RacePlan
    running: tuple[str, ...]
    dropped: Mapping[str, Dropped] = field(default_factory=dict)
    looks: tuple[tuple[str, ...], ...] = ()
    spent: int = 0

    @property
    def block(self) -> Block | None:
        """The block to train next; None when the race is over."""
        done = len(self.looks)
        if len(self.running) < 2 or done == len(self.plan.blocks):
            return None
        if self.spent + len(self.running) > self.plan.budget:
            return None
        return self.plan.blocks[done]

    @property
    def most(self) -> int:
        """Largest number of trainings that the race can come to."""
        left = 0 if self.block is None else len(self.plan.blocks) - len(self.looks)
        rounds = (self.plan.budget - self.spent) // len(self.running)
        return self.spent + min(left, rounds) * len(self.running)

    @property
    def order(self) -> list[str]:
        """Ids in the order of the ranking: those left, then the dropped, the last dropped first.

        Those that more often diverged come last.
        """

        def place(one: str) -> tuple[bool, int, float, str]:
            found = self.dropped[one]
            return found.why is Why.DIVERGED, -found.after, -found.mean, one

        return [*self.running, *sorted(self.dropped, key=place)]

    @property
    def words(self) -> str:
        """``2 of 5 finalists left after 4 of 10 seeds``."""
        everybody = len(self.running) + len(self.dropped)
        done, unit = len(self.looks), self.plan.unit
        return (
            f"{len(self.running)} of {everybody} finalists left after {done} of"
            f" {len(self.plan.blocks)} {unit}s"
        )


def race_plan(spec: SweepSpec, finalists: int) -> RacePlan | None:
    """The race of a sweep; None where its finalists do not race."""
    if spec.confirm is None or not spec.confirm.race or finalists < 2:
        return None
    every = tuple(blocks(spec))
    budget = spec.confirm.budget or finalists * len(every)
    return RacePlan(every, budget, spec.judged_by.worst)


def race(plan: RacePlan, ids: Sequence[str], runs: Runs) -> Race:
    """The race as far as complete blocks decide it.

    Args:
        plan: what was fixed before.
        ids: of the finalists, best of the search first.
        runs: their replicates, unfinished ones too.
    """
    found = Race(plan, tuple(ids))
    while (block := found.block) is not None:
        own = [runs.get((one, block)) for one in found.running]
        if not all(run is not None and run.status.is_final for run in own):
            break
        found = _after(found, runs)
    return found


def runs_of_finalists(records: Iterable[TrialRecord]) -> dict[tuple[str, Block], TrialRecord]:
    """The replicates among these records, as `Runs`."""
    return {(r.of, r.block): record for r, record in confirming(records)}


def scores_on(one: str, trained: Iterable[Block], runs: Runs) -> tuple[dict[Block, float], int]:
    """Scores of a finalist on blocks that it was trained on, and its number of divergences."""
    own = {block: runs[one, block] for block in trained}
    scores = {block: score for block, run in own.items() if (score := run.score) is not None}
    return scores, sum(run.status is Status.DIVERGED for run in own.values())


def told_apart(
    looks: Sequence[tuple[Sequence[int], Array]], count: int, pairs: int = 1
) -> set[Pair]:
    """(i, j) where i was ahead of j at any look, and its test below the level of that look.

    Args:
        looks: after each planned block or fewer: the configurations that could be compared, and
            their scores ``[units, compared]``.
        count: planned number of blocks.
        pairs: number of comparisons that share the error (Bonferroni).
    """
    found: set[Pair] = set()
    for level, (compared, table) in zip(levels(count), looks, strict=False):
        if level == 0 or min(table.shape) < 2:
            continue
        t, freedom = pairwise_t(table)
        ahead = (t > 0) & (two_sided(t, freedom) * pairs < level)
        found |= {(compared[i], compared[j]) for i, j in np.argwhere(ahead)}
    return found


def _after(before: Race, runs: Runs) -> Race:
    """The race after one more block."""
    plan, running = before.plan, before.running
    done = len(before.looks) + 1
    spent = before.spent + len(running)
    trained = plan.blocks[:done]
    scores = {one: scores_on(one, trained, runs) for one in running}
    by_fold = len(folds_of(own for own, _ in scores.values())) > 1
    means = {one: mean_of(own, by_fold=by_fold) for one, (own, _) in scores.items()}
    worth = {one: -math.inf if math.isnan(mean) else mean for one, mean in means.items()}
    ahead = sorted(running)  # of equals the earlier trial
    ahead.sort(key=worth.__getitem__, reverse=True)
    counts = [scores[one][1] for one in ahead]
    passed = first_by_divergence([means[one] for one in ahead], counts, plan.worst)
    compared = tuple(ahead[n] for n in passed)
    looks = (*before.looks, compared)
    gone: dict[str, Why] = {}
    if compared:
        most = max(scores[one][1] for one in compared)
        lost = (one for one in ahead if scores[one][1] >= most + DIVERGED_MORE)
        gone = dict.fromkeys(lost, Why.DIVERGED)
        shared = [b for b in trained if all(b in scores[one][0] for one in compared)]
        table = table_of([scores[one][0] for one in compared], shared, by_fold=by_fold)
        if min(table.shape) > 1:
            everybody = len(running) + len(before.dropped)
            was_beaten = all(one.why is not Why.HOPELESS for one in before.dropped.values())
            losers = _losers(table, done, plan, everybody, was_beaten)
            gone |= {compared[place]: why for place, why in losers.items()}
    dropped = {one: Dropped(done, compared[0], why, worth[one]) for one, why in gone.items()}
    behind = (one for one in ahead if one not in compared)
    left = tuple(one for one in (*compared, *behind) if one not in gone)
    return Race(plan, left, {**before.dropped, **dropped}, looks, spent)


def _losers(
    table: Array, done: int, plan: RacePlan, everybody: int, was_beaten: bool
) -> dict[int, Why]:
    """Columns of those that cannot win any more; the first column leads.

    Args:
        table: ``[units, compared]``.
        done: number of blocks.
        plan: what was fixed before.
        everybody: number of finalists at the start.
        was_beaten: whether all that were dropped before were told apart, so that a winner may
            still be named.
    """
    planned = len(plan.blocks)
    every, (t, freedom) = levels(planned), pairwise_t(table)
    lead = t[0, 1:]
    found = {
        n: Why.BEHIND
        for n, p in enumerate(two_sided(lead, freedom), start=1)
        if p < every[done - 1] and lead[n - 1] > 0
    }
    if done == planned:
        return found
    share = done / planned
    in_prospect = prospect(float(lead.min()), freedom, share, every[-1]) >= LEAST_PROSPECT
    if was_beaten and plan.may_name and in_prospect:
        return found
    for n, chance in enumerate(overtakes(lead, freedom, share), start=1):
        if chance < RISK / (everybody - 1):
            found.setdefault(n, Why.HOPELESS)
    return found
