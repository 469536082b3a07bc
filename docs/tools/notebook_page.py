"""A notebook that has been run, as a page: its text, its code and its stored outputs."""

from __future__ import annotations

import os.path
from pathlib import Path
from typing import Any

import nbformat
import plotly.graph_objects as go

PLOTLY = "application/vnd.plotly.v1+json"


def as_markdown(notebook: Path, place: str) -> str:
    """The page that the site has at ``place``. Nothing is run.

    Figures are drawn by the site's own plotly.js, which the page loads before the first of them.
    """
    cells = nbformat.read(notebook, as_version=4).cells
    parts = [part for cell in cells for part in cell_parts(cell)]
    script = os.path.relpath("assets/plotly.js", place.removesuffix(".md"))
    parts.insert(1, f'<script src="{script}"></script>')
    parts.insert(1, f"[Download the notebook]({notebook.name}) to run it.")
    return "\n\n".join(parts) + "\n"


def cell_parts(cell: Any) -> list[str]:
    if cell.cell_type != "code":
        return [cell.source]
    return [fenced("python", cell.source), *(shown(output) for output in cell.outputs)]


def shown(output: Any) -> str:
    """An output, by the richest form that it has."""
    if output.output_type == "stream":
        return fenced("text", output.text.rstrip())
    if PLOTLY in output.data:
        figure = go.Figure(output.data[PLOTLY], skip_invalid=True)
        drawn = figure.to_html(full_html=False, include_plotlyjs=False, include_mathjax=False)
        return html(drawn)
    if "text/html" in output.data:
        return html(output.data["text/html"])
    if "image/png" in output.data:
        return html(f'<img alt="" src="data:image/png;base64,{output.data["image/png"]}">')
    return fenced("text", output.data["text/plain"])


def fenced(language: str, text: str) -> str:
    return f"````{language}\n{text}\n````"


def html(text: str) -> str:
    """Without empty lines, at which Markdown would end the block."""
    lines = [line for line in text.splitlines() if line.strip()]
    return '<div class="notebook-output">\n' + "\n".join(lines) + "\n</div>"
