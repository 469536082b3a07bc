"""The columns of a ranking, one after the other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sweep.analysis.confirm.confirmation import Confirmation
from sweep.analysis.confirm.test_scores import HeldOut
from sweep.analysis.ranking.since_switch_on import value_since_switch_on
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.spec.settings.objective_settings import is_other_column
from sweep.spec.settings.trainer_settings import traits_of
from sweep.spec.space.presets import BASELINE
from sweep.vocabulary.objective import DICE, Objective
from sweep.vocabulary.record import ParameterValue, Status, TrialRecord, objective_of
from sweep.vocabulary.strict_json import finite_or_none

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

HEADINGS = {
    "rank": "#",
    "trial_id": "trial",
    "best_epoch": "best at",
    "hd95": "HD95",
    "delta_baseline": "Δ baseline",
    "p_best": "P(best)",
    "test_dice": "test Dice",
}
"""What people read over columns, on the screen and in the report; others have their own name."""

CONFIRMED = "confirmed"
"""Column that divides a ranking, where leaders were trained again: those first, by the mean of
their replicates, then the others by the Dice of their single run. The two are not compared."""


def columns_of(objective: Objective) -> dict[str, str]:
    """`COLUMNS`; where trials are judged by another metric than Dice, with its own before Dice."""
    return {
        column: kind for name, kind in COLUMNS.items() for column in (_like(name, objective), name)
    }


def _like(name: str, objective: Objective) -> str:
    """The column of the objective that says of it what this one says of Dice."""
    return {
        "val_dice": objective.metric,
        "val_dice_before_end": f"{objective.metric}_before_end",
        "last_dice": f"last_{objective.stem}",
    }.get(name, name)


def cells(record: TrialRecord) -> dict[str, object]:
    """The cells of one row by the names of `columns_of`, without its rank."""
    best, objective, has_result = record.best, record.objective, record.status.has_result
    found: dict[str, object] = {
        "trial_id": record.trial_id,
        "status": str(record.status),
        "best_epoch": best.epoch if best and has_result else None,
        "epochs": len(record.history),
        "seconds": record.seconds,
        "cause": record.outcome.cause if record.outcome else "",
    }
    last = record.history[-1] if record.history and has_result else None
    for judged in (DICE, objective):  # of Dice as the contract names it, whatever is judged by
        value = judged.value(best) if best else None
        found |= {
            _like("val_dice", judged): value if has_result else None,
            _like("val_dice_before_end", judged): None if has_result else value,
            _like("last_dice", judged): judged.value(last) if last else None,
        }
    return found


def _value(record: TrialRecord) -> float | None:
    """The objective of its best epoch, where it may be compared."""
    return record.value if record.status.has_result else None


def deltas(
    ranked: Sequence[TrialRecord], spec: SweepSpec | None = None
) -> dict[str, list[float | None]]:
    """``delta_PRESET`` → each trial's value of the objective minus that preset's.

    A pruned trial is compared with what the preset had reached after as many epochs.
    With a ``spec``: what it reached since its geometric loss switched on, if it has one.
    """
    values = [_value(record) for record in ranked]
    since = [
        v if v is None or spec is None else value_since_switch_on(spec, record)
        for record, v in zip(ranked, values, strict=True)
    ]
    presets = {
        r.preset: r for r, v in zip(ranked, values, strict=True) if r.preset and v is not None
    }
    return {
        f"delta_{name}": [
            _difference(record, one, presets[name])
            for record, one in zip(ranked, since, strict=True)
        ]
        for name in sorted(presets, key=lambda name: (name != BASELINE, name))
    }


def _difference(record: TrialRecord, value: float | None, preset: TrialRecord) -> float | None:
    pruned = record.status is Status.PRUNED
    until = preset.history[: len(record.history)] if pruned else preset.history
    best = preset.objective.best(until)
    reference = preset.objective.value(best) if best else None
    return None if value is None or reference is None else value - reference


def metrics(ranked: Sequence[TrialRecord]) -> dict[str, list[float | None]]:
    """Metric → its value at each trial's best epoch; those of the validation beside Dice.

    One that is named like another column of a ranking stands as ``metrics/NAME``.
    """
    at_best = [
        record.best.metrics if record.best and record.status.has_result else {} for record in ranked
    ]
    names = dict.fromkeys(name for measured in at_best for name in measured)
    objective = objective_of(ranked)
    return {
        metric_column(name, objective): [finite_or_none(measured.get(name)) for measured in at_best]
        for name in names
    }


def own_metrics(spec: Mapping[str, Any], records: Iterable[TrialRecord]) -> list[str]:
    """Columns of the metrics that a trainer of the user's own returned; none of the others, which
    measure the same in every sweep.

    Args:
        spec: the values of the effective spec.
    """
    trainer = spec.get("trainer")
    if not isinstance(trainer, Mapping) or not traits_of(trainer.get("kind")).is_own_loop:
        return []
    return list(metrics(list(records)))


def metric_column(name: str, objective: Objective) -> str:
    """The column of a further metric of the validation."""
    is_setting = "." in name and name.partition(".")[0] in SweepSpec.model_fields
    is_other = name != objective.metric and is_other_column(name, objective)
    return f"metrics/{name}" if is_setting or name in COLUMNS or is_other else name


def confirmed_names(objective: Objective) -> tuple[str, str, str]:
    """Columns of the mean over replicates and of its interval: ``mean_dice``, ``mean_hd95``."""
    name = objective.stem
    return f"mean_{name}", f"{name}_low", f"{name}_high"


def confirmed_columns(ranked: Sequence[TrialRecord], confirmed: Confirmation) -> dict[str, Any]:
    """The columns that only finalists fill, after the one that says who is one.

    ``mean_dice``, of another objective ``mean_NAME``.
    """
    import pandas as pd

    found = [confirmed.of(record.trial_id) for record in ranked]
    objective = objective_of(ranked)
    turned = objective.turned
    mean, low, high = confirmed_names(objective)
    ends = [objective.interval(one.low, one.high) if one else (None, None) for one in found]
    numbers = {
        mean: [None if one is None or not one.scores else turned(one.mean) for one in found],
        low: [finite_or_none(end) for end, _ in ends],
        high: [finite_or_none(end) for _, end in ends],
        "p_best": [one.p_best if one else None for one in found],
    }
    counts = {
        "replicates": [len(one.scores) if one else None for one in found],
        "replicates_diverged": [one.diverged if one else None for one in found],
    }
    return {
        CONFIRMED: pd.array([one is not None for one in found], dtype="boolean"),
        **{name: pd.array(cells, dtype="Float64") for name, cells in numbers.items()},
        "group": pd.array([one.group if one else None for one in found], dtype="string"),
        **{name: pd.array(cells, dtype="Int64") for name, cells in counts.items()},
    }


def rows_of(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a ranking as plain values; what is empty is None."""
    plain = frame.astype(object)
    return [
        {str(name): value for name, value in row.items()}
        for row in plain.where(frame.notna(), None).to_dict("records")
    ]


def divider(frame: pd.DataFrame) -> int | None:
    """Number of rows of a ranking that were confirmed, where they come first and others follow.

    None where there is nothing to divide, or where the rows are in another order.
    """
    ranked = CONFIRMED in frame and "sweep" not in frame and "rank" in frame
    if not ranked or not frame["rank"].is_monotonic_increasing:
        return None
    flags = [bool(flag) for flag in frame[CONFIRMED].fillna(False)]
    first = sum(flags)
    return first if 0 < first < len(flags) and all(flags[:first]) else None


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
