"""How figures look: readable in grey, as shape, dash and lightness differ wherever hue does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import plotly.graph_objects as go

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
MOST_POINTS = 1000
"""Points of one trace. More of them slow a browser down and show nothing more."""


def finished(figure: go.Figure, *, height: int, legend: bool = True) -> go.Figure:
    """The figure with the report's fonts and margins, as wide as its page."""
    figure.update_layout(
        template="simple_white",
        height=height,
        margin={"l": 64, "r": 24, "t": 48 if legend else 16, "b": 56},
        font={
            "family": "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif",
            "size": 13,
            "color": INK,
        },
        showlegend=legend,
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.02, "x": 0},
        hoverlabel={"align": "left"},
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
