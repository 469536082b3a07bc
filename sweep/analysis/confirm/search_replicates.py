"""Replicates in the search: which trials are trained on a further fold or seed, and when.

With ``replicate: {folds: 3}`` a configuration is worth its mean over three folds. Every trial is
trained on the first. Whoever may still be the best is trained on the next, one fold at a time:

- the leader: of those with the most runs the one with the highest mean;
- every other trial whose chance to be ahead of it in the end is at least `RISK`. The two are
  compared on the folds that both have. The difference over all folds, given that over the first, is
  Student's t around it with √(1 − share) of its standard error
  (`sweep.analysis.confirm.race_statistics.overtakes`);
- while no two trials have two runs, so that nothing is known of how differences vary from fold to
  fold: the first `FIRST` of the ranking.

A pruned trial is trained on no further fold, and neither is one with a run that diverged or failed.
They rank behind those with more runs.

Sources: the challenger meets the incumbent on the incumbent's instances, one by one, as in SMAC
(Hutter, Hoos and Leyton-Brown 2011, Sequential model-based optimization for general algorithm
configuration, LION 5, section 3.1), and is dropped by a test on blocks, as in irace (López-Ibáñez
et al. 2016, Operations Research Perspectives 3).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby, takewhile
from statistics import fmean
from typing import Any

import numpy as np

from sweep.analysis.confirm.paired_statistics import DECIMALS
from sweep.analysis.confirm.race_statistics import overtakes
from sweep.spec.search.replicate_plan import search_blocks
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.vocabulary.objective import mean_of_runs
from sweep.vocabulary.record import Replicate, Status, TrialRecord, up_to_none

RISK = 0.2
"""Chance to be the best in the end below which a trial is trained on no further fold."""
FIRST = 3
"""Trials that are trained on a second fold before any spread is known."""


class SearchReplicates:
    """What the runs of a search came to, and which are due next.

    With a searcher that learns, everything that is known counts at once, since its proposals do the
    same. Else the replicates follow when all trials have ended, in rounds, and what is due is a
    function of the scores: not of the number of workers, the order of ends, or interruptions.

    Args:
        spec: of the sweep.

    Attributes:
        ended: number of replicates that have ended.
    """

    def __init__(self, spec: SweepSpec) -> None:
        self.ended = 0
        self._blocks = search_blocks(spec)
        self._in_rounds = not spec.searcher.learns
        self._trials: dict[str, TrialRecord] = {}  # without their histories
        self._scores: dict[str, list[float | None]] = {}  # of all runs of these trials
        self._diverged = Counter[str]()  # replicates of these trials
        self._due: list[tuple[Replicate, TrialRecord]] | None = None  # not known yet

    @classmethod
    def of(cls, spec: SweepSpec, records: Iterable[TrialRecord]) -> SearchReplicates:
        """After all runs that have ended.

        Args:
            spec: of the sweep.
            records: of all its trials, each before its replicates.
        """
        found = cls(spec)
        for record in records:
            is_of_search = record.replicate is None or record.replicate.in_search
            if is_of_search and record.status.is_final:
                found.add(record)
        return found

    def add(self, record: TrialRecord) -> None:
        """Add a trial of the search, or one of the search's replicates, that has ended."""
        if len(self._blocks) == 1:
            return
        if record.replicate is not None:
            self.ended += 1
            self._diverged[record.replicate.of] += record.status is Status.DIVERGED
            if (scores := self._scores.get(record.replicate.of)) is not None:  # else it was deleted
                scores.append(record.score)
        elif record.score is not None and record.status is not Status.PRUNED:
            self._trials[record.trial_id] = replace(record, history=())
            self._scores[record.trial_id] = [record.score]
        self._due = None

    def replicated(self, trial_id: str) -> tuple[tuple[float, ...], int]:
        """Scores of a trial's replicates, up to the first without any, and how many diverged."""
        return up_to_none(self._scores.get(trial_id, [])[1:]), self._diverged[trial_id]

    @property
    def due(self) -> Sequence[tuple[Replicate, TrialRecord]]:
        """The replicates that are due and have not ended, each with its trial."""
        if self._due is None:
            self._due = [
                (Replicate(one, *self._blocks[run], in_search=True), self._trials[one])
                for one, run in (self._of_a_round() if self._in_rounds else self._at_once())
            ]
        return self._due

    def _at_once(self) -> list[tuple[str, int]]:
        """Trials to train, and the numbers of their runs, by all that is known."""
        known = {one: scores for one, scores in self._distinct() if None not in scores}
        return [(one, len(known[one])) for one in may_still_win(known, len(self._blocks))]

    def _of_a_round(self) -> list[tuple[str, int]]:
        """The same, by what was known when the first round began that is not complete."""
        every = dict(self._distinct())
        known = {one: scores[:1] for one, scores in every.items()}
        while due := may_still_win(known, len(self._blocks)):
            missing = [(one, len(known[one])) for one in due if len(every[one]) == len(known[one])]
            if missing:
                return missing
            for one in due:
                known[one] = every[one][: len(known[one]) + 1]
                if known[one][-1] is None:
                    del known[one]
        return []

    def _distinct(self) -> Iterator[tuple[str, list[Any]]]:
        """Scores of each configuration, by the number of its trial. Of several trials with the same
        one, that of the most runs counts, then the first."""
        found = dict[str, str]()
        for one in sorted(self._trials, key=lambda one: self._trials[one].number):
            configuration = self._trials[one].configuration
            other = found.setdefault(configuration, one)
            if len(self._scores[one]) > len(self._scores[other]):
                found[configuration] = one
        return ((one, self._scores[one]) for one in found.values())


def may_still_win(runs: Mapping[str, Sequence[float]], planned: int) -> list[str]:
    """The trials that are to be trained on their next block, the leader of all first.

    Args:
        runs: trial → its scores on the first of the blocks, at least one; higher is better.
        planned: number of blocks.
    """
    if not runs:
        return []
    order = sorted(runs, key=lambda one: (-len(runs[one]), -mean_of_runs(runs[one])))  # stable
    leader, others = runs[order[0]], [runs[one] for one in order[1:]]
    spread, freedom = _spread(leader, others)

    def may(place: int, own: Sequence[float]) -> bool:
        if not freedom:
            return place < FIRST
        behind = fmean(leader[: len(own)]) - fmean(own)
        return place == 0 or _chance(behind, spread, freedom, len(own), planned) >= RISK

    found = list[str]()
    for count, alike in groupby(enumerate(order), lambda entry: len(runs[entry[1]])):
        if count < planned:  # of as many runs the first that may not is ahead of the rest
            going_on = takewhile(lambda entry: may(entry[0], runs[entry[1]]), alike)
            found.extend(one for _, one in going_on)
    return found


def _spread(leader: Sequence[float], others: Sequence[Sequence[float]]) -> tuple[float, int]:
    """Standard deviation over blocks of the differences to the leader, and its degrees of freedom.

    It is the same for all pairs of trials; 0 degrees where no two trials have two runs.
    """
    squares, freedom = 0.0, 0
    for other in others:
        if len(other) > 1:
            differences = np.subtract(leader[: len(other)], other).round(DECIMALS)
            squares += float(differences.var() * len(other))
            freedom += len(other) - 1
    return math.sqrt(squares / freedom) if freedom else 0.0, freedom


def _chance(behind: float, spread: float, freedom: int, runs: int, planned: int) -> float:
    """Chance that a trial is ahead over all blocks, if it is behind by so much over its own."""
    if spread == 0 or round(behind, DECIMALS) == 0:
        return float(behind <= 0) if round(behind, DECIMALS) else 0.5
    t = behind / (spread / math.sqrt(runs))
    return float(overtakes(np.array(t), freedom, runs / planned))
