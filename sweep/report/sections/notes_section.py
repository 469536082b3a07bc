"""What users noted on the sweep, at the top of the page, and on trials, further down."""

from __future__ import annotations

from functools import lru_cache

from markdown_it import MarkdownIt
from markupsafe import Markup

from sweep.analysis.figures.sweep_results import Results
from sweep.report.sections.page_section import PageSection, rendered
from sweep.store.spool.trial_notes import in_order, when_and_who

OF_SWEEP = """\
{% for text, signed in notes %}
<article class="note">{{ text }}<p class="reading">{{ signed }}</p></article>
{% endfor %}
"""
OF_TRIALS = """\
<ul class="verdicts">
{% for note in notes %}
<li><a href="#trial/{{ note.trial_id }}">{{ note.trial_id }}</a>
<span class="lines">{{ note.text }}</span>
<span class="reading">{{ signed(note) }}</span></li>
{% endfor %}
</ul>
"""
# Tags are shown as text, and a link that runs a script is none. A picture would be asked for from
# elsewhere, which no report does.
# Each bracket that opens is looked for its end so many levels deep, as in CommonMark's own preset:
# with the 100 of this one, a note of nothing but brackets takes seconds.
MARKDOWN = MarkdownIt("js-default", {"maxNesting": 20}).disable("image")
LEVEL_OF_A_NOTE = 3


def sweep_notes_section(results: Results) -> PageSection | None:
    """The notes on the sweep as they were written, each with its author and time."""
    if not (notes := results.notes.get(None)):
        return None
    html = rendered(OF_SWEEP, notes=[(markdown(one.text), when_and_who(one)) for one in notes])
    return PageSection(name="words", title="Notes on the sweep", html=html)


def notes_section(results: Results) -> PageSection | None:
    """The notes by trial, each with its author and time."""
    notes = [note for note in in_order(results.notes) if note.trial_id]
    if not notes:
        return None
    html = rendered(OF_TRIALS, notes=notes, signed=when_and_who)
    return PageSection(name="notes", title="Notes on trials", html=html)


@lru_cache(maxsize=100)  # a live page is written again and again
def markdown(text: str) -> Markup:
    """The html of a text in Markdown, its headings below those of the page."""
    tokens = MARKDOWN.parse(text)
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(6, int(token.tag[1]) + LEVEL_OF_A_NOTE - 1)}"
    return Markup(MARKDOWN.renderer.render(tokens, MARKDOWN.options, {}))  # it escapes
