"""The replicates of the finalists that may start, in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

from sweep.analysis.ranking.finalists import missing_replicates
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.vocabulary.record import Replicate, TrialRecord


class ReplicateQueue:
    """Replicates to start, each with the trial that it repeats. Ask only when the search is over.

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
