"""The sweep as an Optuna study in its results folder: ``optuna-dashboard results/x/study.journal``.

For every searcher, live, and true at the end. Nothing ever depends on it: the searcher has a study
of its own in memory, and what is recorded of the trials is the truth. So whatever happens to the
file, it is made anew from the records.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.trial import FrozenTrial, Trial

from sweep.search.searchers.optuna_study import (
    Translator,
    Worst,
    constraints,
    make_study,
    state_and_value,
)
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.store.layout import is_replicate, trial_number
from sweep.tracking.tracker import Forgiving, Tracker
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.objective import Mode
from sweep.vocabulary.record import ParameterValue, TrialRecord, searched

Records = Callable[[], list[TrialRecord]]
"""Reads all trials of the sweep, by number."""


@contextmanager
def live_study(
    path: Path, spec: SweepSpec, records: Records, warn: Callable[[str], None]
) -> Iterator[Tracker]:
    """An observer that keeps the study in ``path``; on leaving it is compared with the records.

    Args:
        path: of the file.
        spec: of the sweep.
        records: reads its trials, with all that observers were told.
        warn: is told once where the file cannot be written: that never ends a sweep.
    """
    study = Forgiving(path.name, StudyFile(path, spec, records), warn)
    try:
        yield study
    finally:
        study.close()


class StudyFile(Tracker):
    """Keeps the file up to date, from the first thing that it is told; arguments as above.

    Replicates are no trials of the study: no searcher proposed them.
    """

    def __init__(self, path: Path, spec: SweepSpec, records: Records) -> None:
        self._path = path
        self._name = spec.name
        self._translator = Translator(spec.drawn)
        self._records = records
        self._objective = spec.judged_by
        self._worst = Worst(self._objective)
        self._study: _Study | None = None  # None: the file is to be made anew

    def trial_started(self, trial_id: str, parameters: Mapping[str, ParameterValue]) -> None:
        if is_replicate(trial_id):
            return
        record = TrialRecord(
            trial_id=trial_id,
            number=trial_number(trial_id),
            parameters=parameters,
            objective=self._objective,
        )
        self._update(lambda study: study.add(self._frozen(record)))

    def epoch_reported(self, trial_id: str, metrics: EpochMetrics) -> None:
        value = self._objective.value(metrics)
        if value is not None and not is_replicate(trial_id):
            number = trial_number(trial_id)
            self._update(lambda study: study.running(number).report(value, metrics.epoch))

    def trial_ended(self, record: TrialRecord) -> None:
        if record.replicate is None:
            self._worst.see(record)
            self._update(lambda study: study.end(record, self._worst.value))

    def close(self) -> None:
        if not self._is_true():
            self._make_anew()

    def _update(self, change: Callable[[_Study], None]) -> None:
        """Where the file is not as we left it, it is made anew; the records have the change."""
        with suppress(Exception):
            if self._study is not None:
                change(self._study)
                return
        self._make_anew()

    def _make_anew(self) -> None:
        self._study = None
        temporary = self._path.with_name(f".{self._path.name}.tmp")
        temporary.unlink(missing_ok=True)
        study = _Study(temporary, self._name, self._objective.mode)
        for trial in self._true():
            study.add(trial)
        temporary.replace(self._path)
        self._study = _Study(self._path, self._name, self._objective.mode)

    def _is_true(self) -> bool:
        with suppress(Exception):
            stored = _Study(self._path, self._name, self._objective.mode).trials()
            return [*map(_facts, stored)] == [*map(_facts, self._true())]
        return False

    def _true(self) -> list[FrozenTrial]:
        """All trials as they stand; a diverged one counts with the worst of all of them."""
        records = searched(self._records())
        self._worst = Worst(self._objective)
        for record in records:
            self._worst.see(record)
        return [self._frozen(record) for record in records]

    def _frozen(self, record: TrialRecord) -> FrozenTrial:
        return self._translator.frozen(record, self._worst.value, **_attributes(record))


class _Study:
    """The study in a file, which is made where it is missing."""

    def __init__(self, path: Path, name: str, mode: Mode) -> None:
        backend = JournalFileBackend(str(path), lock_obj=_OneWriter(str(path)))
        self._storage = JournalStorage(backend)
        self._study = make_study(self._storage, name, mode)
        self._id = self._storage.get_study_id_from_name(name)

    def trials(self) -> list[FrozenTrial]:
        return self._study.get_trials(deepcopy=False)

    def add(self, trial: FrozenTrial) -> None:
        self._study.add_trial(trial)

    def running(self, number: int) -> Trial:
        """A handle to change the trial with this number, which is ours too."""
        trial = self._storage.get_trial_id_from_study_id_trial_number(self._id, number)
        return Trial(self._study, trial)

    def end(self, record: TrialRecord, worst: float | None) -> None:
        trial = self.running(record.number)
        for name, attribute in _attributes(record).items():
            trial.set_user_attr(name, attribute)
        for name, broken in constraints(record, worst).items():
            trial.set_constraint(name, broken)
        state, value = state_and_value(record, worst)
        self._study.tell(trial, value, state)


class _OneWriter(JournalFileOpenLock):
    """Locks nothing: who writes to a results folder holds the folder's own lock.

    Optuna's lock would outlive a kill, and the next session would wait half a minute for it.
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
    """All that is true of a trial; its times in the file are those of writing."""
    return (
        trial.state,
        trial.values,
        trial.params,
        trial.intermediate_values,
        trial.constraints,
        trial.user_attrs,
    )
