"""The sweep as a state machine: record, decide, tell. It knows no Ray and no torch.

Whoever executes trials (Ray Tune, or a plain loop) asks for the next one, passes on each epoch that
is reported and each end. Every fact is recorded before anything is decided on it, and decisions
depend on nothing else: so a sweep that was interrupted is rebuilt by replaying its records.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from sweep.record import EpochMetrics, Outcome, ParameterValue, Status, TrialRecord
from sweep.search.scheduler import Decision, make_scheduler
from sweep.search.searcher import make_searcher
from sweep.spec.load import to_yaml
from sweep.spec.settings import TrialSettings
from sweep.spec.sweep import SweepSpec
from sweep.store.journal import EpochRecorded, TrialEnded, TrialStarted
from sweep.store.layout import trial_number
from sweep.store.store import Store
from sweep.strict_json import finite_or_none


class Observer(Protocol):
    """Is told what happens, after it was recorded. Consoles and trackers are observers."""

    def trial_started(self, trial_id: str, parameters: Mapping[str, ParameterValue]) -> None: ...

    def epoch_reported(self, trial_id: str, metrics: EpochMetrics) -> None: ...

    def trial_ended(self, record: TrialRecord) -> None: ...


@dataclass(slots=True)
class _Trial:
    """A trial under way: `TrialRecord` with a history that grows."""

    trial_id: str
    parameters: Mapping[str, ParameterValue]
    preset: str | None
    history: list[EpochMetrics] = field(default_factory=list)

    def record(self, outcome: Outcome | None) -> TrialRecord:
        return TrialRecord(
            trial_id=self.trial_id,
            number=trial_number(self.trial_id),
            parameters=self.parameters,
            history=tuple(self.history),
            outcome=outcome,
            preset=self.preset,
        )


class Conductor:
    """Runs one sweep.

    Args:
        spec: the effective spec.
        store: its results folder, new or with what an interrupted sweep recorded.
        observers: told of everything, what was recorded before included (see `subscribe`).
    """

    def __init__(self, spec: SweepSpec, store: Store, observers: Iterable[Observer] = ()) -> None:
        self._spec = spec
        self._store = store
        self._observers = tuple(observers)
        self._searcher = make_searcher(spec)
        self._scheduler = make_scheduler(spec)
        self._trials: dict[str, _Trial] = {}  # those without an end
        self._waiting: deque[str] = deque()  # of these, the ones that nobody executes
        self._proposed = 0
        self._exhausted = False
        self._replay()

    def subscribe(self, observer: Observer) -> None:
        """Tell ``observer`` of what happens from now on."""
        self._observers = (*self._observers, observer)

    @property
    def executing(self) -> int:
        """Number of trials that were handed out and have not ended."""
        return len(self._trials) - len(self._waiting)

    @property
    def finished(self) -> bool:
        """True when no trial is left to hand out."""
        return not self._waiting and (self._exhausted or self._proposed >= self._spec.trials)

    def next_trial(self) -> Path | None:
        """Folder of the next trial to execute, with its ``config.yaml``; None when `finished`.

        Trials that an interruption left unfinished come first, then the presets, each a trial,
        then what the searcher proposes.
        """
        if not self._waiting and not self.finished:
            if self._proposed < len(self._spec.presets):
                self._start_preset(self._spec.presets[self._proposed])
            else:
                self._propose()
        return self._folder(self._waiting.popleft()) if self._waiting else None

    def report(self, trial_id: str, metrics: EpochMetrics) -> Decision:
        """Record an epoch and decide whether the trial goes on.

        An epoch that is known already, from a worker that went on from its checkpoint, changes
        nothing. A trial that is told to stop has thereby ended, as pruned.
        """
        trial = self._trials.get(trial_id)
        if trial is None:
            return Decision.STOP
        if not self._store.append_epoch(trial_id, metrics):
            return Decision.CONTINUE
        return self._take(trial, metrics)

    def end(self, trial_id: str, outcome: Outcome) -> None:
        """Record how a trial ended, tell searcher and scheduler; only the first end counts."""
        trial = self._trials.get(trial_id)
        if trial is None:
            return
        self._store.end_trial(trial_id, outcome)
        self._close(trial, outcome)

    def _start_preset(self, name: str) -> None:
        settings = self._spec.preset_trial(name)
        trial = self._start(self._spec.parameters_of(settings), settings, name)
        # What it proposes itself, a searcher knows to be running. This it has to be told.
        self._searcher.tell(trial.record(None))

    def _propose(self) -> None:
        parameters = self._searcher.ask(self._proposed)
        if parameters is None:
            self._exhausted = True
            return
        self._start(parameters, self._spec.trial(parameters))

    def _start(
        self,
        parameters: Mapping[str, ParameterValue],
        settings: TrialSettings,
        preset: str | None = None,
    ) -> _Trial:
        config = to_yaml(settings)
        trial_id = self._store.start_trial(self._proposed, parameters, config, preset)
        return self._open(_Trial(trial_id, parameters, preset))

    def _open(self, trial: _Trial) -> _Trial:
        self._proposed += 1
        self._trials[trial.trial_id] = trial
        self._waiting.append(trial.trial_id)
        for observer in self._observers:
            observer.trial_started(trial.trial_id, trial.parameters)
        return trial

    def _take(self, trial: _Trial, metrics: EpochMetrics) -> Decision:
        """Decide on an epoch that is recorded, now or in an earlier session."""
        trial.history.append(metrics)
        for observer in self._observers:
            observer.epoch_reported(trial.trial_id, metrics)
        epochs = metrics.epoch + 1
        # As it was recorded: a NaN that an earlier session saw is None when it is replayed.
        value = finite_or_none(metrics.val_dice)
        decision = self._scheduler.report(trial.trial_id, epochs, value)
        if decision is Decision.STOP:
            cause = f"stopped by {self._spec.scheduler.name} after {epochs} epochs"
            self.end(trial.trial_id, Outcome(status=Status.PRUNED, cause=cause))
        return decision

    def _close(self, trial: _Trial, outcome: Outcome) -> None:
        del self._trials[trial.trial_id]
        if trial.trial_id in self._waiting:  # it ended in an earlier session
            self._waiting.remove(trial.trial_id)
        record = trial.record(outcome)
        self._scheduler.end(trial.trial_id, outcome.status)
        self._searcher.tell(record)
        for observer in self._observers:
            observer.trial_ended(record)

    def _replay(self) -> None:
        """Repeat what was recorded: searcher, scheduler and observers end as they were."""
        records = {record.trial_id: record for record in self._store.records()}
        for record in records.values():
            self._searcher.tell(record)
        for event in list(self._store.journal()):
            record = records[event.trial_id]
            match event:
                case TrialStarted():
                    self._open(_Trial(event.trial_id, record.parameters, record.preset))
                case EpochRecorded(epoch=epoch):
                    # A trial that is to stop ends here, also where a crash came before its end.
                    self._take(self._trials[event.trial_id], record.history[epoch])
                case TrialEnded():
                    assert record.outcome is not None
                    self.end(event.trial_id, record.outcome)

    def _folder(self, trial_id: str) -> Path:
        return self._store.layout.trial(trial_id).folder
