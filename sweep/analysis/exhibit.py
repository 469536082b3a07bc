"""What a figure is in a report: a picture under a sentence that says what it shows."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go


@dataclass(frozen=True, slots=True, kw_only=True)
class Exhibit:
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
        from IPython.display import display

        show: Any = display
        words = f"<p><b>{html.escape(self.finding)}</b></p>"
        if self.figure is not None:
            words += f"<p><small>{html.escape(self.reading)}</small></p>"
        show({"text/html": words, "text/plain": self.finding}, raw=True)
        if self.figure is not None:
            show(self.figure)
