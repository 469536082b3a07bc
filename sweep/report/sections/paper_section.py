"""What a researcher copies into a paper: methods text, ranking, figures."""

from __future__ import annotations

import shlex

from sweep.analysis.figures.sweep_results import Results
from sweep.report.sections.page_section import PageSection, rendered
from sweep.report.takeaway.latex_ranking import TOP, top_of_ranking
from sweep.report.takeaway.methods import methods, to_add

TEMPLATE = """\
<p class="reading">Written from this sweep's file and records alone. Please check it, and add what
no record holds: {{ to_add|join("; ") }}.</p>
<div class="copyable prose" id="methods">
{% for passage in text.passages %}
<p><b>{{ passage.title }}.</b>
{{ passage.text|prose }}</p>
{% endfor %}
<button type="button" data-copy data-text="{{ text.plain }}">Copy text</button>
<button type="button" data-copy data-text="{{ text.latex }}">Copy LaTeX</button>
<button type="button" data-copy data-text="{{ text.bibtex }}">Copy BibTeX</button>
</div>
<h3>The ranking</h3>
<p><button type="button" data-copy data-text="{{ ranking }}">Copy LaTeX</button>
<button type="button" data-csv="{{ name }}">Save CSV</button></p>
<p class="reading">The LaTeX table has the first {{ top }} rows and needs
<code>\\usepackage{booktabs,graphicx}</code>. A mean is bold only where it was told apart from all
others that were trained again. The CSV has all rows of the tables above.</p>
<h3>The figures</h3>
<p class="reading">The camera above a figure saves it as SVG. All of them, as SVG and PDF:</p>
<div class="copyable"><pre tabindex="0">{{ command }}</pre>
<button type="button" data-copy>Copy</button></div>
"""


def paper_section(results: Results) -> PageSection | None:
    """Methods text, LaTeX, CSV, figures; nothing where no trial has a result.

    Raises:
        ResultsError: the provenance.json of the first of the ranking is broken.
    """
    text = methods(results)
    if text is None:
        return None
    export = ["python", "-m", "sweep.export", results.named(), "--format", "svg,pdf"]
    html = rendered(
        TEMPLATE,
        text=text,
        to_add=to_add(results),
        ranking=top_of_ranking(results),
        top=min(TOP, len(results.table)),
        name=results.spec.name,
        command=shlex.join(export if results.uri is None else [*export, "-o", "."]),
    )
    return PageSection(name="paper", title="For a paper", html=html)
