"""What users noted on trials."""

from __future__ import annotations

from sweep.analysis.figures.sweep_results import Results
from sweep.report.sections.page_section import PageSection, rendered
from sweep.store.layout import trial_place

TEMPLATE = """\
<ul class="verdicts">
{% for note in notes %}
<li><a href="#trial/{{ note.trial_id }}">{{ note.trial_id }}</a> {{ note.text }}
<span class="reading">{{ note.by }}, {{ note.at[:16].replace("T", " ") }}</span></li>
{% endfor %}
</ul>
"""


def notes_section(results: Results) -> PageSection | None:
    """The notes by trial, each with its author and time."""
    notes = [
        note for name in sorted(results.notes, key=trial_place) for note in results.notes[name]
    ]
    if not notes:
        return None
    return PageSection(name="notes", title="Notes", html=rendered(TEMPLATE, notes=notes))
