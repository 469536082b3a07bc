"""A results folder as the figures read it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from sweep.analysis.confirm.confirmation import Confirmation
from sweep.analysis.confirm.search_replicates import SearchReplicates
from sweep.analysis.confirm.test_scores import HeldOut, held_out
from sweep.analysis.divergence_rates import Exposure
from sweep.analysis.effective_settings import idle, number_of, ramp_of, read_spec
from sweep.analysis.own_texts import OwnTexts, own_texts, with_texts
from sweep.analysis.parameter_axes import Axis, make_axis
from sweep.analysis.pruned_expectation import Expectation
from sweep.analysis.ranked_table import RankedTable
from sweep.analysis.ranking.finalists import confirmation_of, enqueued_by_users
from sweep.analysis.ranking.ranking_frame import ranking
from sweep.analysis.ranking.since_switch_on import comparable_scores, pruned_expectations
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.spec.space.linked_space import in_order, lies_in
from sweep.spec.space.presets import BASELINE
from sweep.spec.tree.setting_tree import is_late
from sweep.store.at_uri.local_results import named, silence
from sweep.store.case_table import read_cases
from sweep.store.journal import search_end, waiting_trials
from sweep.store.layout import Layout
from sweep.store.lock import is_locked
from sweep.store.pictures.picture_index import TrialPictures, read_pictures
from sweep.store.read_results import read_records
from sweep.store.spool.trial_notes import Notes, read_notes
from sweep.vocabulary.class_scores import ClassScore
from sweep.vocabulary.objective import Objective
from sweep.vocabulary.record import SearchEnded, Status, TrialRecord, searched

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Results:
    """A sweep at one moment, read once.

    Args:
        folder: the results folder.
        spec: the effective spec.
        records: all trials of the search, by number, the unfinished included.
        in_use: whether a process writes to the folder, that is, whether the sweep runs.
        replicates: those of the search, and of the finalists.
        search_end: how the search ended before its last trial; None if it did not.
        notes: what users noted on trials, by their ids, and on the sweep, by None.
        waiting: trials of a sweep that runs, but have no worker.
        texts: of the user's own files, where trials ran with several.
        uri: of the results, where the folder is a copy of them without weights.
        silence: a sentence where nothing was written to it for long, though a sweep seems to run.
    """

    folder: Path
    spec: SweepSpec
    records: tuple[TrialRecord, ...]
    in_use: bool = False
    replicates: tuple[TrialRecord, ...] = ()
    search_end: SearchEnded | None = None
    notes: Notes = field(default_factory=dict)
    waiting: frozenset[str] = frozenset()
    texts: OwnTexts = field(default_factory=OwnTexts)
    uri: str | None = None
    silence: str = ""

    def named(self, path: Path | None = None) -> str:
        """What a user calls the results, or a path within ``folder``: a URI, or a whole path."""
        return named(self.folder, self.uri, path)

    @property
    def searched(self) -> int:
        """Number of trials of the search, with those that users have enqueued."""
        return (self.search_end.started if self.search_end else self.spec.trials) + self.enqueued

    @property
    def enqueued(self) -> int:
        """Number of trials that users have enqueued, since its end if the search ended early."""
        return enqueued_by_users(self.records, self.search_end)

    @property
    def runs(self) -> tuple[TrialRecord, ...]:
        """All trials and replicates."""
        return self.records + self.replicates

    @property
    def parameters(self) -> list[str]:
        """Dotted names of the searched parameters, in the order of the sweep file."""
        return list(self.spec.space)

    @property
    def objective(self) -> Objective:
        """The objective of the sweep."""
        return self.spec.judged_by

    @cached_property
    def table(self) -> RankedTable:
        """The rows of ranking.csv."""
        return with_texts(ranking(self.runs, self.parameters, self.spec), self.texts)

    @cached_property
    def frame(self) -> pd.DataFrame:
        """The same as a frame."""
        return self.table.frame()

    @cached_property
    def confirmation(self) -> Confirmation | None:
        """What the replicates show of the finalists; None where there are none."""
        return confirmation_of(self.runs, self.spec)

    @cached_property
    def due_in_search(self) -> int:
        """Number of replicates of the search that are due and have not ended."""
        if self.spec.replicate is None:
            return 0
        return len(SearchReplicates.of(self.spec, self.runs).due)

    @cached_property
    def held_out(self) -> HeldOut | None:
        """The finalists on the test split; None where none was tested."""
        return held_out(self.runs, self.table["trial_id"])

    @cached_property
    def ended(self) -> list[TrialRecord]:
        """Trials with a final status, in the order of the ranking."""
        return [self._by_id[trial_id] for trial_id in self.table["trial_id"]]

    @cached_property
    def ranked(self) -> list[TrialRecord]:
        """Trials with a score in the search, in the order of the ranking."""
        return [record for record in self.ended if record.score is not None]

    @cached_property
    def scores(self) -> Mapping[str, float]:
        """Best score of each of them in the search, by its id.

        More is better (`sweep.vocabulary.objective`). A score is of the trial's own run, which
        every trial has. So scores need not fall where the ranking has something else to go by:
        replicates, a real validation, or several objectives.
        """
        return {r.trial_id: score for r in self.ranked if (score := r.score) is not None}

    @property
    def leader(self) -> TrialRecord | None:
        """The first of the ranking; None where no trial has a result."""
        return next(iter(self.ranked), None)

    def edge(self, margin: float) -> float:
        """A value worse than all `comparable_values`, where figures mark trials without one.

        Args:
            margin: how much worse, as a share of the range of these values.
        """
        low, high = min(self.comparable.values()), max(self.comparable.values())
        spread = max(high - low, 0.01 * max(abs(low), abs(high)), 1e-9)
        return self.objective.turned(low - margin * spread)

    @property
    def diverged(self) -> list[TrialRecord]:
        return diverged(self.ended)

    @property
    def is_over(self) -> bool:
        """Whether the results are final: every trial has ended, or no process writes to them."""
        all_ended = len(self.ended) >= self.searched and self.spec.confirm is None
        return not self.in_use or (all_ended and not self.due_in_search)

    @cached_property
    def axes(self) -> Mapping[str, Axis]:
        """The axis of each searched parameter that is not replayed."""
        return {name: make_axis(name, kind) for name, kind in self.spec.drawn.items()}

    @cached_property
    def inside(self) -> list[TrialRecord]:
        """Ended trials whose parameters lie in the space, in the order of the ranking.

        Figures over parameters show these alone: a preset outside the space would stretch the axes
        for one point, and differ in more than the parameters.
        """
        return [record for record in self.ended if record.trial_id in self._inside]

    @cached_property
    def ranked_inside(self) -> list[TrialRecord]:
        """Those of them with a score."""
        return [record for record in self.inside if record.score is not None]

    @cached_property
    def comparable(self) -> Mapping[str, float]:
        """The scores by which trials inside the space are compared, best first.

        See `sweep.analysis.ranking.since_switch_on`.
        """
        found = comparable_scores(self.spec, self.ranked_inside, self.expected)
        return dict(sorted(found.items(), key=lambda pair: -pair[1]))

    @cached_property
    def comparable_values(self) -> Mapping[str, float]:
        """The same as values of the objective, in the same order."""
        return {one: self.objective.turned(score) for one, score in self.comparable.items()}

    @property
    def compared_words(self) -> str:
        """A sentence that explains them to the reader of a figure."""
        since = " since its geometric loss switched on" if self.has_geometry else ""
        sentence = f"{self.objective.opening} is the best of a trial{since}."
        if self.expected:
            return (
                f"{sentence} Of a pruned trial it is expected, not measured: the baseline's end and"
                " the trial's last distance to the baseline, of a gain the share that trials which"
                " trained on kept, and never above the best of all."
            )
        pruned = any(record.status is Status.PRUNED for record in self.ranked_inside)
        if pruned and self.spec.compares_gains:
            return f"{sentence} Pruned trials are left out: each was stopped at its own epoch."
        return sentence

    @cached_property
    def compared(self) -> list[TrialRecord]:
        """The trials with a `comparable` score, best first."""
        return [self._by_id[trial_id] for trial_id in self.comparable]

    @cached_property
    def baseline(self) -> TrialRecord | None:
        """The trial without a geometric loss; None where it has no result."""
        return next((record for record in self.ranked if record.preset == BASELINE), None)

    @cached_property
    def unlike_baseline(self) -> list[str]:
        """Searched settings besides those of the loss: trials differ from the baseline in them too.

        What such a trial gains over the baseline is not the geometric loss's alone.
        """
        return [name for name in self.spec.drawn if name.partition(".")[0] != "loss"]

    @cached_property
    def expected(self) -> Mapping[str, Expectation]:
        """What pruned trials inside the space would have reached, by id; needs the baseline."""
        return pruned_expectations(self.spec, self.ranked_inside, self.baseline)

    @cached_property
    def exposures(self) -> Mapping[str, Exposure]:
        """How long each trial inside the space was at risk of what the search varies, by its id.

        Where the search varies settings of the geometric loss, the risk begins at the switch-on. A
        trial that ended before it, for any reason, shows nothing about them and is left out. So is
        a trial without a geometric loss in a sweep with one. Unfinished trials count with the
        epochs that they have: diverging trials end early, so without the unfinished ones a sweep
        would look worse in its first hours than it is.
        """
        return self._exposures(before=False)

    @cached_property
    def exposures_before(self) -> Mapping[str, Exposure]:
        """The same before the switch-on, where the search varies settings that act there too."""
        return {} if all(map(is_late, self.varied)) else self._exposures(before=True)

    @cached_property
    def at_risk(self) -> list[TrialRecord]:
        """The trials with an `exposures`, by number."""
        return [record for record in self.records if record.trial_id in self.exposures]

    @cached_property
    def counts_from_switch_on(self) -> bool:
        """Whether a varied setting has no effect before the geometric loss acts."""
        return any(map(is_late, self.varied))

    @cached_property
    def varied(self) -> list[str]:
        """Searched parameters with more than one value among the trials inside the space."""
        return [
            name
            for name in self.spec.drawn
            if len({repr(r.parameters[name]) for r in self.inside if name in r.parameters}) > 1
        ]

    @cached_property
    def pictures(self) -> Mapping[str, TrialPictures]:
        """What is drawn of trials by their ids, in the order of the ranking, replicates last.

        Raises:
            ResultsError: an index of pictures is broken.
        """
        layout = Layout(self.folder)
        names = [record.trial_id for record in (*self.ended, *self.replicates)]
        found = ((name, read_pictures(layout.trial(name))) for name in names)
        return {name: drawn for name, drawn in found if drawn is not None}

    def cases(self, trial_id: str) -> Sequence[ClassScore]:
        """Scores of a trial's validation cases in its best epoch; none where it has no table.

        Raises:
            ResultsError: the table is broken.
        """
        if trial_id not in self._cases:  # figures and the views of trials ask for them
            self._cases[trial_id] = read_cases(Layout(self.folder).trial(trial_id).cases)
        return self._cases[trial_id]

    @cached_property
    def _cases(self) -> dict[str, Sequence[ClassScore]]:
        return {}

    @cached_property
    def _by_id(self) -> Mapping[str, TrialRecord]:
        return {record.trial_id: record for record in self.records}

    @cached_property
    def _idle(self) -> Mapping[str, frozenset[str]]:
        return {record.trial_id: idle(self.spec, record) for record in self.records}

    def acting(self, records: Sequence[TrialRecord], *names: str) -> list[TrialRecord]:
        """Those of ``records`` in which each of these parameters has an effect."""
        return [record for record in records if not self._idle[record.trial_id] & {*names}]

    def position(self, name: str, record: TrialRecord) -> float:
        """Where a trial lies on the axis of a parameter that it has, in [0, 1]."""
        return self.axes[name].position(record.parameters[name])

    def switch_on(self, record: TrialRecord) -> int | None:
        """Epoch in which the trial's geometric loss first acts; None where no term has a weight."""
        return ramp_of(self.spec, record).switch_on

    @property
    def has_geometry(self) -> bool:
        """Whether any trial has a geometric loss; without one, no figure mentions it."""
        return any(self.switch_on(record) is not None for record in self.records)

    @cached_property
    def _inside(self) -> frozenset[str]:
        drawn = self.spec.drawn
        order = in_order(drawn)
        return frozenset(
            one.trial_id for one in self.records if lies_in(drawn, one.parameters, order)
        )

    def _exposures(self, *, before: bool) -> dict[str, Exposure]:
        found = ((one.trial_id, self._exposure(one, before=before)) for one in self.records)
        return {trial_id: exposure for trial_id, exposure in found if exposure is not None}

    def _exposure(self, record: TrialRecord, *, before: bool) -> Exposure | None:
        start = self.switch_on(record)
        has_none = start is None and self.spec.ranges.uses_geometric_loss
        if has_none or record.trial_id not in self._inside:
            return None
        if start is None or not self.counts_from_switch_on:
            start = 0
        has_diverged = record.status is Status.DIVERGED
        last = divergence_epoch(record) + 1 if has_diverged else len(record.history)
        is_whole = record.status is Status.COMPLETED
        whole = last if is_whole else max(last, int(number_of(self.spec, record, "trainer.epochs")))
        first, end = (0, start) if before else (start, whole)
        seen = min(last, end) - first
        if seen <= 0:
            return None
        return Exposure(epochs=seen, whole=end - first, diverged=has_diverged and last <= end)


def diverged(records: Iterable[TrialRecord]) -> list[TrialRecord]:
    """Those of the trials that diverged."""
    return [record for record in records if record.status is Status.DIVERGED]


def divergence_epoch(record: TrialRecord) -> int:
    """Epoch, from 0, of a divergence; the one after the last where it is not recorded."""
    verdict = record.outcome.divergence if record.outcome else None
    return len(record.history) if verdict is None else verdict.epoch


def read_results(folder: Path | str, uri: str | None = None) -> Results:
    """Read a results folder, running or not.

    Args:
        folder: of the results.
        uri: as in `Results`.

    Raises:
        ResultsError: ``folder`` is not a results folder, or a file in it is broken.
    """
    layout = Layout(Path(folder))
    in_use = is_locked(layout)  # before the records: no end in between is missed
    spec, records = read_spec(layout.folder), read_records(layout.folder)
    return Results(
        folder=layout.folder,
        spec=spec,
        records=tuple(searched(records)),
        in_use=in_use,
        replicates=tuple(record for record in records if record.replicate is not None),
        search_end=search_end(layout.journal, spec.trials) if spec.stop_when else None,
        notes=read_notes(layout.folder),
        waiting=waiting_trials(layout.journal) if in_use else frozenset(),
        texts=own_texts(layout.folder),
        uri=uri,
        silence=silence(layout.folder, uri),
    )
