"""What a figure is in a report: a picture under a sentence that says what it shows."""

from __future__ import annotations

import html
from dataclasses import dataclass

import plotly.graph_objects as go


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportFigure:
    """One figure with its words. Shows itself in a notebook.

    Args:
        name: its place in a page, such as ``learning-curves``.
        title: what is looked at.
        finding: what is to be seen, in numbers computed from the data.
        reading: how it was made and how far to trust it.
        figure: None where there is nothing to draw; ``finding`` then says why.
    """

    name: str
    title: str
    finding: str
    reading: str
    figure: go.Figure | None = None

    def _ipython_display_(self) -> None:
        say(self.finding, strong=True)
        if self.figure is not None:
            say(self.reading)
            _display(self.figure)


def say(text: str, *, strong: bool = False) -> None:
    """Show a paragraph in a notebook; markup in ``text`` is shown as it is."""
    tag = "b" if strong else "span"
    paragraph = f"<p><{tag}>{html.escape(text)}</{tag}></p>"
    _display({"text/html": paragraph, "text/plain": text}, raw=True)


def _display(shown: object, **options: bool) -> None:
    from IPython.display import display

    display(shown, **options)  # type: ignore[no-untyped-call]
