"""The replicates of the leaders that have not been started."""

from __future__ import annotations

from collections import deque

from sweep.analysis.ranking.finalists import missing_replicates
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.store.store import Store
from sweep.vocabulary.record import Replicate, TrialRecord


class Replicates:
    """A queue that is filled from the records when the search has ended.

    Args:
        spec: the effective spec, with ``confirm``.
        store: has the trials, and the replicates that earlier sessions started.
    """

    def __init__(self, spec: SweepSpec, store: Store) -> None:
        self._spec = spec
        self._store = store
        self._queue: deque[tuple[Replicate, TrialRecord]] | None = None

    def left(self, *, search_is_over: bool) -> bool:
        """Whether any are left to start, now or when the search has ended."""
        if self._spec.confirm is None:
            return False
        return not search_is_over or bool(self._filled())

    def take(self) -> tuple[Replicate, TrialRecord]:
        """The next replicate and the trial that it repeats; raises IndexError if none is left."""
        return self._filled().popleft()

    def _filled(self) -> deque[tuple[Replicate, TrialRecord]]:
        if self._queue is None:  # read anew: nobody keeps the histories of what has ended
            self._queue = deque(missing_replicates(self._spec, self._store.records()))
        return self._queue
