"""How figures look: readable in grey, as shape, dash and lightness differ wherever hue does."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import plotly.graph_objects as go

from sweep.spec.words.phrases import counted
from sweep.vocabulary.record import Status

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class MarkerStyle:
    """Colour, symbol and pattern of one status."""

    color: str
    symbol: str
    pattern: str = ""


LOOKS: Mapping[Status, MarkerStyle] = {
    Status.COMPLETED: MarkerStyle("#08306b", "circle"),
    Status.EARLY_STOPPED: MarkerStyle("#3f8fc5", "square"),
    Status.PRUNED: MarkerStyle("#a3b8c9", "diamond", "/"),
    Status.DIVERGED: MarkerStyle("#b3261e", "x-thin-open", "x"),
    Status.FAILED: MarkerStyle("#000000", "cross-thin-open", "+"),
    Status.RUNNING: MarkerStyle("#767676", "circle-open", "."),
}
INK = "#1f2933"
OUTLINE = {"color": INK, "width": 1}
FAINT = "#c4cad0"
LIGHT_TO_DARK = [[0.0, "#d7e4ef"], [0.35, "#9cc0dd"], [0.7, "#3f8fc5"], [1.0, "#08306b"]]
PALE_TO_ALARM = [[0.0, "#fdf6f0"], [0.35, "#f6c9a4"], [0.7, "#d9663c"], [1.0, "#7f1d1d"]]
EVEN_DECIMALS = [
    {"dtickrange": [0.95, None], "value": ".0f"},
    {"dtickrange": [0.0095, 0.95], "value": ".2f"},
    {"dtickrange": [0.00095, 0.0095], "value": ".3f"},
    {"dtickrange": [0.000095, 0.00095], "value": ".4f"},
    {"dtickrange": [None, 0.000095], "value": ".3~g"},
]
"""Decimals of ticks by their distance: with its own plotly writes 0.9 beside 0.95."""
LEAST_FRAMED = 8
"""Values below which a `frame` leaves nothing out."""
MOST_POINTS = 1000
"""Points of one trace. More of them slow a browser down and show nothing more."""


def finished(figure: go.Figure, *, height: int, legend: bool = True) -> go.Figure:
    """The figure with the report's fonts and margins, as wide as its page."""
    figure.update_layout(
        template="simple_white",
        height=height,
        margin={"l": 64, "r": 24, "t": 60 if legend else 16, "b": 56},
        font={
            "family": "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif",
            "size": 13,
            "color": INK,
        },
        showlegend=legend,
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.02, "x": 0},
        hoverlabel={"align": "left"},
        # Else plotly offers, also in a notebook, to upload the figure to its makers.
        modebar={"remove": ["sendChartToCloud"]},
        paper_bgcolor="#ffffff",
        plot_bgcolor="#ffffff",
    )
    return figure


def marks(
    points: Iterable[tuple[Any, Any, str]],
    marker: Mapping[str, Any],
    *,
    under: str = "",
    **more: Any,
) -> go.Scatter:
    """Marks of one kind: x, y and the hover text, to which ``under`` is added."""
    x, y, text = [list(column) for column in zip(*points, strict=True)] or ([], [], [])
    hover = f"%{{text}}{under}<extra></extra>"
    return go.Scatter(
        x=x, y=y, text=text, mode="markers", marker=marker, hovertemplate=hover, **more
    )


def joined(curves: Iterable[tuple[Iterable[Any], Iterable[Any], str]]) -> dict[str, list[Any]]:
    """Many curves as one trace, each with its text and a gap after it."""
    found: dict[str, list[Any]] = {"x": [], "y": [], "text": []}
    for x, y, text in curves:
        found["x"] += [*x, None]
        found["y"] += [*y, None]
        found["text"] += [text] * (len(found["x"]) - len(found["text"]))
    return found


def rings(lines: Iterable[tuple[Iterable[Any], Iterable[Any], str]], **more: Any) -> go.Scatter:
    """A ring per run, and thin lines that join those of one seed and fold; as of `joined`."""
    return go.Scatter(
        **joined(lines),
        mode="lines+markers",
        line={"width": 1, "color": "#a9b4be"},
        marker={"symbol": "circle-open", "size": 8, "color": "#5c6b78", "line": {"width": 1.5}},
        **more,
    )


def in_rows(figure: go.Figure, rows: int, title: str) -> go.Figure:
    """The `finished` figure of some configurations, each in a row, the first on top."""
    figure.update_xaxes(title=title)
    figure.update_yaxes(autorange="reversed", type="category")
    return finished(figure, height=140 + 44 * rows)


def frame(values: Iterable[float | None], leaders: Iterable[float | None]) -> list[float] | None:
    """The range of an axis in which the leaders and most others lie.

    A few values far from the rest, such as those of a trial that learned nothing, do not squash
    all others. Out of the frame is what lies more than three interquartile ranges outside the
    quartiles (Tukey, *Exploratory Data Analysis*, 1977: "far out"), unless it is a leader's.

    Args:
        values: of all that is drawn.
        leaders: those of them that must be seen.

    Returns:
        Low and high end with a margin of 5 %; None where everything fits.
    """
    known = np.array([value for value in values if value is not None], dtype=float)
    known = known[np.isfinite(known)]
    if len(known) < LEAST_FRAMED:
        return None
    low, high = np.quantile(known, [0.25, 0.75])
    near = known[(known >= low - 3 * (high - low)) & (known <= high + 3 * (high - low))]
    seen = [*near, *(v for v in leaders if v is not None and math.isfinite(v))]
    ends = float(min(seen)), float(max(seen))
    if ends == (float(known.min()), float(known.max())) or ends[0] == ends[1]:
        return None
    margin = 0.05 * (ends[1] - ends[0])
    return [ends[0] - margin, ends[1] + margin]


def outside(values: Iterable[float | None], seen: Sequence[float] | None, what: str) -> str:
    """A sentence on how many of these lie outside a `frame`; empty where all lie in it."""
    if seen is None:
        return ""
    count = sum(value is not None and not seen[0] <= value <= seen[1] for value in values)
    if not count:
        return ""
    lie = "lies" if count == 1 else "lie"
    return f"{counted(count, what)} {lie} outside the frame: a double click shows all. "


def ticks(found: Iterable[tuple[float, str]]) -> dict[str, list[Any]]:
    """The settings of an axis for ticks at these places with these texts."""
    places, texts = zip(*found, strict=True)
    return {"tickvals": list(places), "ticktext": list(texts)}


def thinned(items: Sequence[T], most: int = MOST_POINTS) -> Sequence[T]:
    """At most ``most`` of the items, evenly spread over their order."""
    if len(items) <= most:
        return items
    return [items[n * len(items) // most] for n in range(most)]


def scattered(n: int, start: float = 0.0) -> float:
    """The ``n``-th of a sequence that fills [0, 1) evenly at any length: multiples of the golden
    ratio."""
    return (n * 0.618034 + start) % 1.0
