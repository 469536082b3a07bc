"""Why trials diverged, each likely cause once."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from sweep.vocabulary.record import TrialRecord


@dataclass(frozen=True, slots=True)
class Explained:
    """Diverged trials that share a likely cause and its cure, a sentence each. The cure has further
    sentences if all of them have these, as of a trial on the step that broke.
    """

    likely_cause: str
    advice: str
    records: tuple[TrialRecord, ...]


def explained(records: Iterable[TrialRecord]) -> list[Explained]:
    """One entry for each likely cause among the diverged trials with a diagnosis."""
    groups: dict[tuple[str, str], list[tuple[TrialRecord, list[str]]]] = {}
    for record in records:
        verdict = record.outcome.divergence if record.outcome else None
        if verdict is not None and verdict.diagnosis is not None:
            cause = verdict.diagnosis.likely_cause
            cure = re.split(r"(?<=\.) ", verdict.diagnosis.advice)
            groups.setdefault((cause, cure[0]), []).append((record, cure))
    found = []
    for (cause, _), group in groups.items():
        records, cures = zip(*group, strict=True)
        shared = [one for one in cures[0] if all(one in cure for cure in cures)]
        found.append(Explained(cause, " ".join(shared), records))
    return found
