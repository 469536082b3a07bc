"""Why trials diverged, each likely cause once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sweep.vocabulary.record import TrialRecord


@dataclass(frozen=True, slots=True)
class Explained:
    """Diverged trials that share a likely cause and its cure, in one sentence each."""

    likely_cause: str
    advice: str
    records: tuple[TrialRecord, ...]


def explained(records: Iterable[TrialRecord]) -> list[Explained]:
    """One entry for each likely cause among the diverged trials with a diagnosis."""
    groups: dict[tuple[str, str], list[TrialRecord]] = {}
    for record in records:
        verdict = record.outcome.divergence if record.outcome else None
        if verdict is not None and verdict.diagnosis is not None:
            diagnosis = verdict.diagnosis
            groups.setdefault((diagnosis.likely_cause, diagnosis.advice), []).append(record)
    return [Explained(cause, advice, tuple(group)) for (cause, advice), group in groups.items()]
