"""Trials and replicates without a result: what ended them, and what most likely cures it."""

from __future__ import annotations

from sweep.analysis import report_words as words
from sweep.analysis.figures.sweep_results import Results
from sweep.analysis.ranking.divergence_causes import explained
from sweep.report.sections.page_section import PageSection, rendered
from sweep.spec.words.phrases import counted

TEMPLATE = """\
{% for trials, cause, advice in causes %}
<p class="cause"><b>{{ trials }}</b> {{ cause|prose }}
<span class="advice">{{ advice|prose }}</span></p>
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
    runs = (*results.ended, *(run for run in results.replicates if run.status.is_final))
    ended = [run for run in runs if not run.status.has_result]
    if not ended:
        return None
    causes = sorted(explained(ended), key=lambda group: -len(group.records))
    trials = sum(run.replicate is None for run in ended)
    kinds = ((trials, "trial"), (len(ended) - trials, "replicate"))
    html = rendered(
        TEMPLATE,
        causes=[(words.trials(g.records), g.likely_cause, g.advice) for g in causes],
        count=words.listed([counted(number, kind) for number, kind in kinds if number]),
        ended=[
            (r.trial_id, words.status(r.status), r.outcome.cause if r.outcome else "")
            for r in ended
        ],
    )
    return PageSection(name="causes", title="Trials without a result", html=html)
