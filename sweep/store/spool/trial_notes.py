"""Notes on trials: those in the journal, and those that no session has recorded there yet."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

from sweep.store.files import read_jsonl
from sweep.store.journal import NAMES, Event, NoteAdded, event_of
from sweep.store.layout import Layout
from sweep.store.spool.request_spool import RequestSpool

NOTE = NAMES[NoteAdded]


def read_notes(folder: Path) -> Mapping[str, tuple[NoteAdded, ...]]:
    """The notes of each trial that has any, in the order in which they were written.

    Raises:
        ResultsError: the journal is broken.
    """
    layout, found = Layout(folder), dict[str, NoteAdded]()
    # The spool first: a session may record a note and delete its file in between.
    waiting = list(RequestSpool(layout).readable(lambda *_: None))
    for note in (*_recorded(layout.journal), *waiting):
        if isinstance(note, NoteAdded):
            found.setdefault(note.request, note)
    notes = defaultdict[str, list[NoteAdded]](list)
    for note in found.values():
        notes[note.trial_id].append(note)
    return {trial_id: tuple(written) for trial_id, written in notes.items()}


def _recorded(journal: Path) -> Iterator[Event]:
    """The notes in the journal. Its other lines are not looked into."""
    if not journal.exists():  # a folder of version 0.1 may have none
        return iter(())
    found = read_jsonl(journal, lambda line: event_of(line) if line.get("event") == NOTE else None)
    return (event for event in found if event is not None)
