"""What the replicates of the leaders show: which one is best, how sure that is, which are tied.

Only the replicates after the search count. Those of the search are left out, as is the trial
itself: it was chosen for its Dice, so its Dice is optimistic.

Divergence is a gate of its own: only those of which the fewest replicates diverged are compared
(`sweep.analysis.confirm.divergence_gate`). Where the finalists raced, those that are left come
first, then those that were dropped (`sweep.analysis.confirm.race`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest

import numpy as np

from sweep.analysis.confirm import paired_comparison as paired
from sweep.analysis.confirm.divergence_gate import least_divergences
from sweep.analysis.confirm.race import Dropped, Race, Why
from sweep.analysis.confirm.raced_comparison import raced_comparison
from sweep.analysis.confirm.real_validations import as_real, real_dice
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.vocabulary.objective import Objective
from sweep.vocabulary.record import Status, TrialRecord, confirming, objective_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Finalist:
    """A configuration and its replicates.

    Args:
        record: the trial of the search.
        replicates: all that were started, by seed and fold.
        objective: what the replicates are compared by: the sweep's objective, or Dice of the real
            validation where replicates have one.
        scores: (seed, fold) → best value of the objective as a score, where more is better
            (`sweep.vocabulary.objective`). Replicates that diverged, failed or have not ended have
            none. By the real validation, none has one on a seed and fold where a finalist lacks it.
        mean: of the scores, where each fold counts the same; NaN where there is none.
        low, high: 95 % interval of the mean (`sweep.analysis.confirm.paired_comparison.interval`).
        highest_of: of the first, number of finalists with scores, among which it was picked; of the
            others 1. Its interval allows for that.
        p_best: probability that its mean is the highest of all that are compared; None where there
            is too little to compare.
        group: letters; finalists that share one cannot be told apart. None likewise.
        dropped: when and why a race dropped it; None where it did not.
    """

    record: TrialRecord
    replicates: tuple[TrialRecord, ...]
    objective: Objective
    scores: Mapping[paired.Block, float]
    mean: float = math.nan
    low: float = math.nan
    high: float = math.nan
    highest_of: int = 1
    p_best: float | None = None
    group: str | None = None
    dropped: Dropped | None = None

    @property
    def trial_id(self) -> str:
        return self.record.trial_id

    @property
    def diverged(self) -> int:
        """Number of its replicates that diverged."""
        return self.count(Status.DIVERGED)

    @property
    def is_real(self) -> bool:
        """Whether its replicates are compared by their real validation."""
        return self.objective.dice == "real validation"

    @property
    def unvalidated(self) -> int:
        """Number of its replicates with a result that lack a real validation which others have."""
        return sum(r.status.has_result and real_dice(r) is None for r in self.replicates) * (
            self.is_real
        )

    @property
    def epochs(self) -> float:
        """Mean number of epochs of the replicates with a result; infinite where none has one."""
        lengths = [len(r.history) for r in self.replicates if r.status.has_result]
        return sum(lengths) / len(lengths) if lengths else math.inf

    def count(self, status: Status) -> int:
        return sum(replicate.status is status for replicate in self.replicates)


@dataclass(frozen=True, slots=True)
class Confirmation:
    """All finalists in the order of the ranking.

    Args:
        finalists: those of which a replicate has ended with a score or diverged.
        comparison: of the first of them, with the fewest divergences; None where none has a score.
        unfinished: number of replicates that run or were interrupted.
        race: the race by which they were trained; None where every finalist had all blocks.
        has_folds: whether their trainer has folds. A user's own loop has none to tell of.
    """

    finalists: tuple[Finalist, ...]
    comparison: paired.PairedComparison | None
    unfinished: int
    race: Race | None = None
    has_folds: bool = True

    @property
    def objective(self) -> Objective:
        """What the finalists are compared by."""
        return self.finalists[0].objective

    @property
    def compared(self) -> Sequence[Finalist]:
        """Those that passed the gate."""
        return self.finalists[: len(self.comparison.scores)] if self.comparison else ()

    @property
    def behind(self) -> Sequence[Finalist]:
        """Those that rank last because more of their replicates diverged, or all did."""
        return self.finalists[len(self.compared) :]

    @property
    def winner(self) -> Finalist | None:
        """The first, where it beats all others compared and all replicates have ended."""
        if self.comparison is None or self.comparison.winner is None or self.unfinished:
            return None
        return self.finalists[0]

    @property
    def tied(self) -> list[Finalist]:
        """The first, and those compared that cannot be told apart from it."""
        if self.comparison is None:
            return []
        if self.race is not None:  # who was told apart once stays so, whatever the others are
            beats = self.comparison.beats
            return [one for n, one in enumerate(self.compared) if n == 0 or not beats(0, n)]
        apart = self.comparison.apart
        return [one for n, one in enumerate(self.compared) if (0, n) not in apart]

    @property
    def cheapest(self) -> Finalist:
        """Of `tied` the one with the fewest epochs."""
        return min(self.tied, key=lambda finalist: finalist.epochs)


def confirmation(
    records: Iterable[TrialRecord], spec: SweepSpec | None = None, race: Race | None = None
) -> Confirmation | None:
    """The finalists of a sweep; None where no replicate has ended with a score or diverged.

    Args:
        records: of all trials of the sweep.
        spec: of the sweep, which says whether its trainer has folds.
        race: of the finalists; None where they do not race.
    """
    records = list(records)
    by_id = {record.trial_id: record for record in records}
    runs = confirming(records)
    # Folds differ in how hard they are: where one finalist lacks the real validation, no other
    # may gain or lose by its own.
    lacking = {r.block for r, run in runs if run.status.has_result and real_dice(run) is None}
    is_real = any(real_dice(run) is not None and r.block not in lacking for r, run in runs)
    objective = as_real(objective_of(records)) if is_real else objective_of(records)
    found = []
    for trial_id in dict.fromkeys(replicate.of for replicate, _ in runs if replicate.of in by_id):
        own = [(replicate.block, run) for replicate, run in runs if replicate.of == trial_id]
        own.sort(key=lambda pair: pair[0])
        judged = ((block, real_dice(run) if is_real else run.score) for block, run in own)
        finalist = Finalist(
            record=by_id[trial_id],
            replicates=tuple(run for _, run in own),
            objective=objective,
            scores={
                block: score
                for block, score in judged
                if score is not None and not (is_real and block in lacking)
            },
        )
        if finalist.scores or finalist.diverged or finalist.unvalidated:
            found.append(finalist)
    if not found:
        return None
    by_fold = len(paired.folds_of(one.scores for one in found)) > 1
    unfinished = sum(not run.status.is_final for _, run in runs)
    measured = [_measured(one, by_fold) for one in found]
    if race is None:
        told = _compared(measured, by_fold, unfinished)
    else:
        told = _raced(measured, race, by_fold, unfinished)
    first, *others = told.finalists
    could = [one for one in found if one.scores and (race is None or one.trial_id in race.order)]
    first = _measured(first, by_fold, among=[one.scores for one in could])
    has_folds = spec is None or not spec.trainer.traits.is_own_loop
    return replace(told, finalists=(first, *others), has_folds=has_folds)


def _measured(one: Finalist, by_fold: bool, among: Sequence[paired.Scores] = ()) -> Finalist:
    """With its mean, and the interval of that."""
    bounds = one.objective.bounds  # no mean lies outside
    ends = paired.interval(one.scores, by_fold=by_fold, among=among)
    low, high = np.clip(ends, *bounds).tolist()
    mean = paired.mean_of(one.scores, by_fold=by_fold)
    return replace(one, mean=mean, low=low, high=high, highest_of=max(1, len(among)))


def _raced(measured: list[Finalist], race: Race, by_fold: bool, unfinished: int) -> Confirmation:
    """Those that are left first, the others as the race dropped them."""
    running = set(race.running)
    places = {one: n for n, one in enumerate(race.order)}

    def place(one: Finalist) -> tuple[bool, float, int]:
        is_left = one.trial_id in running and bool(one.scores)
        return not is_left, -one.mean if is_left else 0.0, places.get(one.trial_id, len(places))

    ranked = [
        replace(one, dropped=race.dropped.get(one.trial_id)) for one in sorted(measured, key=place)
    ]
    compared = race.looks[-1] if race.looks else race.running

    def is_compared(one: Finalist) -> bool:
        how = one.dropped
        passed = one.trial_id in compared if how is None else how.why is not Why.DIVERGED
        return bool(one.scores) and passed

    first = [one for one in ranked if is_compared(one)]
    behind = [one for one in ranked if not is_compared(one)]
    if not first:
        return Confirmation(tuple(ranked), None, unfinished, race)
    ids = [one.trial_id for one in first]
    comparison = raced_comparison(race, ids, [dict(one.scores) for one in first], by_fold=by_fold)
    return _concluded(first, behind, comparison, unfinished, race)


def _compared(measured: Sequence[Finalist], by_fold: bool, unfinished: int) -> Confirmation:
    means, counts = [one.mean for one in measured], [one.diverged for one in measured]
    least = least_divergences(means, counts, measured[0].objective.worst)
    ranked = sorted(measured, key=lambda one: _place(one, least))
    first = [one for one in ranked if one.scores and one.diverged <= least]
    if not first:
        return Confirmation(tuple(ranked), None, unfinished)
    comparison = paired.PairedComparison(tuple(one.scores for one in first), by_fold)
    return _concluded(first, ranked[len(first) :], comparison, unfinished)


def _concluded(
    first: Sequence[Finalist],
    behind: Sequence[Finalist],
    comparison: paired.PairedComparison,
    unfinished: int,
    race: Race | None = None,
) -> Confirmation:
    """With the chance and the letter of each that is compared, as far as they have any."""
    chances, letters = comparison.p_best() or (), comparison.letters or ()
    known = [
        replace(one, p_best=chance, group=letter)
        for one, chance, letter in zip_longest(first, chances, letters)
    ]
    return Confirmation((*known, *behind), comparison, unfinished, race)


def _place(one: Finalist, least: int) -> tuple[bool, int, float, float, int]:
    """Sort key: has a score, divergences above ``least``, mean, epochs, number."""
    falling = -one.mean if one.scores else 0.0
    return not one.scores, max(one.diverged, least), falling, one.epochs, one.record.number
