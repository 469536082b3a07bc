"""The replicates that may start: those of the search (``replicate:``), those of the finalists."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

from sweep.analysis.confirm.search_replicates import SearchReplicates
from sweep.analysis.ranking.finalists import missing_replicates
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.vocabulary.record import Replicate, TrialRecord


class SearchReplicateQueue:
    """Hand out what `SearchReplicates` says is due, each run once: beside trials or after them.

    The state is a function of the calls: repeating them restores it.

    Args:
        spec: the effective spec.
    """

    def __init__(self, spec: SweepSpec) -> None:
        self._runs = SearchReplicates(spec)
        self._running: set[Replicate] = set()

    @property
    def next(self) -> tuple[Replicate, TrialRecord] | None:
        """The first replicate that is due and does not run, with its trial; None without any."""
        return next((due for due in self._runs.due if due[0] not in self._running), None)

    def started(self, replicate: Replicate) -> None:
        """Note that a replicate of the search has a folder."""
        self._running.add(replicate)

    def ended(self, record: TrialRecord) -> None:
        """Note the end of a trial of the search, or of one of its replicates."""
        self._runs.add(record)
        if record.replicate is not None:
            self._running.discard(record.replicate)

    def replicated(self, trial_id: str) -> tuple[tuple[float, ...], int]:
        """Scores of the replicates of a trial (see `TrialRecord.replicated`), and how many of them
        diverged."""
        return self._runs.replicated(trial_id)


class ReplicateQueue:
    """Replicates of the finalists, each with its trial. Ask only when the search is over.

    It is empty for now where a race waits for the end of a block.

    Args:
        spec: the effective spec.
        records: reads all trials of the sweep, with the histories of those that have ended.
    """

    def __init__(self, spec: SweepSpec, records: Callable[[], Iterable[TrialRecord]]) -> None:
        self._spec = spec
        self._records = records
        self._running = 0
        self._found: deque[tuple[Replicate, TrialRecord]] | None = None  # not read yet

    def __bool__(self) -> bool:
        return bool(self._read())

    def pop(self) -> tuple[Replicate, TrialRecord]:
        """The next one."""
        return self._read().popleft()

    def started(self) -> None:
        """Note that a replicate has a folder."""
        self._running += 1

    def ended(self) -> None:
        """Note that a replicate has ended. With the last of its block the next one may begin.

        Not before: who is left is then read from all trials, which may be thousands.
        """
        self._running -= 1
        if not self._running and not self._found:
            self.forget()

    def forget(self) -> None:
        """Read anew which are missing when somebody next asks."""
        self._found = None

    def _read(self) -> deque[tuple[Replicate, TrialRecord]]:
        if self._found is None:
            self._found = deque(missing_replicates(self._spec, self._records()))
        return self._found
