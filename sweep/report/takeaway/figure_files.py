"""The report's figures as files for a paper: SVG, PDF, PNG.

Plotly draws them in a browser, by kaleido (plotly's own exporter), which starts a Chrome or
Chromium of this machine without a window. Text stays text, and lines stay lines, except in the
parallel coordinates, which plotly draws by WebGL: these are an image in the file.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweep.vocabulary.errors import InputError, SweepFailed

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from sweep.analysis.figures.figure import ReportFigure

FILES = ("svg", "pdf", "png")
"""Kinds of files."""
WIDTH = 900
"""Of a figure, in CSS pixels; a PNG has `SCALE` times as many."""
SCALE = 3


def write_figures(
    figures: Iterable[ReportFigure], folder: Path, kinds: Sequence[str]
) -> list[Path]:
    """Write each figure that is drawn, as ``NAME.svg`` and so on; earlier files are replaced.

    Args:
        figures: of a report.
        folder: where they go; it exists.
        kinds: some of `FILES`.

    Returns:
        The files, figure by figure.

    Raises:
        InputError: kaleido is not installed, or there is no browser.
        SweepFailed: the browser fails, or a file cannot be written.
    """
    drawn = [(one.name, one.figure) for one in figures if one.figure is not None]
    each = [(f"{name}.{kind}", figure) for name, figure in drawn for kind in kinds]
    paths = [folder / name for name, _ in each]
    if not paths:
        return []
    try:
        import kaleido
        from kaleido.errors import ChromeNotFoundError
    except ImportError:
        message = "figures as files need kaleido: pip install 'medical-sweep[figures]'"
        raise InputError.single(message, file="--format") from None
    # Not plotly's `write_images`, whose page also loads MathJax from the network.
    try:
        kaleido.write_fig_from_object_sync(
            [_order(figure, path) for (_, figure), path in zip(each, paths, strict=True)],
            kopts={"mathjax": False},
        )
    except ChromeNotFoundError:
        raise InputError.single(
            "figures as files need Chrome or Chromium: install one, or name it in the variable"
            " BROWSER_PATH. The page saves single figures as SVG without it",
            file="--format",
        ) from None
    except (OSError, RuntimeError, ValueError) as error:
        raise SweepFailed(f"cannot write the figures to {folder}: {error}") from error
    return paths


def _order(figure: go.Figure, path: Path) -> dict[str, Any]:
    """What kaleido is to draw into which file."""
    kind = path.suffix.removeprefix(".")
    return {
        "fig": figure.to_plotly_json(),
        "path": path,
        "opts": {
            "format": kind,
            "width": WIDTH,
            "height": figure.layout.height,
            "scale": SCALE if kind == "png" else 1,
        },
    }
