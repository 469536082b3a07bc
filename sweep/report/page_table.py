"""The ranking as data: columns of values and of the words in which they are shown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from sweep.analysis import report_words as words
from sweep.analysis.figures.sweep_results import Results
from sweep.analysis.parameter_axes import Categories, make_axis
from sweep.analysis.ranking.ranking_columns import (
    BY_RUNS,
    NOT_COMPARED,
    divided_by,
    divider,
    halves,
    own_metrics,
)
from sweep.analysis.ranking.since_switch_on import (
    BEFORE_WORDS,
    MARK,
    are_marked,
    is_before_switch_on,
)
from sweep.analysis.shown_columns import PAGE, RUNS, shown_columns, unit_of
from sweep.spec.settings.objective_settings import PARETO_RANK
from sweep.spec.words.short_names import short_names
from sweep.spec.words.short_names import words as value_words
from sweep.vocabulary.parameter_values import is_number
from sweep.vocabulary.record import ParameterValue, Status, TrialRecord

EMPTY = "–"
"""The text of a cell without a value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TableColumn:
    """One column of the ranking.

    Args:
        name: that of ranking.csv, such as ``val_dice`` or ``loss.sqrt_epsilon``. Filters use it.
        title: its heading.
        kind: ``number`` or ``text``, by which it is sorted and aligned.
        scale: of the values of a searched parameter, as of its space: ``linear``, ``log``, or the
            listed values in order, each with its text; None for other columns.
        values: what rows are sorted and filtered by; None where a cell is empty.
        texts: what the cells show.
    """

    name: str
    title: str
    kind: str
    scale: str | tuple[tuple[float | str, str], ...] | None
    values: tuple[float | str | None, ...]
    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PageTable:
    """A part of the ranking whose rows may be compared.

    Args:
        name: ``ranking``; or ``confirmed`` and ``others`` where a line divides the ranking.
        title: its heading; empty where there is one table.
        order: a sentence that says how its rows are ordered.
        trials: the ids of its rows, in order.
        columns: those with a value in any row.
    """

    name: str
    title: str
    order: str
    trials: tuple[str, ...]
    columns: tuple[TableColumn, ...]


def page_tables(results: Results) -> tuple[PageTable, ...]:
    """The ranking in one table, or in two where the first rows are not compared with the rest."""
    columns, trials = _columns(results), [record.trial_id for record in results.ended]
    if not trials:
        return ()
    first = divider(results.table)
    if first is None:
        order = _ordered(results, columns, order_of(results))
        return (_part("ranking", "", order, trials, columns, slice(None)),)
    title, order, other, rest = halves(results.table)
    below = _ordered(results, columns, f"{rest}. {NOT_COMPARED}")
    return (
        _part("confirmed", title, f"{order}.", trials, columns, slice(first)),
        _part("others", other, below, trials, columns, slice(first, None)),
    )


def _part(
    name: str,
    title: str,
    order: str,
    trials: Sequence[str],
    columns: Sequence[TableColumn],
    rows: slice,
) -> PageTable:
    cut = [replace(one, values=one.values[rows], texts=one.texts[rows]) for one in columns]
    kept = tuple(one for one in cut if any(text != EMPTY for text in one.texts))
    return PageTable(name=name, title=title, order=order, trials=tuple(trials[rows]), columns=kept)


def order_of(results: Results) -> str:
    """Order of all rows, if there is one table."""
    label = results.objective.label
    if divided_by(results.table):
        return halves(results.table).first_order
    if RUNS in results.table:
        return BY_RUNS
    return f"By front, then by best {label}" if results.objective.others else f"By best {label}"


def _ordered(results: Results, columns: Sequence[TableColumn], order: str) -> str:
    titles = {one.name: one.title for one in columns}
    return " ".join([f"{order}.", *_explained(results, titles)])


def _explained(results: Results, titles: Mapping[str, str]) -> Iterator[str]:
    """What a stranger cannot know of the columns."""
    table, baseline = results.table, results.baseline
    if PARETO_RANK in table:
        yield (
            f"“{PARETO_RANK}”: the number of the front. No trial beats those of front 0 in all"
            " objectives at once, and only those of earlier fronts beat the others."
        )
    if "best_epoch" in titles:
        yield f"“{titles['best_epoch']}”: the epoch of that value, counted from 0."
    if any(is_before_switch_on(results.spec, record) for record in results.ended):
        yield f"{MARK} This epoch {BEFORE_WORDS}."
    if "delta_baseline" in titles and baseline is not None:
        since = " since the switch-on" if results.has_geometry else ""
        names = results.unlike_baseline
        also = f" Trials differ from it in {words.listed(names)} too." if names else ""
        is_pruned = Status.PRUNED in {record.status for record in results.ended}
        early = "; of a pruned trial, minus what that had reached after as many epochs"
        yield (
            f"“{titles['delta_baseline']}”: the best{since}, minus that of {baseline.trial_id},"
            f" which has no geometric loss{early if is_pruned else ''}.{also}"
        )
    if any(name in table and None in table[name] for name in results.parameters):
        yield f"“{EMPTY}” under a setting: null, or without effect in that trial."


def _columns(results: Results) -> list[TableColumn]:
    table, marks = results.table, are_marked(results.table)
    own = own_metrics(results.spec.model_dump(include={"trainer"}), results.ended)
    unit, found = unit_of(results.ended), []
    for one in shown_columns(table, PAGE, results.objective, unit=unit, own=own):
        values, kind = table.columns[one.column]
        texts = [EMPTY if value is None else one.text(value) for value in values]
        if one.key == "best_epoch":
            texts = [f"{cell}{MARK * mark}" for cell, mark in zip(texts, marks, strict=True)]
        if one.key == "seconds":
            values = [round(record.seconds, 1) for record in results.ended]
        found.append(
            TableColumn(
                name=one.column,
                title=one.heading,
                kind="text" if kind == "string" else "number",
                scale=None,
                values=tuple(values),
                texts=tuple(texts),
            )
        )
    return [*found, *(_parameter(results, name) for name in results.parameters)]


def _parameter(results: Results, name: str) -> TableColumn:
    """Empty, as in ranking.csv, where the parameter has no effect in the trial."""
    acting = {record.trial_id for record in results.acting(results.ended, name)}

    def value(record: TrialRecord) -> float | str | None:
        if record.trial_id not in acting or name not in record.parameters:
            return None
        return _cell(record.parameters[name])

    def text(record: TrialRecord) -> str:
        return value_words(record.parameters.get(name)) if record.trial_id in acting else EMPTY

    values = [value(record) for record in results.ended]
    axis = make_axis(name, results.spec.space[name])
    is_text = any(isinstance(one, str) for one in values)
    return TableColumn(
        name=name,
        title=short_names(results.parameters)[name],
        kind="text" if is_text else "number",
        scale=(
            tuple((_cell(one), value_words(one)) for one in axis.values)
            if isinstance(axis, Categories)
            else ("log" if axis.log else "linear")
        ),
        values=tuple(values),
        texts=tuple(text(record) for record in results.ended),
    )


def _cell(value: ParameterValue) -> float | str:
    """What a value is sorted and filtered by."""
    return float(value) if is_number(value) else value_words(value)
