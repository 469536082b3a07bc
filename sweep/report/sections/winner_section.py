"""How to use the winner: commands to copy."""

from __future__ import annotations

from sweep.analysis.figures.sweep_results import Results
from sweep.report.sections.page_section import PageSection, rendered
from sweep.report.takeaway.winner_use import winner_use

TEMPLATE = """\
<p class="finding"><a href="#trial/{{ use.trial_id }}">{{ use.trial_id }}</a> is the first of the
ranking.{% for doubt in use.doubts %} {{ doubt|prose }}{% endfor %}</p>
{% if use.values %}
<p class="values">{% for value in use.values %}<code>{{ value }}</code> {% endfor %}</p>
{% endif %}
<ol class="steps">
{% for step in use.steps %}
<li>
<h3>{{ step.title }}</h3>
{% if step.lines %}
<div class="copyable"><pre tabindex="0">{{ step.lines|join("\n") }}</pre>
<button type="button" data-copy>Copy</button></div>
{% endif %}
{% if step.remark %}
<p class="reading">{{ step.remark|prose }}</p>
{% endif %}
</li>
{% endfor %}
</ol>
"""


def winner_section(results: Results) -> PageSection | None:
    """The commands for the first of the ranking; nothing where no trial has a result."""
    use = winner_use(results)
    if use is None:
        return None
    return PageSection(
        name="winner", title="How to use the winner", html=rendered(TEMPLATE, use=use)
    )
