"""The patience that would have been enough for each trial: columns of a ranking, a sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sweep.analysis.patience.patience_replay import enough_of_each
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.vocabulary.objective import Objective
from sweep.vocabulary.record import ParameterValue, TrialRecord

EPOCHS = "epochs_at_enough"
PREFIX = "enough_"


def enough_columns(
    records: Sequence[TrialRecord], spec: SweepSpec | None
) -> dict[str, list[ParameterValue]]:
    """Columns with one value per record; none where nothing is replayed.

    ``enough_patience``, and likewise for any other replayed setting. What the trial would have
    reached with it: ``val_dice_at_enough``, or likewise of another objective, and
    ``epochs_at_enough``. All are None where the record cannot answer. A patience of None beside a
    number of epochs means no early stopping.
    """
    replayed = {} if spec is None else spec.replayed
    if spec is None or not replayed:
        return {}
    found = enough_of_each(spec, records)
    settings: dict[str, list[ParameterValue]] = {
        PREFIX + key.rpartition(".")[2]: [one[0][key] if one else None for one in found]
        for key in replayed
    }
    return settings | {
        _value_column(spec.judged_by): [one[1].value if one else None for one in found],
        EPOCHS: [one[1].epochs if one else None for one in found],
    }


def enough_words(row: Mapping[str, Any], objective: Objective) -> list[str]:
    """A sentence on one row of a ranking, empty cells being None; no sentence without an answer."""
    if row.get(EPOCHS) is None:
        return []
    setting = ", ".join(
        f"{name.removeprefix(PREFIX)} {'null' if value is None else value}"
        for name, value in row.items()
        if name.startswith(PREFIX)
    )
    return [
        f"in this one run early_stopping.{setting} would have reached {objective.label} "
        f"{row[_value_column(objective)]} after {row[EPOCHS]} of {row['epochs']} epochs "
        f"({objective.tolerance_words})"
    ]


def _value_column(objective: Objective) -> str:
    return f"{objective.metric}_at_enough"
