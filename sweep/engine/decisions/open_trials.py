"""The trials without an end: those that wait, those that are executed, those held at a rung.

```text
 add ─> waiting ── hand_out ─> executing ── hold ─> held
           ^ <──── hand_back ──────┘                  │
           └───────────────────── let_on ─────────────┘
```
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from sweep.engine.decisions.warmup_owners import WarmupOwners
from sweep.spec.search.shared_warmup import trunk_key, trunk_length
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.record import Outcome, TrialRecord


@dataclass(slots=True)
class OpenTrial:
    """A trial without an end: its record when it started, and its growing history."""

    started: TrialRecord
    history: list[EpochMetrics] = field(default_factory=list)

    @property
    def trial_id(self) -> str:
        return self.started.trial_id

    def record(self, outcome: Outcome) -> TrialRecord:
        return replace(self.started, history=tuple(self.history), outcome=outcome)


class OpenTrials(Mapping[str, OpenTrial]):
    """All trials without an end, by their ids in the order of their start.

    Args:
        shares: whether trials share warm-ups. Those that need one which another trial is training
            then wait for it.
    """

    def __init__(self, *, shares: bool) -> None:
        self._trials: dict[str, OpenTrial] = {}
        self._waiting: deque[str] = deque()
        self._held: set[str] = set()
        self._warmups = WarmupOwners()
        self._shares = shares

    def __getitem__(self, trial_id: str) -> OpenTrial:
        return self._trials[trial_id]

    def __iter__(self) -> Iterator[str]:
        return iter(self._trials)

    def __len__(self) -> int:
        return len(self._trials)

    @property
    def waiting(self) -> tuple[str, ...]:
        """Those that wait to be executed; the next one first, unless it waits for its warm-up."""
        return tuple(self._waiting)

    @property
    def held(self) -> tuple[str, ...]:
        """Those that are held at a rung, by their ids."""
        return tuple(sorted(self._held))

    @property
    def next(self) -> str | None:
        """The first waiting trial for whose warm-up it need not wait; None without any."""
        return next(filter(self._warmups.may_start, self._waiting), None)

    def is_held(self, trial_id: str) -> bool:
        return trial_id in self._held

    def is_executed(self, trial_id: str) -> bool:
        is_open = trial_id in self._trials
        return is_open and trial_id not in self._held and trial_id not in self._waiting

    def add(self, record: TrialRecord, settings: TrialSettings) -> None:
        """Note a trial that has started. It waits to be executed."""
        trial_id = record.trial_id
        self._trials[trial_id] = OpenTrial(record)
        self._waiting.append(trial_id)
        length = trunk_length(settings) if self._shares else 0
        self._warmups.add(trial_id, trunk_key(settings), length)

    def hand_out(self, trial_id: str) -> None:
        """Note that a waiting trial is executed."""
        self._waiting.remove(trial_id)
        self._warmups.start(trial_id)

    def hand_back(self, trial_id: str) -> None:
        """Note that an executed trial waits again. It is the next one."""
        self._waiting.appendleft(trial_id)
        self._warmups.pause(trial_id)

    def report(self, trial_id: str, metrics: EpochMetrics) -> OpenTrial:
        """Add an epoch to the history of a trial, which is returned."""
        trial = self._trials[trial_id]
        trial.history.append(metrics)
        self._warmups.report(trial_id, len(trial.history))
        return trial

    def hold(self, trial_id: str) -> None:
        """Note that a trial is held at a rung, also one that an earlier session has executed."""
        if trial_id in self._waiting:
            self._waiting.remove(trial_id)
        self._held.add(trial_id)
        self._warmups.pause(trial_id)

    def let_on(self, trial_id: str) -> None:
        """Note that a held trial waits to be executed again."""
        self._held.remove(trial_id)
        self._waiting.append(trial_id)

    def end(self, trial_id: str) -> OpenTrial:
        """Remove a trial, wherever it is, and return it."""
        if trial_id in self._waiting:  # it ended in an earlier session
            self._waiting.remove(trial_id)
        self._held.discard(trial_id)
        self._warmups.end(trial_id)
        return self._trials.pop(trial_id)
