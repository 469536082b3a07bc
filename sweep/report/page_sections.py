"""The text parts of the page, in its order. Each is a function in a file of its own."""

from __future__ import annotations

from collections.abc import Callable

from sweep.analysis.figures.sweep_results import Results
from sweep.report.sections.causes_section import causes_section
from sweep.report.sections.notes_section import notes_section, sweep_notes_section
from sweep.report.sections.page_section import PageSection
from sweep.report.sections.paper_section import paper_section
from sweep.report.sections.segmentations_section import segmentations_section
from sweep.report.sections.settings_section import settings_section
from sweep.report.sections.summary_section import summary_section
from sweep.report.sections.winner_section import winner_section

RANKING, FIGURES = "ranking", "figures"
"""Names of the two sections without a text of their own: the page's script draws the tables of
`PageData` in the one, and the page puts its figures in the place of the other."""


def ranking(results: Results) -> PageSection:
    """Where the tables stand."""
    return PageSection(name=RANKING, title="Ranking", html="")


def figures(results: Results) -> PageSection:
    """Where the figures stand."""
    return PageSection(name=FIGURES, title="Figures", html="")


PAGE_SECTIONS: tuple[Callable[[Results], PageSection | None], ...] = (
    summary_section,
    sweep_notes_section,
    ranking,
    winner_section,
    segmentations_section,
    causes_section,
    figures,
    notes_section,
    paper_section,
    settings_section,
)


def sections_of(results: Results) -> tuple[PageSection, ...]:
    """The sections of a sweep that have something to say.

    Raises:
        ResultsError: a file of the results folder that one of them reads is broken.
    """
    return tuple(found for section in PAGE_SECTIONS if (found := section(results)) is not None)
