"""The columns of a ranking, one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sweep.analysis.confirmation import Confirmation
from sweep.analysis.credit import credited_dice
from sweep.analysis.held_out import HeldOut
from sweep.record import ParameterValue, Status, TrialRecord
from sweep.spec.presets import BASELINE
from sweep.spec.sweep import SweepSpec
from sweep.strict_json import finite_or_none

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = {
    "rank": "Int64",
    "trial_id": "string",
    "status": "string",
    "val_dice": "Float64",
    "best_epoch": "Int64",
    "epochs": "Int64",
    "seconds": "Float64",
    "cause": "string",
    "val_dice_before_end": "Float64",
    "last_dice": "Float64",
}
"""Columns of every ranking with their pandas types; what only some have follows."""


def cells(record: TrialRecord) -> tuple[object, ...]:
    """The cells of one row from ``trial_id`` on, in the order of `COLUMNS`."""
    best = record.best
    dice = best.val_dice if best else None
    has_result = record.status.has_result
    return (
        record.trial_id,
        str(record.status),
        dice if has_result else None,
        best.epoch if best and has_result else None,
        len(record.history),
        record.seconds,
        record.outcome.cause if record.outcome else "",
        None if has_result else dice,
        finite_or_none(record.history[-1].val_dice) if record.history and has_result else None,
    )


def _dice(record: TrialRecord) -> float | None:
    """Best validation Dice, where it may be compared."""
    return record.best.val_dice if record.best and record.status.has_result else None


def deltas(
    ranked: Sequence[TrialRecord], spec: SweepSpec | None = None
) -> dict[str, list[float | None]]:
    """``delta_PRESET`` → how far each trial's Dice lies above that preset's.

    With a ``spec``: what it reached since its geometric loss switched on, if it has one.
    """
    dice = [_dice(record) for record in ranked]
    credited = [
        d if d is None or spec is None else credited_dice(spec, record)
        for record, d in zip(ranked, dice, strict=True)
    ]
    presets = {r.preset: d for r, d in zip(ranked, dice, strict=True) if r.preset and d is not None}
    return {
        f"delta_{name}": [None if one is None else one - presets[name] for one in credited]
        for name in sorted(presets, key=lambda name: (name != BASELINE, name))
    }


def metrics(ranked: Sequence[TrialRecord]) -> dict[str, list[float | None]]:
    """Metric → its value at each trial's best epoch; those of the validation beside Dice."""
    at_best = [
        record.best.metrics if record.best and record.status.has_result else {} for record in ranked
    ]
    names = dict.fromkeys(name for measured in at_best for name in measured)
    return {name: [finite_or_none(measured.get(name)) for measured in at_best] for name in names}


def confirmed_columns(ranked: Sequence[TrialRecord], confirmed: Confirmation) -> dict[str, Any]:
    """The columns that only finalists fill."""
    import pandas as pd

    found = [confirmed.of(record.trial_id) for record in ranked]
    numbers = {
        "mean_dice": [one.mean if one else None for one in found],
        "dice_low": [finite_or_none(one.low) if one else None for one in found],
        "dice_high": [finite_or_none(one.high) if one else None for one in found],
        "p_best": [one.p_best if one else None for one in found],
    }
    counts = {
        "replicates": [len(one.scores) if one else None for one in found],
        "replicates_diverged": [one.count(Status.DIVERGED) if one else None for one in found],
    }
    return {
        **{name: pd.array(cells, dtype="Float64") for name, cells in numbers.items()},
        "group": pd.array([one.group if one else None for one in found], dtype="string"),
        **{name: pd.array(cells, dtype="Int64") for name, cells in counts.items()},
    }


def test_columns(ranked: Sequence[TrialRecord], tested: HeldOut) -> dict[str, Any]:
    """Means over the test cases; that they are there changes no rank."""
    import pandas as pd

    found = [tested.of(record.trial_id) for record in ranked]
    return {
        "test_dice": pd.array([one.mean if one else None for one in found], dtype="Float64"),
        "test_hd95": pd.array([one.mean_hd95 if one else None for one in found], dtype="Float64"),
    }


def parameter_column(values: Sequence[ParameterValue]) -> pd.Series[Any]:
    """A column of the narrowest type that holds every value as it is; None is empty."""
    import pandas as pd

    kinds = {type(value) for value in values if value is not None}
    if kinds == {bool}:
        return pd.Series(values, dtype="boolean")
    if kinds == {float}:
        return pd.Series(values, dtype="Float64")
    if kinds == {int} and all(abs(value) < 2**63 for value in values if isinstance(value, int)):
        return pd.Series(values, dtype="Int64")
    return pd.Series(values, dtype=object)
