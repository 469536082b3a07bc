"""The replicates of the search that may start (``replicate:``), beside its trials or after them."""

from __future__ import annotations

from sweep.analysis.confirm.search_replicates import SearchReplicates
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.vocabulary.record import Replicate, TrialRecord


class SearchReplicateQueue:
    """Hand out what `SearchReplicates` says is due, each run once.

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
