"""Figures that users program, in the page beside the report's own: ``FILE.py:FUNCTION``."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from sweep.analysis.figures import figure_style as style
from sweep.analysis.figures.figure import ReportFigure
from sweep.analysis.figures.sweep_results import Results
from sweep.plugins.plugin_kinds import PluginKind, required_entry
from sweep.report.report_figures import DrawFigure
from sweep.vocabulary.error_lines import blamed
from sweep.vocabulary.errors import InputError

if TYPE_CHECKING:
    import plotly.graph_objects as go

FIGURE = PluginKind("figure", "--figure", ("results",), ())
OwnFigure = Callable[[Any], "go.Figure"]
Opened = Callable[[Results], Any]
HEIGHT = 460
"""Pixels of a figure that does not say its own."""


def figures_named(names: Sequence[str], opened: Opened) -> list[DrawFigure]:
    """The figures of ``--figure`` as the page takes them; see `own_figures`.

    Raises:
        InputError: there is no such file or function, or it does not take the results.
    """
    try:
        entries = [required_entry(FIGURE, name) for name in names]
    except ValueError as error:
        raise InputError.single(f"{error}", file="--figure") from error
    return own_figures([FIGURE.resolve(entry, {}) for entry in entries], opened)


def own_figures(functions: Sequence[OwnFigure], opened: Opened) -> list[DrawFigure]:
    """What the page draws of functions from the results, as of `sweep.open`, to plotly's figure.

    The first line of a docstring is the title, and the rest stands below the figure. What a
    function raises stands in its place. Points with the ids of trials as ``hovertext`` (plotly
    express: ``hover_name="trial_id"``) are linked with the rest of the page.

    Args:
        functions: in the order of the page.
        opened: makes what they are called with.
    """
    return [_shown(place, draw, opened) for place, draw in enumerate(functions)]


def _shown(place: int, draw: OwnFigure, opened: Opened) -> DrawFigure:
    def show(results: Results) -> ReportFigure:
        title, _, rest = (inspect.getdoc(draw) or draw.__name__.replace("_", " ")).partition("\n")
        figure, finding = None, ""
        try:
            figure = _finished(draw(opened(results)), results)
        except Exception as error:  # noqa: BLE001 - whatever a user's code raises
            finding = f"Not drawn: {blamed(error)}."
        return ReportFigure(
            name=f"own-{place}",
            title=title.strip().removesuffix("."),
            finding=finding,
            reading=" ".join(rest.split()),
            figure=figure,
        )

    return show


def _finished(made: object, results: Results) -> go.Figure:
    import plotly.graph_objects as go

    if not isinstance(made, go.Figure):
        raise TypeError(f"it must return a figure of plotly, but returned {type(made).__name__}")
    figure = style.finished(go.Figure(made), height=int(made.layout.height or HEIGHT))
    trials = {record.trial_id for record in results.records}
    for trace in figure.data:
        names = getattr(trace, "hovertext", None)
        if trace.ids is None and names is not None and not isinstance(names, str):
            trace.ids = [*names] if trials.issuperset(names) else None
    return figure
