"""The ranking as a table for people."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import compress
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from sweep.analysis import ranked_table
from sweep.analysis.patience.patience_replay import Tradeoff
from sweep.analysis.ranked_table import RankedTable
from sweep.analysis.ranking.ranking_columns import BY_RUNS, divider, line_words
from sweep.analysis.ranking.since_switch_on import BEFORE_WORDS, MARK, are_marked
from sweep.analysis.report_words import some
from sweep.analysis.report_words import status as status_words
from sweep.analysis.shown_columns import (
    ALWAYS_ON_SCREEN,
    OBJECTIVE,
    OWN,
    RUNS,
    SCREEN,
    TRIAL,
    shown_columns,
)
from sweep.console.console_words import STYLES, value_words
from sweep.console.fitting_columns import AlignedRows, Column, fitted
from sweep.spec.settings.objective_settings import PARETO_RANK
from sweep.spec.words.short_names import short_names, words
from sweep.vocabulary.class_scores import split_class
from sweep.vocabulary.errors import one_line
from sweep.vocabulary.objective import DICE, Objective
from sweep.vocabulary.record import Status, TrialRecord

REPEATED = ("Int64", "string")
"""Types of columns with few different cells, each of which is put into words once. Numbers of other
types may be equal and read differently, as 0.0 and -0.0 do."""


def ranking_table(
    found: RankedTable,
    parameters: Sequence[str],
    *,
    title: str = "",
    width: int = 160,
    objective: Objective = DICE,
    own: Sequence[str] = (),
    unit: str = "",
) -> AlignedRows:
    """The rows of a ranking, for a console of ``width`` columns.

    If not all columns fit, the less important ones are left out (see
    `sweep.console.fitting_columns`). The caption sums them up.

    Args:
        found: from `sweep.analysis.ranking.ranking_frame.ranking`, all rows or some.
        parameters: names of its parameter columns; shown without their group.
        title: shown above the table.
        objective: the objective that trials are ranked by.
        own: further columns that are shown if there is room, in order of importance.
        unit: of distances, as `unit_of` gives it.
    """
    # The trials of several sweeps have the same ids: a line below could not say which is meant.
    kept = ("preset",) if "sweep" in found else ()
    columns = _columns(found, parameters, objective, own, unit)
    shown, gathered = fitted(columns, width, kept=kept)
    names = {column.name for column in shown}
    left_out = [column for column in columns if column.name not in names]
    apart = [column for column in shown if column.short is None or not gathered]
    named = [  # as `name=value name=value …`
        [f"{column.short}={value}" for value in column.cells]
        for column in shown
        if gathered and column.short is not None
    ]
    return AlignedRows(
        columns=apart,
        beside=[" ".join(row) for row in zip(*named, strict=True)] if named else None,
        heading="parameters",
        rule=divider(found),
        title=one_line(title),
        caption=_caption(found, shown, left_out),
    )


def _columns(
    rows: RankedTable,
    parameters: Sequence[str],
    objective: Objective,
    own: Sequence[str],
    unit: str,
) -> list[Column]:
    found = []
    for one in shown_columns(rows, SCREEN, objective, unit=unit, own=own, kept=ALWAYS_ON_SCREEN):
        is_own = one.group == OWN
        heading = _in_lines(one.heading) if is_own else one.screen or one_line(one.heading)
        cells = _texts(rows.columns[one.column], _value if is_own else _words(one.text))
        if one.key == "best_epoch":
            marks = zip(cells, are_marked(rows), strict=True)
            cells = tuple(f"{cell}{MARK * is_marked}" for cell, is_marked in marks)
        found.append(
            Column(
                one.key,
                heading,
                cells,
                justify="left" if one.key in TRIAL else "right",
                spare=is_own,
                styles=STATUSES if one.key == "status" else {},
            )
        )
    for name, short in short_names(parameters).items():
        cells = _texts(rows.columns[name], _value)
        found.append(Column(name, _in_lines(short), cells, short=short))
    return found


def _texts(column: ranked_table.Column, text: Callable[[Any], str]) -> tuple[str, ...]:
    cells, kind = column
    if kind not in REPEATED:
        return tuple(map(text, cells))
    told = {cell: text(cell) for cell in {*cells}}
    return tuple(map(told.__getitem__, cells))


def _in_lines(name: str) -> str:
    """A name as a heading of several lines. Joined, they are the name: nothing is left out."""
    return re.sub(r"(?<=[_.])(?=.)", "\n", one_line(name))


def _caption(rows: RankedTable, shown: Sequence[Column], left_out: Sequence[Column]) -> Text | None:
    """Explains marks and the dividing line, and sums up the columns that are left out."""
    same = [f"{column.short}={column.cells[0]}" for column in left_out if column.short is not None]
    lines = [line] if (line := line_words(rows)) else []
    lines += [f"{BY_RUNS}."] if RUNS in rows and not line and "sweep" not in rows else []
    lines += [f"In every row: {' '.join(same)}"] if same else []
    names = {column.name for column in left_out}
    if marked := [*compress(rows["trial_id"], are_marked(rows))]:
        of = f"The best epoch of {some(marked)}" if "best_epoch" in names else f"{MARK} This epoch"
        lines.append(f"{of} {BEFORE_WORDS}.")
    if "preset" in names:
        pairs = zip(rows["trial_id"], rows["preset"], strict=True)
        presets = [f"{trial} is {one_line(preset)}" for trial, preset in pairs if preset]
        lines += [f"Presets: {', '.join(presets)}"] if presets else []
    lines += _explained(rows, shown)
    return Text("\n".join(lines)) if lines else None


def _explained(rows: RankedTable, shown: Sequence[Column]) -> Iterator[str]:
    """What a stranger cannot know of the columns, where it occurs."""
    cells = {column.name: column.cells for column in shown}
    gains = zip(cells.get("delta_baseline", ()), rows["status"], strict=False)
    if any(gain != "–" and status == Status.PRUNED.value for gain, status in gains):
        yield "Δ baseline of a pruned trial: against the baseline after as many epochs."
    gains_marked = compress(cells.get("delta_baseline", ()), are_marked(rows))
    if "best_epoch" in cells and any(gain != "–" for gain in gains_marked):
        yield f"Δ baseline of a trial with {MARK}: by its best since the switch-on."
    if any("–" in column.cells for column in shown if column.short is not None):
        yield "– under a setting: null, or without effect in that trial."
    names, values = rows["trial_id"], cells.get(OBJECTIVE, ())
    is_plain = not {RUNS, PARETO_RANK, "sweep"} & set(rows) and divider(rows) is None
    if is_plain and rows.in_order:
        same = [names[n] for n in range(1, len(values)) if values[n] == values[n - 1] != "–"]
        if same:
            yield f"{some(same)}: a tie with the trial above, in these digits."


def plain_table(found: RankedTable, *, title: str = "") -> Table:
    """Any rows and columns of a ranking, with the columns' own names as headings."""
    table = _table(title)
    for name, (_, kind) in found.columns.items():
        is_text = kind in ("string", "object")
        metric, label = split_class(one_line(name))
        # A class has its line, and its name is broken rather than cut: it tells columns apart.
        heading = Text(metric) if label is None else Text(f"{metric}\n{label}", overflow="fold")
        table.add_column(heading, justify="left" if is_text else "right")
    for row in found.rows():
        table.add_row(*(Text(_value(cell)) for cell in row.values()))
    return table


def patience_table(found: Tradeoff, *, title: str = "") -> Table:
    """The cost of each replayed early stopping, the cheapest first."""
    table = _table(title)
    short = one_line(found.objective.short)
    headings = (f"{short} lost on average", "at most", f"best {short}", "epochs spent")
    for heading in (found.heading, *headings):
        table.add_column(Text(heading), justify="right")
    table.add_column()
    for step in found.front:
        chosen = found.is_telling and step is found.enough
        table.add_row(
            step.label,
            found.objective.text(step.lost),
            found.objective.text(step.most_lost),
            value_words(step.best, found.objective),
            str(step.epochs),
            "enough" if chosen else "",
            style="bold" if chosen else None,
        )
    return table


def causes(rows: RankedTable, replicates: Iterable[TrialRecord] = ()) -> list[Text]:
    """One line for each diverged or failed trial, then for each such replicate of a trial."""
    broken = {one.value: one for one in Status if not one.has_result}
    every = zip(rows["trial_id"], rows["status"], rows["cause"], strict=True)
    found = [(name, broken[status], cause) for name, status, cause in every if status in broken]
    found += [
        (run.trial_id, run.status, run.outcome.cause)
        for run in replicates
        if run.outcome is not None and not run.status.has_result
    ]
    return [
        Text.assemble((f"{name} {status_words(status)}", STYLES[status]), f": {one_line(cause)}")
        for name, status, cause in found
    ]


def _value(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, tuple):
        return one_line(words(value))
    return f"{value:.3g}" if isinstance(value, float) else one_line(str(value))


def _words(text: Callable[[Any], str]) -> Callable[[Any], str]:
    return lambda value: "–" if value is None else one_line(text(value))


STATUSES = {status_words(status): style for status, style in STYLES.items()}
"""Word of a status → its style."""


def _table(title: str) -> Table:
    name = Text(one_line(title)) if title else None
    return Table(title=name, title_style="bold", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
