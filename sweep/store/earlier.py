"""What a sweep was told of earlier sweeps when it began: ``warm_start.jsonl``.

A copy, so that the sweep goes on the same though the earlier results have changed or gone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from sweep.record import EpochMetrics, Outcome, Status, TrialRecord
from sweep.store.files import atomic_write_text, read_jsonl, to_json
from sweep.store.layout import trial_number
from sweep.strict_json import finite_or_none


def write_earlier(path: Path, trials: Iterable[TrialRecord]) -> None:
    """Write what a searcher learns from ended trials: parameters, status, validation Dice."""
    atomic_write_text(path, "".join(f"{to_json(finite_or_none(_line(t)))}\n" for t in trials))


def read_earlier(path: Path) -> list[TrialRecord]:
    """Inverse of `write_earlier`.

    Raises:
        ResultsError: the file is missing or broken.
    """
    return list(read_jsonl(path, _trial))


def _line(trial: TrialRecord) -> dict[str, Any]:
    return {
        "trial_id": trial.trial_id,
        "parameters": trial.parameters,
        "status": trial.status,
        "val_dice": [epoch.val_dice for epoch in trial.history],
    }


def _trial(line: Mapping[str, Any]) -> TrialRecord:
    return TrialRecord(
        trial_id=line["trial_id"],
        number=trial_number(line["trial_id"]),
        parameters=dict(line["parameters"]),
        history=tuple(EpochMetrics(epoch=i, val_dice=v) for i, v in enumerate(line["val_dice"])),
        outcome=Outcome(status=Status(line["status"])),
    )
