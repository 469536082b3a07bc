"""What users noted on a sweep and on the trials of its ranking."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from sweep.analysis.ranked_table import RankedTable, text_column
from sweep.store.spool.trial_notes import in_order, read_notes, when_and_who

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
    """Each note in a line: of the sweep, then by trial, also of trials that are not ranked.

    Raises as above.
    """
    for note in in_order(read_notes(folder)):
        yield f"{note.trial_id or 'sweep'}: {note.text} ({when_and_who(note)})"
