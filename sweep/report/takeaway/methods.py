"""The methods section of a paper about a sweep, written from its spec and its records alone.

What it covers follows what reviewers are told to ask for: CLAIM (Tejani et al., 2024, Checklist for
Artificial Intelligence in Medical Imaging), Metrics Reloaded (Maier-Hein et al., 2024, Nature
Methods 21) and, on the search, Dodge et al. (2019, Show Your Work, EMNLP). What the records cannot
know is listed by `to_add`.
"""

from __future__ import annotations

from dataclasses import dataclass

from sweep.analysis.figures.sweep_results import Results
from sweep.analysis.provenance_facts import last_start
from sweep.report.takeaway.latex_text import latex, table
from sweep.report.takeaway.methods_references import bibliography, references
from sweep.report.takeaway.methods_result import (
    effort_words,
    result_words,
    selection_words,
    statistics_words,
)
from sweep.report.takeaway.methods_search import scale, search_words, space_words, span
from sweep.report.takeaway.methods_training import Selected, data_words, training_words
from sweep.spec.words.short_names import words
from sweep.store.layout import Layout


@dataclass(frozen=True, slots=True)
class Passage:
    """A part of the text.

    Args:
        title: one or two words.
        text: sentences, with code in backticks.
    """

    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Methods:
    """The text in parts.

    Args:
        passages: in order.
        space: a row for each searched parameter: name, range, scale, selected value.
        version: of this software that trained the selected configuration, where it is known.
    """

    passages: tuple[Passage, ...]
    space: tuple[tuple[str, str, str, str], ...]
    version: str | None = None

    @property
    def plain(self) -> str:
        """A paragraph for each part, without markup."""
        parts = (f"{one.title}. {one.text.replace('`', '')}" for one in self.passages)
        return "\n\n".join(parts) + "\n"

    @property
    def latex(self) -> str:
        r"""The same as LaTeX, space as a table; takes ``\usepackage{booktabs,graphicx}``."""
        parts = [rf"\paragraph{{{latex(p.title)}.}} {latex(p.text)}" for p in self.passages]
        return "\n\n".join([*parts, self._space_table]) + "\n"

    @property
    def bibtex(self) -> str:
        """The works that the text names, and this software."""
        return bibliography((one.text for one in self.passages), self.version)

    def _repr_markdown_(self) -> str:
        """As a notebook shows it."""
        return "\n\n".join(f"**{one.title}.** {one.text}" for one in self.passages)

    @property
    def _space_table(self) -> str:
        rows = [" & ".join([latex(f"`{n}`"), *map(latex, cells)]) for n, *cells in self.space]
        caption = "Search space. Ranges include both ends."
        heading = "Parameter & Range & Scale & Selected"
        return table(caption, "search-space", "llll", heading, rows)


def methods(results: Results) -> Methods | None:
    """The methods text of a sweep; None where no trial has a result.

    Raises:
        ResultsError: the provenance.json of the first of the ranking is broken.
    """
    record = results.leader
    if record is None:
        return None
    of = Selected(results, record, last_start(Layout(results.folder).trial(record.trial_id)))
    parts = {
        "Data": data_words(of),
        "Network and training": training_words(of),
        "Search space": space_words(results),
        "Search": search_words(results),
        "Selection": selection_words(of),
        "Result": result_words(of),
        "Statistics": statistics_words(results),
        "Software and effort": effort_words(of),
    }
    parts["References"] = references(parts.values())
    acts = [name for name in results.parameters if results.acting([record], name)]
    space = tuple(
        (
            name,
            span(kind),
            scale(kind),
            words(record.parameters[name]) if name in acts and name in record.parameters else "–",
        )
        for name, kind in results.spec.space.items()
    )
    passages = tuple(Passage(title, text) for title, text in parts.items() if text)
    return Methods(passages, space, of.start.code.version)


def to_add(results: Results) -> list[str]:
    """What reviewers ask for that no record of a sweep holds."""
    groups = (results.spec.data, results.spec.trainer)
    grouped = any(getattr(group, "groups", None) is not None for group in groups)
    found = [
        "where the images come from, who is in them, and the approval to use them",
        "who drew the references, by which protocol, and how well two of them agree",
        *([] if grouped else ["whether cases of one person lie in more than one split"]),
        "why these metrics fit the task (Metrics Reloaded)",
        "how the ranges of the search space were chosen, and earlier searches on the same cases",
    ]
    if results.spec.trainer.traits.is_own_loop:
        found.append("loss, optimizer, batches and augmentation of your own trainer")
    if results.held_out is None:
        found.append("a result on cases that were not used for the selection")
    return found
