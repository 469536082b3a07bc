"""Which worker trains which trial. What a worker trains at once is a *pack*, often of one trial.

Nothing here is recorded: the records are the same wherever a trial was trained.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sweep.engine.decisions.faults import (
    RETRIES,
    is_out_of_memory,
    node_was_lost,
    outcome_of,
    was_preempted,
)
from sweep.engine.decisions.sweep_controller import SweepController
from sweep.engine.packs.pack_sizes import PackSizes
from sweep.search.schedulers.decision import Decision
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.record import Outcome

STEPS_WITHOUT_TRIALS = 150
"""Steps, of a fifth of a second, after which a pack ends that has had no trial. A new process
would take seconds to start, should a trial that waits at a rung go on."""


@dataclass(slots=True)
class _Pack:
    """A worker's process.

    Args:
        trials: folders of the trials that it trains, by id, or will train once it has started.
        started: whether the process has started.
        used: whether it has trained a trial that has left it.
        unheard: trials that came after such a one, and have reported nothing yet.
        alone: whether its one trial is suspected of having killed a process.
        spoilt: whether it must take no further trial.
        card: name of its GPU; None if it has none, or has not reported yet.
        idle: steps without a trial in a row.
    """

    trials: dict[str, Path] = field(default_factory=dict)
    started: bool = False
    used: bool = False
    unheard: set[str] = field(default_factory=set)
    alone: bool = False
    spoilt: bool = False
    card: str | None = None
    idle: int = 0


class TrialPlacement:
    """Distribute the controller's trials over packs, and find out which trial killed a process.

    A process takes seconds to start, and on a full cluster hours. Its trials do not wait for it: a
    process that has nothing to train meanwhile takes one of them.

    A process that dies does not say which of its trials is to blame. So each of them goes on alone
    in a process until it has trained an epoch. For those that do, the dead process does not count.
    One that kills its process alone, too, has `RETRIES` as any other trial. The same holds for a
    trial that runs out of memory beside others: it fails only if it does so alone, too. And for one
    whose process dies before it has reported anything: it may have died of the trial before it.

    Args:
        controller: has the trials.
        sizes: how many trials a pack may have.
        most: largest number of trials that run at once; None: no limit.
    """

    def __init__(self, controller: SweepController, sizes: PackSizes, most: int | None) -> None:
        self._controller = controller
        self._sizes = sizes
        self._most = most
        self._packs: dict[str, _Pack] = {}
        self._suspects: deque[Path] = deque()
        self._deaths: defaultdict[str, list[str]] = defaultdict(list)  # notes on each process
        self._unproven: set[str] = set()  # trials whose last process died beside others
        self._epochs: Counter[str] = Counter()  # epochs that each trial has reported
        self._lost_a_node: set[str] = set()

    def __len__(self) -> int:
        """Number of packs."""
        return len(self._packs)

    def trials(self, pack: str) -> tuple[str, ...]:
        """Ids of the trials of a pack."""
        return tuple(self._packs[pack].trials)

    def open(self, name: str) -> bool:
        """Add a pack with its first trial, or without one for a trial that waits for a warm-up.

        False, and no pack, if there is nothing for it to train.
        """
        pack = _Pack()
        empty = sum(not other.trials for other in self._packs.values())
        is_wanted = self._add_to(pack) or (self._has_room and self._controller.waiting > empty)
        if is_wanted:
            self._packs[name] = pack
        return is_wanted

    def start(self, name: str) -> list[Path]:
        """The process of a pack has started. Returns the folders of its trials."""
        pack = self._packs[name]
        pack.started = True
        return [*pack.trials.values()]

    def fill(self, *, beside_others: bool = True) -> list[tuple[str, Path]]:
        """Give trials to packs with room, to the smallest first, of these to one that has started.

        While trials wait to be alone, the smallest pack takes no more: it is theirs once it is
        empty.

        Args:
            beside_others: also to packs that have trials.
        Returns:
            each pack that got a trial, and the trial's folder.
        """
        added: list[tuple[str, Path]] = []
        while True:
            emptied = self._emptied
            open_packs = {
                name: (len(pack.trials), not pack.started)
                for name, pack in self._packs.items()
                if self._takes_more(pack) and name != emptied
            }
            smallest = min(open_packs, key=open_packs.__getitem__, default=None)
            if smallest is None or (open_packs[smallest][0] and not beside_others):
                return added
            if not self._add_to(self._packs[smallest]):
                return added
            added.append((smallest, [*self._packs[smallest].trials.values()][-1]))

    def report(
        self, name: str, messages: Iterable[tuple[str, Sequence[EpochMetrics] | Outcome]]
    ) -> list[str]:
        """Pass on to the controller what the trials of a pack report.

        Returns:
            the trials that the pack's process must drop.
        """
        pack = self._packs[name]
        count, left = len(pack.trials), list[str]()
        for trial_id, message in messages:
            if trial_id not in pack.trials:
                continue
            pack.unheard.discard(trial_id)
            if isinstance(message, Outcome):
                folder = pack.trials.pop(trial_id)
                if count > 1 and is_out_of_memory(message):
                    self._sizes.too_many(pack.card, len(pack.trials) + 1)
                    self._suspects.append(folder)
                else:
                    self._controller.end(trial_id, message)
            elif not self._goes_on(pack, trial_id, message):
                del pack.trials[trial_id]
                left.append(trial_id)
        pack.alone = pack.alone and bool(pack.trials)
        pack.used = pack.used or len(pack.trials) < count
        return left

    def is_new(self, trial_id: str, metrics: EpochMetrics) -> bool:
        """Whether a trial has just trained an epoch that it reports.

        Others are of its shared warm-up, or from before it changed its process.
        """
        return metrics.epoch >= self._epochs[trial_id] and not metrics.shared

    def note(self, name: str, *, card: str | None, spoilt: bool, refused: Iterable[str]) -> None:
        """Note what a pack's process is, and which trials it did not take."""
        pack = self._packs[name]
        pack.card, pack.spoilt = card, pack.spoilt or spoilt
        for trial_id in refused:
            pack.unheard.discard(trial_id)
            if pack.trials.pop(trial_id, None) is not None:
                self._controller.hand_back(trial_id)

    def is_over(self, name: str) -> bool:
        """Whether a pack has no trial and expects none soon; called after each of its steps."""
        pack = self._packs[name]
        pack.idle = 0 if pack.trials else pack.idle + 1
        if pack.trials or pack.spoilt or self._controller.finished:
            return not pack.trials
        expects = bool(self._suspects) or self._controller.waiting > 0
        return not expects and pack.idle > STEPS_WITHOUT_TRIALS

    def close(self, name: str) -> None:
        """Forget a pack without trials."""
        del self._packs[name]

    def lost(self, name: str, failures: list[str], by: str | None = None) -> None:
        """The process of a pack has ended. Its trials go on elsewhere, or one of them has failed.

        Args:
            failures: notes on it, see `sweep.engine.decisions.faults.read_failures`.
            by: the trial that is to blame, if that is known.
        Raises:
            SweepFailed: results cannot be written.
        """
        pack = self._packs.pop(name)
        trials = pack.trials
        by = next(iter(trials)) if len(trials) == 1 and not pack.unheard else by
        for trial_id, folder in trials.items():
            if was_preempted(failures) or (by in trials and trial_id != by):
                self._controller.hand_back(trial_id)
            elif trial_id != by and node_was_lost(failures) and trial_id not in self._lost_a_node:
                self._lost_a_node.add(trial_id)  # a second time may be its fault
                self._controller.hand_back(trial_id)
            else:
                self._suspect(folder, failures, is_proven=trial_id == by)

    def _suspect(self, folder: Path, failures: list[str], *, is_proven: bool) -> None:
        """Count a death of a trial's process, and let the trial go on alone."""
        trial_id = folder.name
        deaths = self._deaths[trial_id]
        deaths.append("\n\n".join(failures))
        if is_proven and len(deaths) > RETRIES:
            self._controller.end(trial_id, outcome_of([*filter(None, deaths)], len(deaths)))
            return
        if not is_proven:
            self._unproven.add(trial_id)
        self._suspects.append(folder)

    def _clear(self, trial_id: str) -> None:
        """A trial has trained an epoch alone: the process that died beside others is not its."""
        if trial_id in self._unproven:
            self._unproven.remove(trial_id)
            self._deaths[trial_id].pop()

    @property
    def _has_room(self) -> bool:
        running = sum(len(pack.trials) for pack in self._packs.values())
        return self._most is None or running < self._most

    def _takes_more(self, pack: _Pack) -> bool:
        is_open = not pack.alone and not pack.spoilt
        return is_open and len(pack.trials) < self._sizes.of(pack.card)

    @property
    def _emptied(self) -> str | None:
        """The pack that is to become empty for a trial that must be alone."""
        if not self._suspects or any(pack.alone for pack in self._packs.values()):
            return None
        sizes = {name: len(pack.trials) for name, pack in self._packs.items() if not pack.spoilt}
        smallest = min(sizes, key=sizes.__getitem__, default=None)
        return smallest if smallest is not None and sizes[smallest] else None

    def _add_to(self, pack: _Pack) -> bool:
        """Give a pack a trial; False if there is none."""
        if pack.started and not pack.trials and (other := self._not_started) is not None:
            folder = other.trials.pop(next(iter(other.trials)))
            pack.alone, other.alone = other.alone, False
        elif not self._has_room:
            return False
        elif self._suspects and not pack.trials:
            pack.alone, folder = True, self._suspects.popleft()
        elif (found := self._controller.next_trial()) is not None:
            folder = found
        else:
            return False
        pack.trials[folder.name] = folder
        if pack.used and not pack.alone:
            pack.unheard.add(folder.name)
        return True

    @property
    def _not_started(self) -> _Pack | None:
        """A pack with trials whose process has not started."""
        packs = self._packs.values()
        return next((pack for pack in packs if pack.trials and not pack.started), None)

    def _goes_on(self, pack: _Pack, trial_id: str, epochs: Sequence[EpochMetrics]) -> bool:
        """Pass on epochs of a trial. Whether it stays in its pack."""
        for metrics in epochs:
            proves = pack.alone and self.is_new(trial_id, metrics)
            self._epochs[trial_id] = max(self._epochs[trial_id], metrics.epoch + 1)
            if proves:
                self._clear(trial_id)
                pack.alone = False
            if self._controller.report(trial_id, metrics) is not Decision.CONTINUE:
                return False
            if proves and self._suspects:  # the next one is alone now
                self._controller.hand_back(trial_id)
                return False
        return True
