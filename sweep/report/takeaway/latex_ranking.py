"""A ranking as a LaTeX table for a paper."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from sweep.analysis import report_words
from sweep.analysis.confirm.confirmation import Confirmation
from sweep.analysis.confirm.test_scores import held_out
from sweep.analysis.figures.sweep_results import Results
from sweep.analysis.ranked_table import RankedTable
from sweep.analysis.ranking.per_class import class_columns
from sweep.analysis.ranking.ranking_columns import (
    MEAN_OF_RUNS,
    REAL,
    RUNS,
    RUNS_DIVERGED,
    confirmed_names,
    divider,
    line_words,
    mean_of,
    own_metrics,
    says_something,
)
from sweep.report.takeaway.latex_text import escaped, table
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.spec.settings.objective_settings import PARETO_RANK
from sweep.spec.words.short_names import short_names, words
from sweep.vocabulary.class_scores import UNITS
from sweep.vocabulary.objective import DICE, Objective
from sweep.vocabulary.record import Status, TrialRecord, distance_unit_of, searched

TOP = 20
"""Rows of a table in a paper, unless more are asked for."""
NOTHING = "--"
Text = Callable[[Any], str]


class _Column(NamedTuple):
    """Heading, alignment, and how a row's cell is written in LaTeX."""

    heading: str
    align: str
    cell: Callable[[Mapping[str, Any]], str]


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
    def column(name: str, heading: str, text: Text = str, align: str = "r") -> list[_Column]:
        if not says_something(rows, name):
            return []

        def cell(row: Mapping[str, Any]) -> str:
            return NOTHING if row[name] is None else escaped(text(row[name]))

        return [_Column(escaped(heading), align, cell)]

    found = column("rank", "#") + column("trial_id", "trial", align="l")
    found += column("sweep", "sweep", align="l") + column("preset", "preset", align="l")
    found += column("status", "status", lambda value: report_words.status(Status(value)), "l")
    found += column(PARETO_RANK, PARETO_RANK) if objective.others else []
    found += column(objective.metric, objective.label, objective.text)
    found += column(RUNS, "runs")
    found += column(RUNS_DIVERGED, "runs diverged")
    found += column(MEAN_OF_RUNS, "mean of runs", objective.text)
    found += _mean(rows, objective, winner)
    found += column(REAL, "real validation Dice", DICE.text)
    found += column("p_best", "P(best)", report_words.percent) + column("group", "group", align="l")
    measured = [one for one in (DICE, *objective.others) if one.metric != objective.metric]
    for one in measured:
        found += column(one.metric, one.label, one.text)
    if objective.metric != "hd95":
        unit = UNITS[distance_unit_of(searched(records))].strip()
        found += column("hd95", f"HD95 ({unit})" if unit else "HD95", "{:.2f}".format)
    found += column("nsd", "NSD", DICE.text) if objective.metric != "nsd" else []
    for name in own_metrics(spec.model_dump(include={"trainer"}), records) if spec else []:
        if name not in {objective.metric, "hd95", "nsd"}:
            found += column(name, name, Objective(name).text)
    return found + _test(rows, records) + column("epochs", "epochs")


def _mean(rows: RankedTable, objective: Objective, winner: str | None) -> list[_Column]:
    """The mean over replicates with its interval, bold of the winner."""
    names = confirmed_names(objective)
    if names[0] not in rows:
        return []
    label = mean_of(rows) or objective.label

    def cell(row: Mapping[str, Any]) -> str:
        text = _with_interval(objective.text, *(row.get(name) for name in names))
        is_best = winner is not None and row["trial_id"] == winner
        return rf"\textbf{{{text}}}" if is_best else text

    return [_Column(escaped(f"mean {label} (95 % CI)"), "r", cell)]


def _test(rows: RankedTable, records: Sequence[TrialRecord]) -> list[_Column]:
    """The mean over the test cases, with its interval where there are enough of them."""
    if not says_something(rows, "test_dice"):
        return []
    found = held_out(records, rows["trial_id"]) if "sweep" not in rows else None
    ends = {} if found is None else {one.trial_id: (one.low, one.high) for one in found.tested}

    def cell(row: Mapping[str, Any]) -> str:
        low, high = ends.get(row["trial_id"], (None, None))
        return _with_interval(DICE.text, row["test_dice"], low, high)

    return [_Column(escaped("test Dice (95 % CI)" if ends else "test Dice"), "r", cell)]


def _with_interval(
    text: Callable[[float], str], mean: float | None, low: float | None, high: float | None
) -> str:
    if mean is None:
        return NOTHING
    if low is None or high is None or math.isnan(low):
        return escaped(text(mean))
    return escaped(f"{text(mean)} ({text(low)} to {text(high)})")


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
    best = "higher" if objective.mode == "max" else "lower"
    in_order = "rank" not in rows or rows.in_order
    what = f"Ranking{of_sweep}" if in_order else f"Trials{of_sweep}, with their rank"
    sentences = [f"{what} by {objective.label} ({best} is better)."]
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
