"""The columns of a ranking, and of the table of its replicates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from sweep.analysis.confirm.confirmation import Confirmation
from sweep.analysis.confirm.race_words import reason
from sweep.analysis.confirm.real_validations import real_dice
from sweep.analysis.confirm.test_scores import HeldOut
from sweep.analysis.ranked_table import Column, RankedTable, number_column, typed, typed_rows
from sweep.analysis.ranking.since_switch_on import value_since_switch_on
from sweep.analysis.shown_columns import (
    DROPPED,
    MEAN_OF,
    MEAN_OF_RUNS,
    REAL,
    RUNS,
    RUNS_DIVERGED,
    confirmed_names,
)
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.spec.settings.objective_settings import PARETO_RANK, is_other_column
from sweep.spec.settings.trainer_settings import traits_of
from sweep.spec.space.presets import BASELINE
from sweep.vocabulary.objective import DICE, VAL_DICE, Objective
from sweep.vocabulary.record import Status, TrialRecord, objective_of
from sweep.vocabulary.strict_json import finite_or_none

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
"""Columns of every ranking with their pandas types; columns that only some have follow them."""

CONFIRMED = "confirmed"
"""Column that divides a ranking where leaders were trained again: these come first, by the mean of
their replicates, then the others by the Dice of their single run. The two are not compared."""
BY_RUNS = (
    "By the number of runs with a result on different folds or seeds; of as many, first those of"
    " which no other run diverged; then by their mean. Means over different numbers of runs are not"
    " compared"
)


def columns_of(objective: Objective) -> dict[str, str]:
    """`COLUMNS`; of another objective than Dice, with its own columns before those of Dice."""
    return {
        column: kind for name, kind in COLUMNS.items() for column in (_like(name, objective), name)
    }


def _like(name: str, objective: Objective) -> str:
    """The column of an objective that corresponds to this column of Dice."""
    return {
        "val_dice": objective.metric,
        "val_dice_before_end": f"{objective.metric}_before_end",
        "last_dice": f"last_{objective.stem}",
    }.get(name, name)


def own_columns(records: Sequence[TrialRecord], objective: Objective) -> dict[str, list[Any]]:
    """The columns of `columns_of` without the rank, a cell for each trial.

    Args:
        objective: of their sweep.
    """
    has_result = [record.status.has_result for record in records]
    best = [record.best for record in records]
    found: dict[str, list[Any]] = {
        "trial_id": [record.trial_id for record in records],
        "status": [record.status.value for record in records],
        "best_epoch": [
            one.epoch if one and has else None for one, has in zip(best, has_result, strict=True)
        ],
        "epochs": [len(record.history) for record in records],
        "seconds": [record.seconds for record in records],
        "cause": [record.outcome.cause if record.outcome else "" for record in records],
    }
    # The columns of Dice are there whatever the objective is.
    for judged in (objective,) if objective.metric == VAL_DICE else (DICE, objective):
        values = [judged.value(one) if one else None for one in best]
        pairs = [*zip(values, has_result, strict=True)]
        found[_like("val_dice", judged)] = [v if has else None for v, has in pairs]
        found[_like("val_dice_before_end", judged)] = [None if has else v for v, has in pairs]
        curves = [
            one.values if judged is objective else judged.values(one.history) for one in records
        ]
        found[_like("last_dice", judged)] = [
            curve[-1] if curve and has else None
            for curve, has in zip(curves, has_result, strict=True)
        ]
    return found


def deltas(
    ranked: Sequence[TrialRecord], spec: SweepSpec | None = None
) -> dict[str, list[float | None]]:
    """``delta_PRESET`` → each trial's value of the objective minus that preset's.

    A pruned trial is compared with what the preset had reached after as many epochs. With a
    ``spec``, a trial with a geometric loss counts with what it reached since the switch-on.
    """
    values = [record.value if record.status.has_result else None for record in ranked]
    presets = {
        r.preset: r for r, v in zip(ranked, values, strict=True) if r.preset and v is not None
    }
    if not presets:
        return {}
    since = [
        v if v is None or spec is None else value_since_switch_on(spec, record)
        for record, v in zip(ranked, values, strict=True)
    ]
    found: dict[str, list[float | None]] = {}
    for name in sorted(presets, key=lambda name: (name != BASELINE, name)):
        preset = presets[name]
        most = len(preset.history)
        column = found[f"delta_{name}"] = []
        for record, value in zip(ranked, since, strict=True):
            is_pruned = record.status is Status.PRUNED
            reference = preset.reached(min(len(record.history), most) if is_pruned else most)
            column.append(None if value is None or reference is None else value - reference)
    return found


def metrics(ranked: Sequence[TrialRecord]) -> dict[str, list[float | None]]:
    """Column → value at each trial's best epoch, for the metrics of the validation besides Dice.

    A metric that is named like another column of a ranking has the column ``metrics/NAME``.
    """
    at_best = [
        record.best.metrics if record.best and record.status.has_result else {} for record in ranked
    ]
    names = dict.fromkeys(name for measured in at_best for name in measured)
    objective = objective_of(ranked)
    return {
        _metric_column(name, objective): [
            finite_or_none(measured.get(name)) for measured in at_best
        ]
        for name in names
    }


def own_metrics(spec: Mapping[str, Any], records: Iterable[TrialRecord]) -> list[str]:
    """Columns of the metrics that a trainer of the user returned; none for our own trainers, which
    measure the same in every sweep.

    Args:
        spec: the values of the effective spec.
    """
    trainer = spec.get("trainer")
    if not isinstance(trainer, Mapping) or not traits_of(trainer.get("kind")).is_own_loop:
        return []
    return list(metrics(list(records)))


def _metric_column(name: str, objective: Objective) -> str:
    is_setting = "." in name and name.partition(".")[0] in SweepSpec.model_fields
    is_other = name != objective.metric and is_other_column(name, objective)
    return f"metrics/{name}" if is_setting or name in COLUMNS or is_other else name


def confirmed_columns(ranked: Sequence[TrialRecord], confirmed: Confirmation) -> dict[str, Column]:
    """The column `CONFIRMED`, then those that only finalists fill.

    ``mean_dice``, or likewise of another objective.
    """
    by_id = {one.trial_id: one for one in confirmed.finalists}
    objective = objective_of(ranked)
    mean, low, high = confirmed_names(objective)
    rows: list[dict[str, object]] = []
    for record in ranked:
        one = by_id.get(record.trial_id)
        rows.append({CONFIRMED: one is not None})
        if one is not None:
            ends = map(finite_or_none, objective.interval(one.low, one.high))
            rows[-1] |= zip((low, high), ends, strict=True)
            rows[-1] |= {
                mean: objective.turned(one.mean) if one.scores else None,
                "p_best": one.p_best,
                "group": one.group,
                "replicates": len(one.scores),
                "replicates_diverged": one.diverged,
            }
    kinds = {CONFIRMED: "boolean", **dict.fromkeys((mean, low, high, "p_best"), "Float64")}
    kinds |= {"group": "string", "replicates": "Int64", "replicates_diverged": "Int64"}
    if confirmed.race is not None:
        kinds |= {DROPPED: "string"}
        for record, row in zip(ranked, rows, strict=True):
            row[DROPPED] = reason(confirmed.race, record.trial_id) or None
    if confirmed.objective.dice != "validation":  # another Dice than the column may seem to say
        kinds |= {MEAN_OF: "string"}
        for row in rows:
            row[MEAN_OF] = confirmed.objective.label if row[CONFIRMED] else None
    return typed_rows(rows, kinds)


def run_columns(ranked: Sequence[TrialRecord], spec: SweepSpec | None) -> dict[str, Column]:
    """The columns `RUNS` to `MEAN_OF_RUNS`; none without replicates in the search."""
    if not any(one.has_further_runs for one in ranked) and (spec is None or spec.replicate is None):
        return {}
    rows = [
        {
            RUNS: 1 + len(one.replicated),
            RUNS_DIVERGED: len(one.diverged_runs),
            MEAN_OF_RUNS: one.objective.turned(mean),
        }
        if (mean := one.mean_score) is not None
        else {}
        for one in ranked
    ]
    return typed_rows(rows, {RUNS: "Int64", RUNS_DIVERGED: "Int64", MEAN_OF_RUNS: "Float64"})


def real_columns(ranked: Sequence[TrialRecord]) -> dict[str, Column]:
    """Real validation Dice of the search's own runs; no column where none has one."""
    values = [{REAL: real_dice(record)} for record in ranked]
    known = any(row[REAL] is not None for row in values)
    return typed_rows(values, {REAL: "Float64"}) if known else {}


def replicates_table(records: Iterable[TrialRecord], ranked: Sequence[str] = ()) -> RankedTable:
    """One row per replicate, running ones too, by the rank of its trial, then by seed and fold.

    Args:
        records: of all trials of a sweep.
        ranked: ids of the search's trials, best first.

    Returns:
        As of `ranking`, with ``replicate_of``, ``seed`` and ``fold`` in place of a rank.
    """
    places = {trial_id: place for place, trial_id in enumerate(ranked)}
    found = [(record.replicate, record) for record in records if record.replicate is not None]
    found.sort(
        key=lambda pair: (places.get(pair[0].of, len(places)), pair[1].number, pair[0].block)
    )
    records = [record for _, record in found]
    objective = objective_of(records)
    columns = own_columns(records, objective) | {
        "replicate_of": [replicate.of for replicate, _ in found],
        "seed": [replicate.seed for replicate, _ in found],
        "fold": [replicate.fold for replicate, _ in found],
    }
    kinds = {"trial_id": "string", "replicate_of": "string", "seed": "Int64", "fold": "Int64"}
    kinds |= columns_of(objective)
    del kinds["rank"]
    measured = {name: number_column(values) for name, values in metrics(records).items()}
    return RankedTable(measured | typed(columns, kinds)).only([*kinds, *measured])


def divider(table: RankedTable) -> int | None:
    """Number of rows above the line of a ranking, where others follow; else None.

    These are the confirmed ones or, without any, those with a real validation.
    """
    by = divided_by(table)
    if by is None or "sweep" in table or "rank" not in table or not table.in_order:
        return None
    flags = [bool(cell) if by == CONFIRMED else cell is not None for cell in table[by]]
    first = sum(flags)
    return first if 0 < first < len(flags) and all(flags[:first]) else None


def divided_by(table: RankedTable) -> str | None:
    """The column that divides a ranking; None if nothing does."""
    if CONFIRMED not in table and RUNS in table:  # ordered by the runs of the search
        return None
    return next((name for name in (CONFIRMED, REAL) if name in table), None)


class Halves(NamedTuple):
    """What the line of a divided ranking divides: a title for each half, and its order."""

    first: str
    first_order: str
    rest: str
    rest_order: str


NOT_COMPARED = "These were not compared with the leaders above, and need not be worse"


def halves(table: RankedTable) -> Halves:
    """In words, of a ranking that a column divides (`divided_by`)."""
    if divided_by(table) == REAL:
        order = "Trials that were validated on whole cases, by their real validation Dice"
        return Halves(
            "Validated on whole cases", order, "Others", "The others, by their pseudo Dice"
        )
    again = "Leaders that were trained again, by the mean of those runs"
    if RUNS in table:
        return Halves("Trained again", again, "Not trained again", BY_RUNS)
    how = "front by front" if PARETO_RANK in table else "by its best value"
    return Halves("Trained again", again, "Trained once", f"One run each, {how}")


def line_words(table: RankedTable) -> str:
    """What is above and below the line of a ranking; empty where it has none."""
    if divider(table) is None:
        return ""
    above, below = (order[0].lower() + order[1:] for order in halves(table)[1::2])
    apart = "The two parts were not compared with each other."
    return f"Above the line: {above}. Below: {below}. {apart}"


def test_columns(ranked: Sequence[TrialRecord], tested: HeldOut) -> dict[str, Column]:
    """Means over the test cases. They do not affect the ranks."""
    means = {
        one.trial_id: {"test_dice": one.mean, "test_hd95": one.mean_hd95} for one in tested.tested
    }
    rows = [means.get(record.trial_id, {}) for record in ranked]
    return typed_rows(rows, {"test_dice": "Float64", "test_hd95": "Float64"})
