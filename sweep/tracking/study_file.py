"""The sweep as an Optuna study in its results folder.

``optuna-dashboard results/x/study.journal --artifact-dir results/x/study_artifacts``

It is updated during the sweep, for every searcher, and equals the records at the end. Nothing reads
it: the searcher has its own study in memory. A damaged or outdated file is rewritten from the
records.

Beside what Optuna shows, a trial has what optuna-dashboard does: pictures as artifacts, and a note
of why it diverged and what users noted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, closing, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.trial import FrozenTrial, Trial, TrialState

from sweep.search.searchers.optuna_study import (
    Translator,
    Worst,
    constraints,
    make_study,
    state_and_value,
)
from sweep.search.searchers.pareto_search import frozen_point, state_and_values
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.store.layout import Layout, is_replicate, trial_number
from sweep.store.spool.trial_notes import read_notes
from sweep.tracking.dashboard_attributes import (
    ARTIFACT,
    OWN_ARTIFACT,
    artifacts_of,
    dashboard_constraints,
    note_attributes,
    note_text,
    stored_artifact,
)
from sweep.tracking.tracker import Forgiving, Tracker
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.objective import Objective
from sweep.vocabulary.record import ParameterValue, TrialRecord, searched

Records = Callable[[], list[TrialRecord]]
"""Reads all trials of the sweep, by number."""


def live_study(
    path: Path, spec: SweepSpec, records: Records, warn: Callable[[str], None]
) -> AbstractContextManager[Tracker]:
    """An observer that keeps the study in ``path``; at the end it is compared with the records.

    Args:
        path: the file.
        spec: the sweep.
        records: reads the trials, with everything that observers have been notified of.
        warn: called once if the file cannot be written. That never ends a sweep.
    """
    return closing(Forgiving(path.name, StudyFile(path, spec, records), warn))


class StudyFile(Tracker):
    """Keeps the file up to date from the first event on; arguments as above.

    Replicates are not trials of the study, because no searcher proposed them.
    """

    def __init__(self, path: Path, spec: SweepSpec, records: Records) -> None:
        self._path = path
        self._name = spec.name
        self._translator = Translator(spec.drawn)
        self._records = records
        self._objective = spec.judged_by
        self._worst = Worst(self._objective)
        self._study: _Study | None = None  # None: the file must be rewritten
        self._artifact_folder = Layout(path.parent).study_artifacts
        self._artifacts: dict[int, dict[str, str]] = {}  # attributes of a trial, by its number
        self._times: dict[int, tuple[datetime | None, datetime | None]] = {}

    def trial_started(self, trial_id: str, parameters: Mapping[str, ParameterValue]) -> None:
        if is_replicate(trial_id):
            return
        record = TrialRecord(
            trial_id=trial_id,
            number=trial_number(trial_id),
            parameters=parameters,
            objective=self._objective,
        )
        self._update(lambda opened: opened.study.add_trial(self._frozen(record)))

    def epoch_reported(self, trial_id: str, metrics: EpochMetrics) -> None:
        if self._objective.others:  # a study of several has no intermediate values
            return
        value = self._objective.value(metrics)
        if value is not None and not is_replicate(trial_id):
            number = trial_number(trial_id)
            self._update(lambda study: study.running(number).report(value, metrics.epoch))

    def trial_ended(self, record: TrialRecord) -> None:
        if record.replicate is None:
            self._worst.see(record)
            self._update(lambda study: study.end(record, *self._end(record)))

    def pictures_drawn(self, trial_id: str, pictures: Mapping[str, bytes]) -> None:
        """Keep the pictures as artifacts; `close` writes them into the study."""
        if not is_replicate(trial_id):
            self._artifacts[trial_number(trial_id)] = dict(
                stored_artifact(self._artifact_folder, title, png)
                for title, png in pictures.items()
            )

    def close(self) -> None:
        with suppress(Exception):
            opened = self._open(self._path)
            stored = opened.study.get_trials(deepcopy=False)
            self._keep(stored)
            records = searched(self._records())
            are_true = [*map(_facts, stored)] == [*map(_facts, self._expected(records))]
            if are_true and not any(opened.missing(*note) for note in self._notes(records)):
                self._prune(stored)
                return
        self._rewrite()
        self._prune(self._open(self._path).study.get_trials(deepcopy=False))

    def _prune(self, stored: Iterable[FrozenTrial]) -> None:
        """Delete pictures that no trial names any more; what users have attached stays."""
        named = {name.removeprefix(ARTIFACT) for trial in stored for name in artifacts_of(trial)}
        for file in self._artifact_folder.glob("*"):
            if OWN_ARTIFACT.fullmatch(file.name) and file.name not in named:
                file.unlink()

    def _notes(self, records: Iterable[TrialRecord]) -> list[tuple[int | None, str]]:
        """The note of each trial: its number and the text; by None that of the sweep, if any."""
        written = read_notes(self._path.parent)
        found: list[tuple[int | None, str]] = [
            (record.number, note_text(record, written.get(record.trial_id, ())))
            for record in records
        ]
        if None in written:
            found.append((None, note_text(None, written[None])))
        return found

    def _keep(self, stored: Iterable[FrozenTrial]) -> None:
        """What the records do not have: artifacts of earlier sessions, and all times."""
        for trial in stored:
            self._artifacts.setdefault(trial.number, artifacts_of(trial))
            self._times[trial.number] = trial.datetime_start, trial.datetime_complete

    def _update(self, change: Callable[[_Study], None]) -> None:
        """If the file has changed meanwhile, it is rewritten; the records have the change."""
        with suppress(Exception):
            if self._study is not None:
                change(self._study)
                return
        self._rewrite()

    def _rewrite(self) -> None:
        self._study = None
        with suppress(Exception):
            if self._path.exists():
                self._keep(self._open(self._path).study.get_trials(deepcopy=False))
        temporary = self._path.with_name(f".{self._path.name}.tmp")
        temporary.unlink(missing_ok=True)
        opened, records = self._open(temporary), searched(self._records())
        for trial in self._expected(records):
            opened.study.add_trial(trial)
        for note in self._notes(records):
            opened.note(*note)
        temporary.replace(self._path)
        self._study = self._open(self._path)

    def _open(self, path: Path) -> _Study:
        return _Study(path, self._name, self._objective)

    def _expected(self, records: Sequence[TrialRecord]) -> list[FrozenTrial]:
        """All recorded trials; a diverged one has the worst value of all of them."""
        self._worst = Worst(self._objective)
        for record in records:
            self._worst.see(record)
        return [self._frozen(record) for record in records]

    def _frozen(self, record: TrialRecord) -> FrozenTrial:
        attributes = _attributes(record)
        if self._objective.others:
            worst = self._worst.values
            trial = frozen_point(self._translator, record, worst, **attributes)
        else:
            trial = self._translator.frozen(record, self._worst.value, **attributes)
        shown = dashboard_constraints(trial.constraints) | self._artifacts.get(record.number, {})
        trial.system_attrs = trial.system_attrs | shown
        started, ended = self._times.get(record.number, (None, None))
        trial.datetime_start = started or trial.datetime_start
        if trial.state.is_finished():
            trial.datetime_complete = ended or trial.datetime_complete
        return trial

    def _end(self, record: TrialRecord) -> tuple[TrialState, Any, Mapping[str, float]]:
        """State, value or values, and constraints of a trial that has ended."""
        if not self._objective.others:
            worst = self._worst.value
            return *state_and_value(record, worst), constraints(record, worst)
        state, values = state_and_values(record, self._worst.values)
        return state, values, constraints(record, 0.0) if values else {}


class _Study:
    """The study in a file, which is created if missing."""

    def __init__(self, path: Path, name: str, objective: Objective) -> None:
        backend = JournalFileBackend(str(path), lock_obj=_OneWriter(str(path)))
        self._storage = JournalStorage(backend)
        self.study = make_study(self._storage, name, objective)
        self._id = self._storage.get_study_id_from_name(name)

    def running(self, number: int) -> Trial:
        """A handle to change a trial. The study uses our trial numbers."""
        trial = self._storage.get_trial_id_from_study_id_trial_number(self._id, number)
        return Trial(self.study, trial)

    def end(
        self, record: TrialRecord, state: TrialState, value: Any, broken: Mapping[str, float]
    ) -> None:
        trial = self.running(record.number)
        for name, attribute in _attributes(record).items():
            trial.set_user_attr(name, attribute)
        for name, excess in broken.items():
            trial.set_constraint(name, excess)
        for name, excesses in dashboard_constraints(broken).items():
            self._storage.set_trial_system_attr(trial._trial_id, name, excesses)
        self.note(record.number, note_text(record))
        self.study.tell(trial, value, state)

    def missing(self, number: int | None, text: str) -> Mapping[str, Any]:
        """The attributes that make the text the note of a trial, or of the study; none if it is."""
        trial = None
        if number is not None:
            trial = self._storage.get_trial_id_from_study_id_trial_number(self._id, number)
        return note_attributes(trial, text, self._storage.get_study_system_attrs(self._id))

    def note(self, number: int | None, text: str) -> None:
        for name, value in self.missing(number, text).items():
            self._storage.set_study_system_attr(self._id, name, value)


class _OneWriter(JournalFileOpenLock):
    """Locks nothing, because the writer of a results folder holds the folder's own lock.

    Optuna's lock would survive a kill, and the next session would wait half a minute for it.
    """

    def acquire(self) -> bool:
        return True

    def release(self) -> None:
        pass


def _attributes(record: TrialRecord) -> dict[str, str]:
    attributes = {"trial": record.trial_id, "status": record.status.value}
    if record.outcome is not None and record.outcome.cause:
        attributes["cause"] = record.outcome.cause
    if record.preset is not None:
        attributes["preset"] = record.preset
    return attributes


def _facts(trial: FrozenTrial) -> tuple[object, ...]:
    """All of a trial except its times, which the records do not have."""
    return (
        trial.state,
        trial.values,
        trial.params,
        trial.intermediate_values,
        trial.constraints,
        trial.user_attrs,
        artifacts_of(trial),
    )
