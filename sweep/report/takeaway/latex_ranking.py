"""A ranking as a LaTeX table for a paper."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from sweep.analysis.confirm.confirmation import Confirmation
from sweep.analysis.confirm.test_scores import held_out
from sweep.analysis.figures.sweep_results import Results
from sweep.analysis.ranked_table import RankedTable
from sweep.analysis.ranking.per_class import class_columns
from sweep.analysis.ranking.ranking_columns import divider, line_words, own_metrics
from sweep.analysis.shown_columns import (
    MEAN,
    PAPER,
    ShownColumn,
    confirmed_names,
    says_something,
    shown_columns,
    unit_of,
)
from sweep.report.takeaway.latex_text import escaped, table
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.spec.words.short_names import short_names, words
from sweep.vocabulary.objective import DICE, Objective
from sweep.vocabulary.record import Status, TrialRecord, searched

TOP = 20
"""Rows of a table in a paper, unless more are asked for."""
NOTHING = "--"
Cell = Callable[[Mapping[str, Any]], str]
Ends = Callable[[Mapping[str, Any]], tuple[float | None, float | None]]


class _Column(NamedTuple):
    """Heading, alignment, and how a row's cell is written in LaTeX."""

    heading: str
    align: str
    cell: Cell


def latex_ranking(
    rows: RankedTable,
    records: Sequence[TrialRecord],
    parameters: Sequence[str],
    *,
    objective: Objective = DICE,
    spec: SweepSpec | None = None,
    confirmed: Confirmation | None = None,
    title: str = "",
    of: int | None = None,
) -> str:
    r"""The rows of a ranking as a table; takes ``\usepackage{booktabs,graphicx}``.

    A parameter with the same value in all rows is in the caption instead. The objective of the
    first row is bold only where it was told apart from all other finalists.

    Args:
        rows: from `sweep.analysis.ranking.ranking_frame.ranking`, all rows or some.
        records: all trials.
        parameters: dotted names of the searched parameters.
        objective: the objective that trials are ranked by.
        spec: of the sweep, if it is known.
        confirmed: what the replicates show of the finalists; None where there are none.
        title: name of the sweep, for the caption.
        of: number of rows of the whole ranking, where ``rows`` has only the first of them.
    """
    winner = confirmed.winner.trial_id if confirmed is not None and confirmed.winner else None
    columns = _columns(rows, records, objective, spec, winner)
    varied, same = _parameters(rows, parameters)
    columns += varied
    columns += [_plain_column(name) for name in (*class_columns(rows), "notes") if name in rows]
    lines = [" & ".join(column.cell(row) for column in columns) for row in rows.rows()]
    if (first := divider(rows)) is not None:
        lines.insert(first, "")
    return _table(columns, lines, escaped(_caption(rows, objective, winner, title, of, same)))


def top_of_ranking(results: Results, top: int = TOP) -> str:
    """The first rows of a sweep's ranking as a LaTeX table."""
    return latex_ranking(
        results.table.head(top),
        results.runs,
        results.parameters,
        objective=results.objective,
        spec=results.spec,
        confirmed=results.confirmation,
        title=results.spec.name,
        of=len(results.table),
    )


def latex_table(rows: RankedTable) -> str:
    """Any rows and columns of a ranking, with the columns' own names as headings."""
    columns = [_plain_column(name) for name in rows]
    lines = [" & ".join(column.cell(row) for column in columns) for row in rows.rows()]
    return _table(columns, lines, "Ranking.")


def _table(columns: Sequence[_Column], lines: Sequence[str], caption: str) -> str:
    """The source of a table; an empty line becomes a rule."""
    if not lines:
        return "% No trial to show.\n"
    headings = " & ".join(column.heading for column in columns)
    align = "".join(column.align for column in columns)
    return table(caption, "ranking", align, headings, lines) + "\n"


def _plain_column(name: str) -> _Column:
    def cell(row: Mapping[str, Any]) -> str:
        value = row.get(name)
        return NOTHING if value is None else escaped(_plain(value))

    return _Column(escaped(name), "l", cell)


def _plain(value: Any) -> str:
    return words(value) if isinstance(value, float | tuple) else str(value)


def _columns(
    rows: RankedTable,
    records: Sequence[TrialRecord],
    objective: Objective,
    spec: SweepSpec | None,
    winner: str | None,
) -> list[_Column]:
    own = own_metrics(spec.model_dump(include={"trainer"}), records) if spec else ()
    intervals, found = _intervals(rows, records, objective), []
    for one in shown_columns(rows, PAPER, objective, unit=unit_of(searched(records)), own=own):
        ends = intervals.get(one.key)
        heading = f"{one.paper or one.heading}{' (95 % CI)' if ends else ''}"
        is_text = rows.columns[one.column].kind == "string"
        cell = _cell(one, ends, winner if one.key == MEAN else None)
        found.append(_Column(escaped(heading), "l" if is_text else "r", cell))
    return found


def _intervals(
    rows: RankedTable, records: Sequence[TrialRecord], objective: Objective
) -> dict[str, Ends]:
    """The intervals of columns, from a row: of means over replicates and over test cases."""
    _, low, high = confirmed_names(objective)
    found: dict[str, Ends] = {MEAN: lambda row: (row.get(low), row.get(high))}
    # The trials of several sweeps have the same ids.
    if "sweep" not in rows and (tested := held_out(records, rows["trial_id"])) is not None:
        of_trial = {one.trial_id: (one.low, one.high) for one in tested.tested}
        found["test_dice"] = lambda row: of_trial.get(row["trial_id"], (None, None))
    return found


def _cell(column: ShownColumn, ends: Ends | None, winner: str | None) -> Cell:
    """A value, with its interval where it has one, bold of the winner."""

    def cell(row: Mapping[str, Any]) -> str:
        value, text = row[column.column], column.text
        if value is None:
            return NOTHING
        low, high = ends(row) if ends else (None, None)
        has_interval = low is not None and high is not None and not math.isnan(low)
        shown = f"{text(value)} ({text(low)} to {text(high)})" if has_interval else text(value)
        is_winner = winner is not None and row["trial_id"] == winner
        return rf"\textbf{{{escaped(shown)}}}" if is_winner else escaped(shown)

    return cell


def _parameters(
    rows: RankedTable, parameters: Sequence[str]
) -> tuple[list[_Column], Mapping[str, str]]:
    """The columns of those that differ, and name → value of those that are the same in all rows."""
    short = short_names(parameters)

    def cell_of(name: str) -> Callable[[Mapping[str, Any]], str]:
        return lambda row: NOTHING if row.get(name) is None else escaped(words(row[name]))

    shown = [name for name in parameters if says_something(rows, name)]
    names = {name: short[name].replace("_", " ") for name in shown}
    same = {
        names[name]: words(rows[name][0])
        for name in shown
        if len({*map(str, rows[name])}) == 1 and len(rows) > 1
    }
    varied = [
        _Column(escaped(title), "r", cell_of(name))
        for name, title in names.items()
        if title not in same
    ]
    return varied, same


def _caption(
    rows: RankedTable,
    objective: Objective,
    winner: str | None,
    title: str,
    of: int | None,
    same: Mapping[str, str],
) -> str:
    of_sweep = f" of {title}" if title else ""
    in_order = "rank" not in rows or rows.in_order
    what = f"Ranking{of_sweep}" if in_order else f"Trials{of_sweep}, with their rank"
    sentences = [f"{what} {objective.order}."]
    sentences += [line] if (line := line_words(rows)) else []
    if winner is not None:
        sentences.append("Bold: told apart from all other finalists.")
    elif rows.known("group"):
        sentences.append("Configurations with a common letter cannot be told apart.")
    if same:
        pairs = [f"{name} {value}" for name, value in same.items()]
        sentences.append(f"In every row: {', '.join(pairs)}.")
    if not all(Status(value).has_result for value in rows.known("status")):
        sentences.append("Diverged and failed runs are ranked last, in no order of merit.")
    if of is not None and of > len(rows):
        sentences.append(f"The first {len(rows)} of {of} rows.")
    return " ".join(sentences)
