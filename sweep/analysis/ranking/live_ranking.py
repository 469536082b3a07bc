"""The ranking of a sweep while it runs, kept in order as its trials end."""

from __future__ import annotations

import time
from bisect import insort
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from sweep.analysis.ranking.ranking_frame import place, ranking_frame, write_csv
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.record import Observer, ParameterValue, TrialRecord

LEAST_SECONDS = 3.0
"""Least time between two writes; more where a write takes longer than a twentieth of it."""

_NOTHING: Mapping[str, float | None] = MappingProxyType({})


class LiveRanking:
    """The trials that have ended, in the order of `ranking_frame`.

    A trial that ends is inserted at its place: the others are not sorted again.
    """

    def __init__(self) -> None:
        self._ranked: list[TrialRecord] = []

    def add(self, record: TrialRecord) -> None:
        """Add a trial that has ended; each trial once."""
        insort(self._ranked, _light(record), key=place)

    @property
    def ranked(self) -> Sequence[TrialRecord]:
        """Best first; beside its best epoch a trial keeps only the Dice and the objective."""
        return self._ranked

    @property
    def leader(self) -> TrialRecord | None:
        """The best trial with a result, None where there is none."""
        first = self._ranked[0] if self._ranked else None
        return first if first and first.status.has_result and first.best else None


class RankingFile(Observer):
    """An observer that keeps ``ranking.csv`` up to date while the sweep runs.

    It writes every few seconds at most, and only after a trial has ended. It writes the same as
    `sweep.analysis.ranking.ranking_frame.write_ranking`, which writes the file when the sweep ends.

    Args:
        path: of the file.
        spec: of the sweep.
        clock: seconds; monotonic.
    """

    def __init__(
        self, path: Path, spec: SweepSpec, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._path = path
        self._spec = spec
        self._clock = clock
        self._ranking = LiveRanking()
        self._replicates: list[TrialRecord] = []
        self._is_behind = False
        self._due = clock() + LEAST_SECONDS  # so a resumed session writes its old trials once

    def trial_started(self, trial_id: str, parameters: Mapping[str, ParameterValue]) -> None:
        self._write_when_due()

    def epoch_reported(self, trial_id: str, metrics: EpochMetrics) -> None:
        self._write_when_due()

    def trial_ended(self, record: TrialRecord) -> None:
        if record.replicate is None:
            self._ranking.add(record)
        else:
            self._replicates.append(record)
        self._is_behind = True
        self._write_when_due()

    def _write_when_due(self) -> None:
        """Raises `SweepFailed` where it cannot."""
        started = self._clock()
        if not self._is_behind or started < self._due:
            return
        records = [*self._ranking.ranked, *self._replicates]
        frame = ranking_frame(records, list(self._spec.space), self._spec)
        write_csv(self._path, frame)
        self._is_behind = False
        now = self._clock()
        self._due = now + max(LEAST_SECONDS, 19 * (now - started))


def _light(record: TrialRecord) -> TrialRecord:
    """What a ranking shows of a trial: the full histories of a thousand trials need much memory.

    An epoch with all that it measured takes 1.5 kB, without it a quarter of that.
    """
    best, outcome, name = record.best, record.outcome, record.objective.metric

    def light(epoch: EpochMetrics) -> EpochMetrics:
        judged = {name: epoch.metrics[name]} if name in epoch.metrics else _NOTHING
        return replace(epoch, terms=_NOTHING, metrics=judged, warnings=())

    return replace(
        record,
        history=tuple(epoch if epoch is best else light(epoch) for epoch in record.history),
        outcome=outcome and replace(outcome, divergence=None, error=None),
    )
