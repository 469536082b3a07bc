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
    "address.js",
    "views.js",
    "pictures.js",
    "page.js",
    "takeaway.js",
)
"""The files of ``assets/`` in the order in which the page has them."""
LARGE = ("figures", "trials")
"""Parts of the data that a page parses only when it first needs them."""
NO_PICTURES: Mapping[str, Any] = {"places": {}, "data": []}


def page(results: Results, *, reload: float | None = None) -> str:
    """The whole page.

    Args:
        results: the sweep.
        reload: seconds after which a browser reloads the page; None: never.

    Raises:
        ResultsError: a file of the results folder is broken.
    """
    pictures = embedded_pictures(results)
    return page_html(page_data(results), reload=reload, pictures=pictures)


def page_html(
    data: PageData,
    *,
    reload: float | None = None,
    scripts: Sequence[str] = (),
    styles: Sequence[str] = (),
    live: Mapping[str, Any] | None = None,
    pictures: Mapping[str, Any] = NO_PICTURES,
    nonce: str = "",
) -> str:
    """The page of these data.

    Args:
        data: what it shows first. Its function ``sweepPage.update`` takes newer ones.
        reload: as of `page`.
        scripts, styles: further files of ``assets/`` that follow the page's own.
        live: what they know of the server that sends the page, in ``data-live`` of its body.
        pictures: those that the page holds, as of `embedded_pictures`; a server sends the others.
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
        live=None if live is None else json.dumps(live),
    )


def assets(names: Sequence[str]) -> str:
    """The text of these files of ``assets/``, one after the other."""
    folder = files(__package__).joinpath("assets")
    return "\n".join(folder.joinpath(name).read_text(encoding="utf-8") for name in names)
