"""The order of a search, and its trials that are trained again or tested: its leaders, and the
baseline."""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Collection, Iterable

from sweep.analysis.confirm.confirmation import Confirmation, confirmation
from sweep.analysis.confirm.race import Race, race, race_plan, runs_of_finalists
from sweep.analysis.confirm.search_replicates import SearchReplicates
from sweep.analysis.ranking.pareto_ranks import pareto_ranks
from sweep.spec.search.replicate_plan import blocks, blocks_in_budget, most_replicates
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.spec.space.presets import BASELINE
from sweep.vocabulary.record import (
    Replicate,
    SearchEnded,
    Status,
    TrialRecord,
    objective_of,
    place_of_runs,
    searched,
)

WITHOUT_CONFIRM = 5
"""Finalists of a sweep that does not say how many it confirms."""


def best_first(records: Iterable[TrialRecord]) -> list[TrialRecord]:
    """The finished trials, best first: see `ranking`."""
    ranked = sorted((record for record in records if record.status.is_final), key=place)
    if not objective_of(ranked).others:
        return ranked
    fronts = [math.inf if front is None else front for front in pareto_ranks(ranked)]
    return [ranked[n] for n in sorted(range(len(ranked)), key=fronts.__getitem__)]  # stable


Place = tuple[int, int, bool, int, float, float, int, int]
"""See `place`: less is better, and no two are equal."""


def place(record: TrialRecord) -> Place:
    """Sort key of an ended trial: group, falling `place_of_runs`, falling Dice, epochs, number.

    In a search with replicates, of as many runs the pruned come last: none of them has been asked
    whether it breaks on another fold.
    """
    epochs, number = len(record.history), record.number
    if not record.status.has_result:
        group = 2 if record.status is Status.DIVERGED else 3
        return group, 0, False, 0, 0.0, 0.0, 0, number
    best = record.best
    if best is None or (merit := record.objective.merit(best)) is None:
        return 1, 0, False, 0, 0.0, 0.0, epochs, number
    score, dice = merit
    runs, gate, mean = place_of_runs(score, record.replicated, len(record.diverged_runs))
    return 0, -runs, record.is_out, -gate, -mean, -dice, epochs, number


def finalists(spec: SweepSpec, records: Iterable[TrialRecord]) -> list[TrialRecord]:
    """The first of the search by its objective, then the baseline if it is not among them.

    Of several trials with the same configuration only the first counts. The baseline is the
    control over which gains are measured.

    Args:
        spec: of the sweep.
        records: of all its trials.
    """
    every = [record for record in best_first(searched(records)) if record.score is not None]
    found: dict[str, TrialRecord] = {}
    for record in every:
        if len(found) == _places(spec):
            break
        found.setdefault(record.configuration, record)
    leaders = list(found.values())
    controls = [r for r in every if r.preset == BASELINE and r not in leaders]
    return [*leaders, *controls]


class TopTrials:
    """The trials that may become finalists, kept up to date as trials end.

    Args:
        spec: of the sweep.
    """

    def __init__(self, spec: SweepSpec) -> None:
        self._places = _places(spec)
        self._places_of = defaultdict[str, dict[str, Place]](dict)  # of each configuration's trials
        self._order: list[Place] = []  # the best of each configuration, in order
        self._baseline: Place | None = None

    def admits(self, record: TrialRecord) -> bool:
        """Add a trial that has ended with a score; False where it cannot become a finalist.

        Trials that end later can only lower its rank, but with several objectives one may also
        raise it: a trial before it may fall back a front. The baseline is always a finalist. A
        trial is given again when a replicate of it has ended in the search.
        """
        assert record.score is not None
        found, own = place(record), self._places_of[record.configuration]
        if own:
            del self._order[bisect_left(self._order, min(own.values()))]
        own[record.trial_id] = found
        insort(self._order, min(own.values()))
        if record.preset == BASELINE:
            self._baseline = found
        is_always = record.preset == BASELINE or bool(record.objective.others)
        return is_always or self._leads(found)

    def __len__(self) -> int:
        """Number of finalists if no further trial ends."""
        is_apart = self._baseline is not None and not self._leads(self._baseline)
        return min(self._places, len(self._order)) + is_apart

    def _leads(self, found: Place) -> bool:
        return bisect_left(self._order, found) < self._places


class Planned:
    """How many trials a sweep is to have, replicates included.

    Until the search has ended, the baseline counts in addition to the leaders. Only then is it
    known whether it is one of them. A race may end with fewer.

    Args:
        spec: of the sweep.

    Attributes:
        enqueued: number of trials that users have enqueued while the sweep ran.
        race: as far as it is decided; None where the finalists do not race, or not yet.
    """

    def __init__(self, spec: SweepSpec) -> None:
        self.spec = spec
        self.enqueued = 0
        self.race: Race | None = None
        self._top = TopTrials(spec)
        self._in_search = SearchReplicates(spec)
        self._searched = 0
        self._kept: list[TrialRecord] = []  # those that may become finalists, and replicates
        self._end: SearchEnded | None = None
        self._enqueued_before = 0

    def add(self, record: TrialRecord) -> None:
        """Add a trial that has ended."""
        if record.replicate is None or record.replicate.in_search:
            self._in_search.add(record)
        if record.replicate is not None:
            self._kept.append(record)
            if record.replicate.in_search:  # by the mean of its runs, its trial may be a finalist
                runs = (r for r in self._kept if r.configuration_id == record.configuration_id)
                for trial in searched(runs):
                    self._top.admits(trial)
        else:
            self._searched += 1
            if record.score is not None and (self._top.admits(record) or self.spec.replicate):
                self._kept.append(record)
        if self._search_has_ended and self.spec.confirm is not None:
            self.race = race_of(self.spec, self._kept)

    @property
    def total(self) -> int:
        """Number of trials; an upper bound until search and race have ended."""
        searched = self.searched + self._in_search.ended
        if not self._search_has_ended:
            return searched + most_replicates(self.spec)
        searched += len(self._in_search.due)
        if self.race is not None:
            return searched + self.race.most
        return searched + len(self._top) * blocks_in_budget(self.spec, len(self._top))

    @property
    def is_upper_bound(self) -> bool:
        """Whether ``total`` may only fall. Replicates inside the search may add to it."""
        searches = not self._search_has_ended or bool(self._in_search.due)
        if self.spec.replicate is not None and searches:
            return False
        if self.spec.stop_when is not None and not self._end and self._searched < self.searched:
            return True
        if self.spec.confirm is None:
            return False
        return not self._search_has_ended or (self.race is not None and self.race.block is not None)

    @property
    def searched(self) -> int:
        """Number of trials of the search."""
        if self._end is None or self._end.trials < self.spec.trials:
            return self.spec.trials + self.enqueued
        return self._end.started + self.enqueued - self._enqueued_before

    def end_search(self, event: SearchEnded) -> None:
        """Note that the search has ended early, unless the sweep was extended since.

        The trials that were enqueued before are among those that it had started.
        """
        self._end, self._enqueued_before = event, self.enqueued

    @property
    def _search_has_ended(self) -> bool:
        return self._searched >= self.searched


def enqueued_by_users(records: Iterable[TrialRecord], end: SearchEnded | None) -> int:
    """Number of trials that users have enqueued, since its end if the search ended early."""
    first = end.started if end else 0
    return sum(one.enqueued is not None and one.number >= first for one in records)


def is_finished(spec: SweepSpec, records: Collection[TrialRecord], end: SearchEnded | None) -> bool:
    """Whether all trials and replicates that were asked for have ended.

    Args:
        records: of all trials so far.
        end: how the search ended before its last trial; None if it did not.
    """
    planned, ended = Planned(spec), 0
    if end is not None:
        planned.end_search(end)
    planned.enqueued = enqueued_by_users(records, end)
    for record in records:
        if record.status.is_final:
            planned.add(record)
            ended += 1
    return ended >= planned.total


def runs_of(records: Iterable[TrialRecord], trial_id: str) -> list[TrialRecord]:
    """The runs with a result whose weights may stand for a configuration, in order of preference.

    First the replicates of a confirmation, then the run of the search, whose value is optimistic
    because the configuration was chosen for it, then its replicates in the search.

    Folds differ in how hard they are, so the best value of several would choose the easiest fold,
    not the best weights. The fold on which the first was trained comes first, which is the sweep's
    own. On one fold the best of the objective comes first, but where replicates have a real
    validation, the best of these: they are ranked by it.
    """
    every = sorted(
        (run for run in records if run.configuration_id == trial_id),
        key=lambda run: (_preference(run), len(run.trial_id), run.trial_id),
    )
    folds = dict.fromkeys((_preference(run), run.replicate and run.replicate.fold) for run in every)
    order = {fold: number for number, fold in enumerate(folds)}

    def key(run: TrialRecord) -> tuple[int, tuple[bool, float], Place]:
        fold = order[_preference(run), run.replicate and run.replicate.fold]
        real = None if run.real is None else run.real.dice
        return fold, (real is None, -(real or 0.0)), place(run)

    return sorted((run for run in every if run.score is not None), key=key)


def _preference(run: TrialRecord) -> int:
    if run.replicate is None:
        return 1
    return 2 if run.replicate.in_search else 0


def race_of(spec: SweepSpec, records: Iterable[TrialRecord]) -> Race | None:
    """The race of the finalists, as far as it is decided; None where they do not race.

    Args:
        spec: of the sweep, whose search has ended.
        records: of all its trials.
    """
    records = list(records)
    ids = [record.trial_id for record in finalists(spec, records)]
    plan = race_plan(spec, len(ids))
    return None if plan is None else race(plan, ids, runs_of_finalists(records))


def confirmation_of(records: Iterable[TrialRecord], spec: SweepSpec | None) -> Confirmation | None:
    """`confirmation`, with the race of the finalists where they have begun one."""
    records = list(records)
    if spec is None or not runs_of_finalists(records):
        return confirmation(records, spec)
    return confirmation(records, spec, race_of(spec, records))


def missing_replicates(
    spec: SweepSpec, records: Iterable[TrialRecord]
) -> list[tuple[Replicate, TrialRecord]]:
    """The replicates that may start now, each with its trial.

    Block by block: all finalists on the first seed, then all on the second. So an interrupted sweep
    can compare what it has, and the warm-up of a seed is shared. In a race only the next block may
    start, with those that are left; none while it is not complete.

    Args:
        spec: of the sweep, whose search has ended.
        records: of all its trials.
    """
    records = list(records)
    started = {record.replicate for record in records if record.replicate is not None}
    chosen, run = finalists(spec, records), race_of(spec, records)
    every = blocks(spec)
    if run is not None:
        chosen = [record for record in chosen if record.trial_id in run.running]
        every = [] if run.block is None else [run.block]
    else:
        every = every[: blocks_in_budget(spec, len(chosen))]
    return [
        (replicate, record)
        for seed, fold in every
        for record in chosen
        if (replicate := Replicate(record.trial_id, seed, fold)) not in started
    ]


def _places(spec: SweepSpec) -> int:
    return spec.confirm.top if spec.confirm else WITHOUT_CONFIRM
