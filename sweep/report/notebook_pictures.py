"""Segmentations in a notebook: the trials that are compared, as images beside each other."""

from __future__ import annotations

import base64

from sweep.analysis.figures.sweep_results import Results
from sweep.report.page_pictures import compared_pair
from sweep.report.sections.page_section import rendered
from sweep.store.layout import Layout
from sweep.store.pictures.composed_picture import titled_pngs

TEMPLATE = """\
{% for name, pictures in trials %}
<h4>{{ name }}</h4>
<div style="display: flex; flex-wrap: wrap; gap: 16px">
{% for title, png in pictures %}
<figure style="margin: 0; width: 240px">
<img src="data:image/png;base64,{{ png }}" alt="{{ title }}" style="width: 100%">
<figcaption style="font-size: 12px">{{ title }}</figcaption>
</figure>
{% endfor %}
</div>
{% endfor %}
<p style="font-size: 12px">White: outline of the reference; dashed yellow: of the prediction;
vermillion: false positive; blue, chequered: false negative; purple, striped: another class.</p>
"""


def show_segmentations(results: Results, *names: str) -> None:
    """Show what is drawn of some trials, of each volume the slice with the most errors.

    Args:
        results: the sweep.
        names: of the trials; none: the two that were drawn to be compared, else the first.

    Raises:
        ResultsError: a picture is broken.
    """
    from IPython.display import display

    drawn = results.pictures
    shown = names or compared_pair(drawn) or tuple(drawn)[:1]
    layout = Layout(results.folder)
    trials = [
        (
            name,
            [
                (title, base64.b64encode(png).decode())
                for title, png in titled_pngs(layout.trial(name)).items()
            ],
        )
        for name in shown
    ]
    html = {"text/html": rendered(TEMPLATE, trials=trials), "text/plain": ", ".join(shown)}
    display(html, raw=True)  # type: ignore[no-untyped-call]
