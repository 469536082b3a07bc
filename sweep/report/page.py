"""A report as one HTML file that opens offline in any browser."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

from markupsafe import Markup
from plotly.offline import get_plotlyjs

from sweep.analysis.figures.sweep_results import Results
from sweep.report.page_data import PageData, dumped, page_data
from sweep.report.page_pictures import embedded_pictures
from sweep.report.report_figures import DrawFigure
from sweep.report.sections.page_section import rendered

STYLES = ("page.css", "takeaway.css")
SCRIPTS = (
    "dom.js",
    "filter.js",
    "state.js",
    "theme.js",
    "curves.js",
    "figures.js",
    "table.js",
    "explore.js",
    "axes.js",
    "map.js",
    "python.js",
    "address.js",
    "views.js",
    "pictures.js",
    "page.js",
    "takeaway.js",
)
"""The files of ``assets/`` in the order in which the page has them."""
LARGE = ("figures", "trials")
"""Parts of the data that a page parses only when it first needs them."""
FILES_BESIDE, FILES_OF_A_SERVER = "trials/TRIAL/", "trials/TRIAL/files/"
"""Where the files of a trial lie, for a page in the results folder and for one of a server."""
NO_PICTURES: Mapping[str, Any] = {"places": {}, "data": []}


def page(
    results: Results,
    *,
    reload: float | None = None,
    is_beside: bool = False,
    figures: Sequence[DrawFigure] = (),
) -> str:
    """The whole page.

    Args:
        results: the sweep.
        reload: seconds after which a browser reloads the page; None: never.
        is_beside: whether it will lie in the results folder, so that it can link to files there.
        figures: those that its user programmed.

    Raises:
        ResultsError: a file of the results folder is broken.
    """
    pictures = embedded_pictures(results)
    files = FILES_BESIDE if is_beside else ""
    data = page_data(results, figures)
    return page_html(data, reload=reload, pictures=pictures, files=files)


def page_html(
    data: PageData,
    *,
    reload: float | None = None,
    scripts: Sequence[str] = (),
    styles: Sequence[str] = (),
    live: Mapping[str, Any] | None = None,
    pictures: Mapping[str, Any] = NO_PICTURES,
    files: str = "",
    nonce: str = "",
) -> str:
    """The page of these data.

    Args:
        data: what it shows first. Its function ``sweepPage.update`` takes newer ones.
        reload: as of `page`.
        scripts, styles: further files of ``assets/`` that follow the page's own.
        live: what they know of the server that sends the page, in ``data-live`` of its body.
        pictures: those that the page holds, as of `embedded_pictures`; a server sends the others.
        files: address of the folder of a trial, named ``TRIAL`` there; empty: none is linked.
        nonce: what the server lets run; empty: the page has no server.
    """
    small = data.to_json()
    parts = {name: small.pop(name) for name in LARGE} | {"page": small}
    parts |= {"pictures": pictures}
    return rendered(
        assets(["page.html"]),
        data=data,
        reload=reload,
        parts=[(name, Markup(dumped(part))) for name, part in parts.items()],
        plotly=Markup(get_plotlyjs()),
        style=Markup(assets([*STYLES, *styles])),
        script=Markup(assets([*SCRIPTS, *scripts])),
        nonce=nonce,
        files=files,
        live=None if live is None else json.dumps(live),
    )


def assets(names: Sequence[str]) -> str:
    """The text of these files of ``assets/``, one after the other."""
    folder = files(__package__).joinpath("assets")
    return "\n".join(folder.joinpath(name).read_text(encoding="utf-8") for name in names)
