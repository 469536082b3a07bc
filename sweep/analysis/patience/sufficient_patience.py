"""What would have been enough for each trial, as columns of a ranking and as a sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sweep.analysis.patience.patience_replay import enough
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.vocabulary.objective import Objective
from sweep.vocabulary.record import ParameterValue, TrialRecord

EPOCHS = "epochs_at_enough"
PREFIX = "enough_"


def enough_columns(
    records: Sequence[TrialRecord], spec: SweepSpec | None
) -> dict[str, list[ParameterValue]]:
    """Columns, a value a record: ``enough_patience`` (likewise for whatever else is replayed), and
    what the trial would have come to with it: ``val_dice_at_enough`` (likewise of another
    objective), ``epochs_at_enough``.

    All are None where the record cannot tell. A patience that is None beside a number of epochs
    is none at all. No columns where nothing is replayed.
    """
    if spec is None or not spec.replayed:
        return {}
    found = [enough(spec, record) for record in records]
    settings: dict[str, list[ParameterValue]] = {
        PREFIX + key.rpartition(".")[2]: [one.setting[key] if one else None for one in found]
        for key in spec.replayed
    }
    return settings | {
        value_column(spec.judged_by): [one.replay.value if one else None for one in found],
        EPOCHS: [one.replay.epochs if one else None for one in found],
    }


def value_column(objective: Objective) -> str:
    """What the trial would have come to."""
    return f"{objective.metric}_at_enough"


def enough_words(row: Mapping[str, Any], objective: Objective) -> list[str]:
    """The sentence of a row in which None stands for what is empty; none where it cannot tell."""
    if row.get(EPOCHS) is None:
        return []
    setting = ", ".join(
        f"{name.removeprefix(PREFIX)} {'null' if value is None else value}"
        for name, value in row.items()
        if name.startswith(PREFIX)
    )
    return [
        f"in this one run early_stopping.{setting} would have reached {objective.label} "
        f"{row[value_column(objective)]} after {row[EPOCHS]} of {row['epochs']} epochs "
        f"({objective.tolerance_words})"
    ]
