"""The head of the page: who leads, how far to trust it, and what the sweep has spent."""

from __future__ import annotations

from sweep.analysis import report_words as words
from sweep.analysis.figures.budget_figure import spent
from sweep.analysis.figures.sweep_results import Results
from sweep.report.headline import caveat, counts, headline
from sweep.report.sections.page_section import PageSection, rendered
from sweep.spec.words.phrases import plural

TEMPLATE = """\
<p class="headline">{{ headline|prose }}</p>
{% if caveat %}
<p class="caveat">{{ caveat|prose }}</p>
{% endif %}
<ul class="counts">
{% for kind, count in counts.items() %}
<li><b>{{ count }}</b> {{ kind }}</li>
{% endfor %}
<li><b>{{ epochs }}</b> {{ plural(epochs, "epoch") }}</li>
<li><b>{{ time }}</b> of training</li>
</ul>
"""


def summary_section(results: Results) -> PageSection:
    """Headline, caveat, and the numbers of trials, epochs and hours."""
    budget = spent(results)
    html = rendered(
        TEMPLATE,
        plural=plural,
        headline=headline(results),
        caveat=caveat(results),
        counts=counts(results),
        epochs=sum(part.epochs for part in budget),
        time=words.duration(sum(part.seconds for part in budget)),
    )
    return PageSection(name="summary", title="Summary", html=html)
