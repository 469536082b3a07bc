"""The earlier trials that a sweep learns from: ``warm_start.jsonl``.

It is a copy, so that a resumed sweep is the same even if the earlier results have changed or are
gone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from sweep.store.files import atomic_write_text, read_jsonl, to_json
from sweep.store.layout import trial_number
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.objective import DICE, VAL_DICE, Objective
from sweep.vocabulary.parameter_values import as_parameter
from sweep.vocabulary.record import Outcome, Status, TrialRecord
from sweep.vocabulary.strict_json import finite_or_none


def write_earlier(path: Path, trials: Iterable[TrialRecord], objective: Objective) -> None:
    """Write the parameters, status and curves of ended trials, for the searcher."""
    lines = (to_json(finite_or_none(_line(trial, objective))) for trial in trials)
    atomic_write_text(path, "".join(f"{line}\n" for line in lines))


def read_earlier(path: Path, objective: Objective) -> list[TrialRecord]:
    """Inverse of `write_earlier`.

    Raises:
        ResultsError: the file is missing or broken.
    """
    return list(read_jsonl(path, lambda line: _trial(line, objective)))


def _line(trial: TrialRecord, objective: Objective) -> dict[str, Any]:
    line: dict[str, Any] = {
        "trial_id": trial.trial_id,
        "parameters": trial.parameters,
        "status": trial.status,
        "val_dice": [DICE.value(epoch) for epoch in trial.history],
    }
    judged = [one for one in objective.each if one.metric != VAL_DICE and not one.is_cost]
    if judged:
        line["metrics"] = {
            one.metric: [one.value(epoch) for epoch in trial.history] for one in judged
        }
    if objective.has_cost:
        line["seconds"] = [epoch.seconds for epoch in trial.history]
    return line


def _trial(line: Mapping[str, Any], objective: Objective) -> TrialRecord:
    curves, seconds = line.get("metrics", {}), line.get("seconds")
    return TrialRecord(
        trial_id=line["trial_id"],
        number=trial_number(line["trial_id"]),
        parameters={name: as_parameter(value) for name, value in line["parameters"].items()},
        history=tuple(
            EpochMetrics(
                epoch=n,
                val_dice=dice,
                metrics={name: curve[n] for name, curve in curves.items()},
                seconds=0.0 if seconds is None else seconds[n],
            )
            for n, dice in enumerate(line["val_dice"])
        ),
        outcome=Outcome(status=Status(line["status"])),
        objective=objective,
    )
