"""Trials without a result: what ended them, and what would most likely have cured it."""

from __future__ import annotations

from sweep.analysis import report_words as words
from sweep.analysis.figures.sweep_results import Results
from sweep.analysis.ranking.divergence_causes import explained
from sweep.report.sections.page_section import PageSection, rendered
from sweep.spec.words.phrases import counted

TEMPLATE = """\
{% for trials, cause, advice in causes %}
<p class="cause"><b>{{ trials }}</b> {{ cause }} <span class="advice">{{ advice }}</span></p>
{% endfor %}
<details{% if ended|length <= 8 %} open{% endif %}>
<summary>{{ count }} and what ended {{ "it" if ended|length == 1 else "them" }}</summary>
<ul class="verdicts">
{% for trial, status, cause in ended %}
<li><a href="#trial/{{ trial }}">{{ trial }}</a> {{ status }}: {{ cause }}</li>
{% endfor %}
</ul>
</details>
"""


def causes_section(results: Results) -> PageSection | None:
    """The likely causes of divergences, most frequent first, then each trial with its verdict."""
    ended = [record for record in results.ended if not record.status.has_result]
    if not ended:
        return None
    causes = sorted(explained(results.diverged), key=lambda group: -len(group.records))
    html = rendered(
        TEMPLATE,
        causes=[(words.trials(g.records), g.likely_cause, g.advice) for g in causes],
        count=counted(len(ended), "trial"),
        ended=[
            (r.trial_id, words.status(r.status), r.outcome.cause if r.outcome else "")
            for r in ended
        ],
    )
    return PageSection(name="causes", title="Trials without a result", html=html)
