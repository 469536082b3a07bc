"""Which replicates of the search's leaders are still to be started."""

from __future__ import annotations

from collections import deque

from sweep.analysis.ranking.finalists import missing_replicates
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.store.store import Store
from sweep.vocabulary.record import Replicate, TrialRecord


class Replicates:
    """A queue that is filled when the search has ended, from what is recorded then.

    Args:
        spec: what it asks to confirm.
        store: knows the trials, and which replicates an earlier session has started.
    """

    def __init__(self, spec: SweepSpec, store: Store) -> None:
        self._spec = spec
        self._store = store
        self._queue: deque[tuple[Replicate, TrialRecord]] | None = None

    def left(self, *, search_is_over: bool) -> bool:
        """Whether some are to be started, now or when the search has ended."""
        if self._spec.confirm is None:
            return False
        return not search_is_over or bool(self._filled())

    def take(self) -> tuple[Replicate, TrialRecord]:
        """The next one and the trial that it repeats; IndexError where none is left."""
        return self._filled().popleft()

    def _filled(self) -> deque[tuple[Replicate, TrialRecord]]:
        if self._queue is None:  # read anew: nobody keeps the histories of what has ended
            self._queue = deque(missing_replicates(self._spec, self._store.records()))
        return self._queue
