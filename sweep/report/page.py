"""A report as one HTML file that needs nothing but a browser, also offline."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs
from plotly.utils import PlotlyJSONEncoder

from sweep.analysis import report_words as words
from sweep.analysis.figures.budget_figure import spent
from sweep.analysis.figures.figure import ReportFigure
from sweep.analysis.figures.sweep_results import Results
from sweep.analysis.parameter_axes import is_number, short_names
from sweep.analysis.parameter_axes import words as value_words
from sweep.analysis.ranking.divergence_causes import explained
from sweep.analysis.ranking.ranking_columns import divider, own_metrics
from sweep.analysis.ranking.since_switch_on import BEFORE_WORDS, MARK, is_before_switch_on
from sweep.report.headline import caveat, counts, headline, state
from sweep.report.report_figures import figures_of
from sweep.report.run_conditions import last_run
from sweep.store.files import read_text
from sweep.store.layout import Layout
from sweep.vocabulary.objective import DICE, Objective
from sweep.vocabulary.record import TrialRecord

ORDER_CONFIRMED = "Leaders that were trained again, by the mean of those runs"
MEASURED = {"hd95": "HD95", "delta_baseline": "Δ baseline", "test_dice": "test Dice"}
"""Columns of the ranking that the table has where they were measured, as in the terminal; it has
Dice beside another objective too, and all that a custom trainer measures."""
NOTHING = -1e308
"""Key of a cell without a number: it sorts below all others."""
TOP = 20
"""Rows of the ranking that are shown at once."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A table cell.

    Args:
        text: what is read.
        key: what is sorted by.
        numeric: whether it is aligned as a number.
    """

    text: str
    key: str | float
    numeric: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """Heading and rows of a table."""

    head: Sequence[str]
    rows: Sequence[Sequence[Cell]]


def page(results: Results, *, reload: float | None = None) -> str:
    """The whole page.

    Args:
        results: the sweep.
        reload: seconds after which a browser loads the page anew; None: never.
    """
    shown_figures = figures_of(results)
    head, rows = _table(results)
    confirmed = divider(results.frame)
    others = rows if confirmed is None else rows[confirmed:]
    found = spent(results)
    return str(
        _template().render(
            name=results.spec.name,
            state=state(results),
            written=datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z"),
            reload=reload,
            headline=headline(results),
            caveat=caveat(results),
            counts=counts(results),
            epochs=sum(part.epochs for part in found),
            time=words.duration(sum(part.seconds for part in found)),
            confirmed=None if confirmed is None else _filled(head, rows[:confirmed]),
            confirmed_order=ORDER_CONFIRMED,
            order=_order(results, confirmed),
            top=_filled(head, others[:TOP]),
            all=_filled(head, others) if len(others) > TOP else None,
            unfinished=len(results.records) - len(results.ended),
            causes=[(words.trials(g.records), g.likely_cause, g.advice) for g in _causes(results)],
            diverged=_verdicts(results),
            shown_figures=shown_figures,
            figures=_figures(shown_figures),
            spec=read_text(Layout(results.folder).sweep_yaml),
            versions=_versions(results),
            plotly=Markup(get_plotlyjs()),
            style=Markup(_asset("page.css")),
            script=Markup(_asset("page.js")),
        )
    )


@cache
def _template() -> Any:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    return environment.from_string(_asset("page.html"))


def _asset(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _figures(shown_figures: Sequence[ReportFigure]) -> Markup:
    """Name → figure as JSON that may stand in a script element."""
    drawn = {e.name: e.figure.to_plotly_json() for e in shown_figures if e.figure is not None}
    text = json.dumps(drawn, cls=PlotlyJSONEncoder, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c"))


def _order(results: Results, confirmed: int | None) -> str:
    """Of the rows that no other table has: all of them, or those that were not confirmed."""
    label = results.objective.label
    order = (
        f"One run each, by its best {label}. Nobody has compared these with those above: whoever"
        " stands here is not thereby worse"
    )
    if confirmed is None:
        order = f"By best {label}" if results.confirmation is None else ORDER_CONFIRMED
    marked = any(is_before_switch_on(results.spec, record) for record in results.ended)
    return f"{order}. {MARK} This epoch {BEFORE_WORDS}" if marked else order


def _measured_columns(results: Results) -> list[str]:
    """The further columns of numbers that the table has."""
    own = own_metrics(results.spec.model_dump(include={"trainer"}), results.ended)
    names = dict.fromkeys([DICE.metric, *MEASURED, *own])
    frame, judged = results.frame, results.objective.metric
    return [n for n in names if n != judged and n in frame and frame[n].notna().any()]


def _table(results: Results) -> tuple[list[str], list[list[Cell]]]:
    """Heading and rows of the ranking."""
    presets = any(record.preset for record in results.ended)
    short, objective = short_names(results.parameters), results.objective
    head = ["#", "trial", *(["preset"] if presets else []), "status", objective.heading]
    confirmed = results.confirmation
    head += [f"mean {objective.short}", "P(best)", "group"] if confirmed is not None else []
    measured = _measured_columns(results)
    titles = {DICE.metric: DICE.heading, **MEASURED}
    head += ["best at", "epochs", *(titles.get(name, name) for name in measured), "time"]
    head += [short[name] for name in results.parameters]
    numbers = results.frame[measured].to_numpy(dtype=float, na_value=math.nan).tolist()
    rows = [
        _row(results, rank, record, dict(zip(measured, numbers[rank - 1], strict=True)), presets)
        for rank, record in enumerate(results.ended, start=1)
    ]
    return head, rows


def _filled(head: Sequence[str], rows: Sequence[Sequence[Cell]]) -> Table | None:
    """Without the columns that are empty in all of these rows."""
    if not rows:
        return None
    kept = [n for n in range(len(head)) if any(row[n].text != "–" for row in rows)]
    return Table([head[n] for n in kept], [[row[n] for n in kept] for row in rows])


def _row(
    results: Results, rank: int, record: TrialRecord, numbers: Mapping[str, float], presets: bool
) -> list[Cell]:
    best = record.best if record.status.has_result else None
    cells = [Cell(str(rank), rank, numeric=True), Cell(record.trial_id, record.number)]
    if presets:
        cells.append(Cell(record.preset or "–", record.preset or ""))
    cells += [
        Cell(words.status(record.status), words.status(record.status)),
        _number(record.value if best else None, results.objective.text),
        *_confirmed(results, record),
        Cell(_best_at(results, record), best.epoch if best else NOTHING, numeric=True),
        Cell(str(len(record.history)), len(record.history), numeric=True),
        *(_measured(name, number, results.objective) for name, number in numbers.items()),
        Cell(words.duration(record.seconds), round(record.seconds, 1), numeric=True),
    ]
    for name in results.parameters:
        value = record.parameters.get(name)
        key = value if is_number(value) else value_words(value)
        acts = results.acting([record], name)  # else empty, as in ranking.csv
        text = value_words(value) if acts else "–"
        cells.append(Cell(text, key if acts else NOTHING, numeric=True))
    return cells


def _best_at(results: Results, record: TrialRecord) -> str:
    if record.best is None or not record.status.has_result:
        return "–"
    mark = MARK if is_before_switch_on(results.spec, record) else ""
    return f"{record.best.epoch}{mark}"


def _measured(name: str, number: float, objective: Objective) -> Cell:
    """One of `_measured_columns`."""
    texts = {"hd95": "{:.2f}".format, "delta_baseline": objective.signed}
    return _number(None if math.isnan(number) else number, texts.get(name, Objective(name).text))


def _number(value: float | None, text: Callable[[Any], str]) -> Cell:
    return Cell("–" if value is None else text(value), NOTHING if value is None else value, True)


def _confirmed(results: Results, record: TrialRecord) -> list[Cell]:
    """Mean over the replicates, probability of being best, group: where there are replicates."""
    if results.confirmation is None:
        return []
    found = results.confirmation.of(record.trial_id)
    objective = results.objective
    mean = objective.turned(found.mean) if found and found.scores else None
    group = (found.group if found else None) or None
    return [
        _number(mean, objective.text),
        _number(found.p_best if found else None, words.percent),
        Cell(group or "–", group or "~"),
    ]


def _causes(results: Results) -> list[Any]:
    return sorted(explained(results.diverged), key=lambda group: -len(group.records))


def _verdicts(results: Results) -> list[tuple[str, str, str]]:
    """Trial, status and cause of each that has no result for a reason."""
    return [
        (r.trial_id, words.status(r.status), r.outcome.cause if r.outcome else "")
        for r in results.ended
        if not r.status.has_result
    ]


def _versions(results: Results) -> list[tuple[str, str]]:
    run = last_run(results)
    found = {name: version for name, version in run.versions.items() if version}
    if run.code.version:
        found["medical-sweep"] = f"{run.code.version} ({(run.code.commit or 'no commit')[:10]})"
    if run.machine.device:
        found["device"] = run.machine.device
    return list(found.items())
