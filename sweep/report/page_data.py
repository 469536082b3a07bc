"""Everything that a page shows, as plain JSON values: the one source of file, server and widget."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from plotly.utils import PlotlyJSONEncoder

from sweep.analysis.figures.figure import ReportFigure
from sweep.analysis.figures.figure_style import LIGHT_TO_DARK, LOOKS
from sweep.analysis.figures.sweep_results import Results
from sweep.analysis.report_words import status
from sweep.report.headline import state
from sweep.report.page_axes import FirstAxes, first_axes
from sweep.report.page_sections import sections_of
from sweep.report.page_table import PageTable, TableColumn, page_tables
from sweep.report.page_trials import page_trials
from sweep.report.report_figures import DrawFigure, figures_of
from sweep.report.sections.page_section import PageSection
from sweep.spec.words.short_names import short_names

OF_THE_OBJECTIVE = ("metric", "label", "heading", "short", "mode", "d3")
"""How the page's script calls and formats the objective."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageData:
    """One state of the page.

    Args:
        name: of the sweep.
        state: in words, such as ``finished``.
        written: when the data were put together, for the reader.
        running: whether a process still writes to the results folder.
        objective: `OF_THE_OBJECTIVE` of it; ``d3`` is D3's number format.
        parameters: dotted name of each searched parameter → its short name.
        statuses: how figures show each status: in words, its colour and its symbol.
        scale: colours from the least to the greatest value, as plotly takes them.
        sections: the text parts in order; those named ``ranking`` and ``figures`` mark where tables
            and figures stand.
        tables: the ranking.
        unfinished: ids of the trials of the search that have no row in it yet.
        figures: in the order of the page: the words of each `ReportFigure`, its height in pixels,
            and plotly's ``data`` and ``layout``; 0 and None where nothing is drawn. A trace whose
            points are trials has their ids as ``ids``; one that is a trial's curve has
            ``meta={"trial": id}``. ``layout.meta.curves``: the epochs of the
            longest of its curves, which readers may smooth.
        first_axes: with what the reader's own figure begins.
        trials: see `page_trials`.
    """

    name: str
    state: str
    written: str
    running: bool
    objective: Mapping[str, str]
    parameters: Mapping[str, str]
    statuses: Mapping[str, tuple[str, str, str]]
    scale: Sequence[Sequence[object]]
    sections: tuple[PageSection, ...]
    tables: tuple[PageTable, ...]
    unfinished: tuple[str, ...]
    figures: tuple[Mapping[str, Any], ...]
    first_axes: FirstAxes
    trials: Mapping[str, Mapping[str, Any]]

    def to_json(self) -> dict[str, Any]:
        """What the page's ``sweepPage.update`` takes."""
        return _plain(self) | {
            "first_axes": _plain(self.first_axes),
            "sections": [_plain(one) for one in self.sections],
            "tables": [
                _plain(one) | {"columns": [_plain(column) for column in one.columns]}
                for one in self.tables
            ],
        }


def _plain(shown: PageData | FirstAxes | PageSection | PageTable | TableColumn) -> dict[str, Any]:
    """The fields of one level. `dataclasses.asdict` would copy every number of every curve."""
    return {field.name: getattr(shown, field.name) for field in fields(shown)}


def page_data(results: Results, figures: Sequence[DrawFigure] = ()) -> PageData:
    """The data of the page of a sweep.

    Args:
        results: the sweep.
        figures: those that its user programmed.

    Raises:
        ResultsError: a file of the results folder is broken.
    """
    return PageData(
        name=results.spec.name,
        state=state(results),
        written=datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z"),
        running=results.in_use,
        objective={name: getattr(results.objective, name) for name in OF_THE_OBJECTIVE},
        parameters=short_names(results.parameters),
        statuses={
            kind.value: (status(kind), look.color, look.symbol) for kind, look in LOOKS.items()
        },
        scale=LIGHT_TO_DARK,
        sections=sections_of(results),
        tables=page_tables(results),
        unfinished=tuple(r.trial_id for r in results.records if not r.status.is_final),
        figures=tuple(map(_figure, figures_of(results, figures))),
        first_axes=first_axes(results),
        trials=page_trials(results),
    )


def _figure(shown: ReportFigure) -> dict[str, Any]:
    drawn = shown.figure
    words = {name: getattr(shown, name) for name in ("name", "title", "finding", "reading")}
    return words | {
        "height": 0 if drawn is None else int(drawn.layout.height),
        "figure": None if drawn is None else drawn.to_plotly_json(),
    }


def dumped(values: Mapping[str, Any] | Sequence[Any]) -> str:
    """JSON of the data or of a part of them, that may also stand in a script element."""
    text = json.dumps(values, cls=PlotlyJSONEncoder, separators=(",", ":"), ensure_ascii=False)
    return text.replace("<", "\\u003c")
