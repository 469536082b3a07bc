"""What users noted on the trials of a ranking."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from sweep.analysis.ranked_table import RankedTable, text_column
from sweep.store.layout import trial_place
from sweep.store.spool.trial_notes import read_notes

NOTES = "notes"
"""Name of the column."""


def with_notes(table: RankedTable, folder: Path) -> RankedTable:
    """A ranking with the notes on each trial in the last column, empty where there is none.

    Args:
        table: of the sweep in ``folder``.
        folder: its results folder.

    Raises:
        ResultsError: the journal is broken.
    """
    found = read_notes(folder)
    cells = (
        "; ".join(note.text for note in found.get(trial_id, ())) or None
        for trial_id in table["trial_id"]
    )
    return table.beside({NOTES: text_column(cells)})


def note_lines(folder: Path) -> Iterator[str]:
    """Each note in a line, by trial, also of trials that are not ranked; raises as above."""
    found = read_notes(folder)
    for trial_id in sorted(found, key=trial_place):
        for note in found[trial_id]:
            yield f"{trial_id}: {note.text} ({note.by}, {note.at[:16].replace('T', ' ')})"
