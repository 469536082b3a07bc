"""The sweep as a state machine: record, decide, notify. It uses neither Ray nor torch.

An executor (Ray Tune, or a plain loop) asks for the next trial and passes on each reported epoch
and each end. Every fact is recorded before anything is decided on it, and decisions depend on
nothing else. So an interrupted sweep is rebuilt by replaying its records.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from sweep.analysis.ranking.finalists import TopTrials
from sweep.engine.decisions.observers import Failed, Observers, raised
from sweep.engine.decisions.open_trials import OpenTrial, OpenTrials
from sweep.engine.decisions.pruning_policy import PruningPolicy
from sweep.engine.decisions.replicate_queue import ReplicateQueue, SearchReplicateQueue
from sweep.engine.decisions.search_end import SearchEnd
from sweep.engine.decisions.trial_queue import Proposal, TrialQueue
from sweep.search.schedulers.decision import Decision
from sweep.spec.load import to_yaml
from sweep.spec.search.replicate_plan import settings_of_run
from sweep.spec.search.shared_warmup import branching_epochs
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.spec.session_changes import edits
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.spec.words.phrases import counted
from sweep.spec.words.short_names import label
from sweep.store.files import read_text
from sweep.store.journal import (
    ConfigurationEnqueued,
    EpochRecorded,
    NoteAdded,
    Request,
    StopRequested,
    TrialEnded,
    TrialStarted,
    TrialWaits,
)
from sweep.store.layout import trial_number
from sweep.store.store import Store
from sweep.vocabulary.dominance import Point
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.errors import InputError, Mistake, ResultsError, gathering
from sweep.vocabulary.record import (
    BY_HAND,
    Observer,
    Outcome,
    Replicate,
    SearchEnded,
    Status,
    TrialRecord,
)

MOST_WAITING = 32
"""Most trials that wait for their warm-up while further ones are proposed."""


_PROGRESS = (TrialStarted, EpochRecorded, TrialEnded)


class SweepController:
    """Control one sweep.

    Args:
        spec: the effective spec.
        store: its results folder, new or with the records of an interrupted sweep.
        observers: notified of all events, including replayed ones (see `subscribe`).
        failed: called if an observer raises. By default, that ends the sweep.
    """

    def __init__(
        self,
        spec: SweepSpec,
        store: Store,
        observers: Iterable[Observer] = (),
        failed: Failed = raised,
    ) -> None:
        self._spec = spec
        self._store = store
        self._observers = Observers(observers, failed)
        self._queue = TrialQueue(spec, store)
        self._pruning = PruningPolicy(spec, self._judged)
        self._search_end = SearchEnd(spec)
        self._due: SearchEnded | None = None  # an end of the search that is not recorded yet
        self._open_trials = OpenTrials(shares=bool(branching_epochs(spec)))
        self._proposed = 0
        self._top = TopTrials(spec)
        self._replaying = True
        self._given_up: set[str] = set()  # found in the replay
        self._in_search = SearchReplicateQueue(spec)
        self._replicates = ReplicateQueue(spec, store.records)
        self._replay()
        self._replaying = False
        self._end_search_if_due()  # a crash came before its record
        self._settle()  # no further trial comes then, and no report of a paused one would
        for trial_id in self._open_trials.held:
            if trial_id in self._given_up:  # a crash came before its end
                self._prune(self._open_trials[trial_id])
        for trial_id in self._open_trials.held:  # or before the observers were notified
            self._note_wait(trial_id)
        self._end_stopped()
        self._discard_trunks(search_has_ended=False)

    def subscribe(self, observer: Observer) -> None:
        """Notify ``observer`` of all events from now on."""
        self._observers.add(observer)

    @property
    def waiting(self) -> int:
        """Number of trials that wait to be executed as soon as they may start."""
        return len(self._open_trials.waiting)

    @property
    def finished(self) -> bool:
        """Whether every trial has ended. An executing trial may pause and be handed out again."""
        return not self._open_trials and self._search_is_over and not self._confirms

    def next_trial(self) -> Path | None:
        """Folder of the next trial to execute, with its ``config.yaml``; None for now, or for good
        when `finished`.

        Started trials come first: those that an interruption left unfinished, and paused ones that
        may continue. Then come the presets, each a trial, then the enqueued configurations of
        earlier sweeps, those that users have enqueued, and the searcher's proposals. Replicates of
        the search come before proposals that learn from them, else after all trials. When all of
        these have ended, the replicates of the leaders follow. A trial whose warm-up another trial
        is training waits for it.
        """
        trial_id = self._open_trials.next
        while trial_id is None and self._may_replicate and (due := self._in_search.next):
            replicate, of = due
            self._start(of.number, Proposal(of.parameters, of.preset), replicate)
            trial_id = self._open_trials.next
        while trial_id is None and self._may_propose:
            number = self._proposed
            asked = self._queue.ask(number)
            record = self._start(number, asked)
            if number < self._queue.given or asked.enqueued is not None:
                self._queue.searcher.tell(record)
            trial_id = self._open_trials.next
        while trial_id is None and self._search_is_over and self._replicates:
            replicate, of = self._replicates.pop()
            self._start(of.number, Proposal(of.parameters, of.preset), replicate)
            trial_id = self._open_trials.next
        if trial_id is not None:
            self._open_trials.hand_out(trial_id)
        for other in self._open_trials.waiting:
            self._note_wait(other)
        return None if trial_id is None else self._store.layout.trial(trial_id).folder

    def label(self, trial_id: str) -> str:
        """Label of a trial that has not ended, in one line."""
        trial = self._open_trials[trial_id].started
        return label(trial.parameters, trial.preset, trial.replicate)

    def report(self, trial_id: str, metrics: EpochMetrics) -> Decision:
        """Record an epoch and decide whether the trial continues.

        A known epoch, repeated by a worker that resumed from its checkpoint, changes nothing. STOP
        ends the trial as pruned. PAUSE frees its worker; later the trial is pruned, or handed out
        again to resume from its checkpoint.
        """
        trial = self._open_trials.get(trial_id)
        if trial is None:
            return Decision.STOP
        if not self._store.append_epoch(trial_id, metrics):
            return Decision.CONTINUE
        decision = self._take(trial_id, metrics)
        if decision is Decision.STOP:
            self._prune(trial)
        elif decision is Decision.PAUSE:
            self._open_trials.hold(trial_id)
        self._settle()
        standing = self._standing(trial_id)
        if standing is Decision.PAUSE:
            self._note_wait(trial_id)
        return standing

    def obey(self, request: Request) -> None:
        """Record a user's request, then act on it. One that is recorded already changes nothing.

        Raises:
            ValueError: the trial is unknown, or is to stop and has ended.
        """
        if self._store.record_request(request):
            self._act_on(request)
            self._end_stopped()

    def hand_back(self, trial_id: str) -> None:
        """Take back a trial that was handed out but not begun. It is the next one again."""
        if self._open_trials.is_executed(trial_id):
            self._open_trials.hand_back(trial_id)

    def end(self, trial_id: str, outcome: Outcome) -> None:
        """Record how a trial ended, and inform searcher and scheduler. Only the first end
        counts."""
        if trial_id in self._open_trials:
            self._store.end_trial(trial_id, outcome)
            self._close(trial_id, outcome)
            self._settle()

    @property
    def _may_propose(self) -> bool:
        """Whether the next trial may be proposed before the waiting ones have started.

        One of them may wait long for its warm-up, and the next trial may have a short one. What a
        searcher proposes once it learns would lack the results of those before it.
        """
        most = 1 if self._learns else MOST_WAITING
        return not self._all_proposed and len(self._open_trials.waiting) < most

    @property
    def _learns(self) -> bool:
        """Whether the searcher's next proposal depends on results."""
        return self._proposed - self._queue.given >= self._spec.searcher.random_trials

    @property
    def _may_replicate(self) -> bool:
        """Whether replicates of the search may start: see `SearchReplicates`."""
        if self._spec.searcher.learns:
            return self._learns or self._all_proposed
        return self._all_trials_ended

    @property
    def _all_proposed(self) -> bool:
        if self._queue.asked:  # also after an early end of the search
            return False
        return self._proposed >= self._queue.most or self._search_end.is_reached

    @property
    def _confirms(self) -> bool:
        """Whether replicates are left to start, now or when the search has ended."""
        if self._spec.confirm is None:
            return False
        return not self._search_is_over or bool(self._replicates)

    @property
    def _all_trials_ended(self) -> bool:
        running = (trial.started for trial in self._open_trials.values())
        return self._all_proposed and all(record.replicate for record in running)

    @property
    def _search_is_over(self) -> bool:
        """Whether all trials have ended, and with them the replicates of the search."""
        running = (trial.started.replicate for trial in self._open_trials.values())
        is_running = any(replicate and replicate.in_search for replicate in running)
        return self._all_trials_ended and not is_running and self._in_search.next is None

    def _start(
        self, number: int, asked: Proposal, replicate: Replicate | None = None
    ) -> TrialRecord:
        parameters, preset = asked.parameters, asked.preset
        settings = settings_of_run(self._spec, parameters, preset, replicate)
        trial_id = self._store.start_trial(
            number, parameters, to_yaml(settings), preset, replicate, asked.enqueued
        )
        record = TrialRecord(
            trial_id=trial_id,
            number=trial_number(trial_id),
            parameters=parameters,
            preset=preset,
            replicate=replicate,
            enqueued=asked.enqueued,
            objective=self._spec.judged_by,
            in_race=self._spec.replicate is not None,
        )
        self._open(record, settings)
        return record

    def _open(self, record: TrialRecord, settings: TrialSettings) -> None:
        trial_id = record.trial_id
        self._open_trials.add(record, settings)
        if record.replicate is None:
            self._proposed += 1
            self._queue.started(record.enqueued)
            self._expect()
            self._pruning.start(trial_id, settings, record.preset)
        elif record.replicate.in_search:
            self._in_search.started(record.replicate)
        else:
            self._replicates.started()
        self._observers.trial_started(trial_id, record.parameters)

    def _expect(self) -> None:
        """Tell how many trials are still to come."""
        left = max(0, self._queue.most - self._proposed)
        self._pruning.expect(self._queue.asked if self._search_end.is_reached else left)

    def _act_on(self, request: Request) -> None:
        match request:
            case StopRequested():
                self._pruning.stop(request.trial_id)
            case ConfigurationEnqueued():
                self._queue.enqueue(request)
                self._expect()
                self._replicates.forget()  # the leaders may be others when the search ends again
                self._observers.trial_enqueued()
            case NoteAdded():
                pass  # decisions do not depend on it

    def _end_stopped(self) -> None:
        """End the trials that the user has stopped and that have no worker to report."""
        for trial_id in [*self._open_trials.waiting, *self._open_trials.held]:
            trial = self._open_trials.get(trial_id)
            if trial is None or not self._pruning.is_stopped(trial_id):
                continue
            # One that a crash kept from reporting its end completes, as without the crash.
            if not self._pruning.is_at_its_end(trial_id, len(trial.history)):
                self._prune(trial)

    def _take(self, trial_id: str, metrics: EpochMetrics) -> Decision:
        """Decide on a recorded epoch, from this or an earlier session."""
        trial = self._open_trials.report(trial_id, metrics)
        self._observers.epoch_reported(trial_id, metrics)
        if trial.started.replicate is not None:  # replicates are compared when they have ended
            return Decision.CONTINUE
        # A score is finite or None: a NaN of this session is None when it is replayed.
        objective = trial.started.objective
        score = objective.point(trial.history) if objective.others else objective.score(metrics)
        return self._pruning.report(trial_id, metrics.epoch + 1, score)

    def _judged(self, trial_id: str, rung: int, score: float | Point) -> None:
        """Inform the searcher of what a trial is worth at a rung."""
        self._queue.searcher.judge(self._open_trials[trial_id].started.number, rung, score)

    def _note_wait(self, trial_id: str) -> None:
        if self._store.note_wait(trial_id):
            self._observers.trial_waits(trial_id)

    def _settle(self) -> None:
        """Continue or end the paused trials that are decided by now.

        A replay ends nothing here: the records say how each trial ended.
        """
        for trial_id, decision in self._pruning.decided():
            if not self._open_trials.is_held(trial_id):  # it is at its last epoch
                continue
            if decision is Decision.CONTINUE:
                self._open_trials.let_on(trial_id)
            elif self._replaying:
                self._given_up.add(trial_id)
            else:
                self._prune(self._open_trials[trial_id])

    def _standing(self, trial_id: str) -> Decision:
        """The decision on the trial that has just reported."""
        if trial_id not in self._open_trials:
            return Decision.STOP
        if self._open_trials.is_held(trial_id):
            return Decision.PAUSE
        if not self._open_trials.is_executed(trial_id):  # it was held, and may continue at once
            self._open_trials.hand_out(trial_id)
        return Decision.CONTINUE

    def _prune(self, trial: OpenTrial) -> None:
        stopped = self._pruning.is_stopped(trial.trial_id)
        how = BY_HAND if stopped else f"stopped by {self._spec.scheduler.label}"
        cause = f"{how} after {counted(len(trial.history), 'epoch')}"
        self.end(trial.trial_id, Outcome(status=Status.PRUNED, cause=cause))

    def _close(self, trial_id: str, outcome: Outcome) -> None:
        record = self._open_trials.end(trial_id).record(outcome)
        if record.replicate is None:
            self._pruning.end(trial_id, outcome.status)
            self._queue.searcher.tell(record)
            self._in_search.ended(record)
        elif record.replicate.in_search:
            self._in_search.ended(record)
            self._queue.searcher.replicate(
                record.number, *self._in_search.replicated(record.replicate.of)
            )
        else:
            self._replicates.ended()
        self._observers.trial_ended(record)
        if record.replicate is None:
            self._consider_end(record)
        self._store.discard_checkpoints(trial_id, best=not self._keeps_best(record))
        is_of_search = record.replicate is None or record.replicate.in_search
        self._discard_trunks(search_has_ended=is_of_search and self._search_is_over)

    def _consider_end(self, record: TrialRecord) -> None:
        """End the search if further trials are unlikely to be better. A replay waits for the
        record of it."""
        chance = self._search_end.tell(record)
        left = self._queue.given <= self._proposed < self._queue.most and not self._queue.asked
        if chance is not None and left:
            trials = self._spec.trials
            self._due = SearchEnded(record.trial_id, self._proposed, trials, chance)
        if not self._replaying:
            self._end_search_if_due()

    def _end_search_if_due(self) -> None:
        if self._due is not None:
            self._store.end_search(self._due)
            self._end_search(self._due)

    def _end_search(self, event: SearchEnded) -> None:
        self._due = None
        if self._search_end.take(event):
            self._pruning.expect(0)
            self._observers.search_ended(event)

    def _discard_trunks(self, *, search_has_ended: bool) -> None:
        """Discard trunks that no trial will use. Replicates have trunks of their own seeds."""
        if not self._replaying and not self._open_trials and (search_has_ended or self.finished):
            self._store.discard_trunks()

    def _keeps_best(self, record: TrialRecord) -> bool:
        """Whether to keep the weights of the best epoch.

        Those of a diverged trial are not kept. Those of a pruned trial are kept if it may be a
        finalist: finalists are tested, and one is handed over.
        """
        if record.score is None:
            return record.status is Status.FAILED
        if record.replicate is not None:
            return True
        return self._top.admits(record) or record.status is not Status.PRUNED

    def _replay(self) -> None:
        """Replay the records to restore searcher, scheduler and observers.

        Raises:
            InputError: a file with the settings of a trial was edited by hand.
        """
        edited: list[Mistake] = []
        records = {record.trial_id: record for record in self._store.records()}
        events = list(self._store.journal())
        last = {e.trial_id: e for e in events if isinstance(e, _PROGRESS)}
        for event in events:
            self._due = None
            if isinstance(event, Request):
                self._act_on(event)
                continue
            record = records[event.trial_id]
            match event:
                case TrialStarted():
                    started = replace(
                        record,
                        history=(),
                        outcome=None,
                        test=(),
                        real=None,
                        objective=self._spec.judged_by,
                        in_race=self._spec.replicate is not None,
                    )
                    settings = settings_of_run(
                        self._spec, record.parameters, record.preset, record.replicate
                    )
                    edited += self._edits(record, settings)
                    self._open(started, settings)
                    if record.replicate is None:
                        self._queue.searcher.tell(started)
                case EpochRecorded():
                    # After a power cut the disk may have the journal's line and not that of the
                    # history. The worker then reports the epoch again, from its checkpoint.
                    known = event.epoch < len(record.history)
                    metrics = record.history[event.epoch] if known else event.known
                    is_last = event is last[event.trial_id]
                    self._replay_epoch(event.trial_id, metrics, is_last)
                case TrialWaits():
                    self._observers.trial_waits(event.trial_id)
                case TrialEnded():
                    assert record.outcome is not None
                    self.end(event.trial_id, record.outcome)
                case SearchEnded():
                    self._end_search(event)
                    self._settle()
        if edited:
            raise InputError(edited)

    def _edits(self, record: TrialRecord, settings: TrialSettings) -> list[Mistake]:
        """What was edited by hand of the settings of a trial that goes on, or of the first one.

        An edit of the sweep.yaml shows in any trial.

        Args:
            settings: with which the trial began.
        """
        found: list[Mistake] = []
        config = self._store.layout.trial(record.trial_id).config
        if config.exists() and (record.outcome is None or not self._proposed):
            with suppress(ResultsError):  # below, in the words for such a file
                if read_text(config) == to_yaml(settings):  # as it was written
                    return []
            with gathering(found):
                found += edits(config, self._spec, record)
        return found

    def _replay_epoch(self, trial_id: str, metrics: EpochMetrics, is_last: bool) -> None:
        if self._open_trials.is_held(trial_id):  # an earlier session let it on
            self._open_trials.let_on(trial_id)
            self._given_up.discard(trial_id)
            self._pruning.let_on(trial_id)
        decision = self._take(trial_id, metrics)
        # The records hold, whatever this version of a scheduler would decide. But a crash may have
        # come before the end of a trial that was to stop.
        if decision is Decision.STOP and is_last:
            self._prune(self._open_trials[trial_id])
        elif decision is Decision.STOP:
            return  # its end comes next, and nothing was settled before that
        elif decision is Decision.PAUSE:
            self._open_trials.hold(trial_id)
        self._settle()
