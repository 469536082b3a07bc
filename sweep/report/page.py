"""A report as one HTML file that opens offline in any browser."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs
from plotly.utils import PlotlyJSONEncoder

from sweep.analysis import report_words as words
from sweep.analysis.figures.budget_figure import spent
from sweep.analysis.figures.figure import ReportFigure
from sweep.analysis.figures.sweep_results import Results
from sweep.analysis.ranking.divergence_causes import explained
from sweep.analysis.ranking.ranking_columns import (
    HEADINGS,
    REAL,
    confirmed_names,
    divider,
    headings,
    own_metrics,
    rows_of,
)
from sweep.analysis.ranking.since_switch_on import (
    BEFORE_WORDS,
    MARK,
    is_before_switch_on,
    is_marked,
)
from sweep.report.headline import caveat, counts, headline, state
from sweep.report.report_figures import figures_of
from sweep.spec.settings.objective_settings import PARETO_RANK
from sweep.spec.space.distributions import is_number
from sweep.spec.words.short_names import short_names
from sweep.spec.words.short_names import words as value_words
from sweep.store.files import read_record, read_text
from sweep.store.layout import Layout
from sweep.vocabulary.objective import DICE, Objective
from sweep.vocabulary.record import Status, TrialRecord

ORDER_CONFIRMED = "Leaders that were trained again, by the mean of those runs"
NOT_COMPARED = "These were not compared with the leaders above, and need not be worse"
MEASURED = ("hd95", "delta_baseline", "test_dice")
"""Columns of the ranking that are shown if they were measured, as in the terminal. Dice beside
another objective and the metrics of a custom trainer are shown too."""
NOTHING = -1e308
"""Key of a cell without a number, which sorts below all others."""
TOP = 20
"""Rows of the ranking that are shown at once."""


class Cell(NamedTuple):
    """A table cell.

    Args:
        text: the shown text.
        key: the sort key.
        numeric: whether it is aligned as a number.
    """

    text: str
    key: str | float
    numeric: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Code:
    version: str | None = None
    commit: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Machine:
    device: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """One start of a trial, as far as the report shows it."""

    versions: Mapping[str, str | None] = field(default_factory=dict)
    code: _Code = _Code()
    machine: _Machine = _Machine()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Provenance:
    """Content of provenance.json."""

    runs: tuple[_Run, ...] = ()


def page(results: Results, *, reload: float | None = None) -> str:
    """The whole page.

    Args:
        results: the sweep.
        reload: seconds after which a browser reloads the page; None: never.

    Raises:
        ResultsError: a provenance.json is broken.
    """
    shown_figures = figures_of(results)
    head, rows = _table(results)
    confirmed = divider(results.frame)
    others = rows if confirmed is None else rows[confirmed:]
    budget = spent(results)
    causes = sorted(explained(results.diverged), key=lambda group: -len(group.records))
    unranked = [record for record in results.ended if not record.status.has_result]
    return str(
        _template().render(
            name=results.spec.name,
            state=state(results),
            written=datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z"),
            reload=reload,
            headline=headline(results),
            caveat=caveat(results),
            counts=counts(results),
            epochs=sum(part.epochs for part in budget),
            time=words.duration(sum(part.seconds for part in budget)),
            confirmed=None if confirmed is None else _filled(head, rows[:confirmed]),
            confirmed_order=ORDER_CONFIRMED,
            order=_order(results, confirmed),
            top=_filled(head, others[:TOP]),
            all=_filled(head, others) if len(others) > TOP else None,
            unfinished=len(results.records) - len(results.ended),
            causes=[(words.trials(g.records), g.likely_cause, g.advice) for g in causes],
            diverged=[
                (r.trial_id, words.status(r.status), r.outcome.cause if r.outcome else "")
                for r in unranked
            ],
            notes=[note for name in sorted(results.notes) for note in results.notes[name]],
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
    """Order of the rows that were not confirmed, or of all rows if there is one table."""
    label = results.objective.label
    if confirmed is not None:
        order = f"One run each, by its best {label}. {NOT_COMPARED}"
    else:
        by = f"By front, then by best {label}" if results.objective.others else f"By best {label}"
        order = by if results.confirmation is None else ORDER_CONFIRMED
    marked = any(is_before_switch_on(results.spec, record) for record in results.ended)
    return f"{order}. {MARK} This epoch {BEFORE_WORDS}" if marked else order


Text = Callable[[Any], str]


def _columns(results: Results) -> dict[str, tuple[str, Text]]:
    """Column of the ranking → its heading and the text of a value."""
    objective, frame = results.objective, results.frame
    judged, mean = objective.metric, confirmed_names(objective)[0]
    own = own_metrics(results.spec.model_dump(include={"trainer"}), results.ended)
    others = {one.metric: one for one in objective.others if not one.is_cost}
    measured = [n for n in dict.fromkeys([DICE.metric, *others, *MEASURED, *own]) if n != judged]
    names = {DICE.metric: DICE.heading, **{n: one.heading for n, one in others.items()}}
    names |= headings(results.ended)
    found: dict[str, tuple[str, Text]] = {
        name: (HEADINGS.get(name, name), str) for name in ("rank", "trial_id", "preset")
    }
    found |= {"status": ("status", lambda value: words.status(Status(value)))}
    if objective.others:
        found |= {PARETO_RANK: (PARETO_RANK, str)}
    found |= {judged: (objective.heading, objective.text)}
    found |= {REAL: (HEADINGS[REAL], objective.text)}
    if results.confirmation is not None:
        found |= {mean: (f"mean {results.confirmation.objective.short}", objective.text)}
        found |= {"p_best": (HEADINGS["p_best"], words.percent), "group": ("group", str)}
    found |= {"best_epoch": (HEADINGS["best_epoch"], str), "epochs": ("epochs", str)}
    special: dict[str, Text] = {"hd95": "{:.2f}".format, "delta_baseline": objective.signed}
    found |= {
        name: (names.get(name, name), special.get(name, Objective(name).text))
        for name in measured
        if name in frame and frame[name].notna().any()
    }
    found |= {"seconds": ("time", words.duration)}
    return {name: column for name, column in found.items() if name in frame}


def _table(results: Results) -> tuple[list[str], list[list[Cell]]]:
    """Heading and rows of the ranking."""
    columns, short = _columns(results), short_names(results.parameters)
    head = [heading for heading, _ in columns.values()] + [short[n] for n in results.parameters]
    rows = [
        [_cell(name, row, text, record) for name, (_, text) in columns.items()]
        + [_parameter(results, name, record) for name in results.parameters]
        for row, record in zip(rows_of(results.frame), results.ended, strict=True)
    ]
    return head, rows


def _cell(name: str, row: Mapping[str, Any], text: Text, record: TrialRecord) -> Cell:
    value = row[name]
    shown = "–" if value is None else text(value)
    match name:
        case "trial_id":
            return Cell(shown, record.number)
        case "preset" | "status":
            return Cell(shown, "" if value is None else shown)
        case "group":
            return Cell(shown, value or "~")
        case "best_epoch":
            shown += MARK if is_marked(row) else ""
        case "seconds":
            value = round(record.seconds, 1)
    return Cell(shown, NOTHING if value is None else value, numeric=True)


def _parameter(results: Results, name: str, record: TrialRecord) -> Cell:
    """Empty, as in ranking.csv, if the parameter has no effect in the trial."""
    if not results.acting([record], name):
        return Cell("–", NOTHING, numeric=True)
    value = record.parameters.get(name)
    text = value_words(value)
    return Cell(text, value if is_number(value) else text, numeric=True)


def _filled(head: Sequence[str], rows: Sequence[Sequence[Cell]]) -> dict[str, Any] | None:
    """A table for the template, without columns that are empty in all of these rows."""
    if not rows:
        return None
    kept = [n for n in range(len(head)) if any(row[n].text != "–" for row in rows)]
    return {"head": [head[n] for n in kept], "rows": [[row[n] for n in kept] for row in rows]}


def _versions(results: Results) -> list[tuple[str, str]]:
    """How the first trial with a provenance.json was last started."""
    trials = (Layout(results.folder).trial(record.trial_id) for record in results.records)
    path = next((trial.provenance for trial in trials if trial.provenance.exists()), None)
    runs = read_record(path, _Provenance).runs if path is not None else ()
    run = runs[-1] if runs else _Run()
    found = {name: version for name, version in run.versions.items() if version}
    if run.code.version:
        found["medical-sweep"] = f"{run.code.version} ({(run.code.commit or 'no commit')[:10]})"
    if run.machine.device:
        found["device"] = run.machine.device
    return list(found.items())
