"""Notes of users: those in the journal, and those that no session has recorded there yet."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

from sweep.store.files import read_jsonl
from sweep.store.journal import NAMES, Event, NoteAdded, event_of
from sweep.store.layout import Layout, trial_place
from sweep.store.spool.request_spool import RequestSpool

NOTE = NAMES[NoteAdded]


Notes = Mapping[str | None, tuple[NoteAdded, ...]]
"""Those on each trial that has any, and by None those on the sweep, as they were written."""


def in_order(notes: Notes) -> Iterator[NoteAdded]:
    """Those on the sweep, then by trial."""
    for name in sorted(notes, key=lambda name: trial_place(name) if name else (-1, 0)):
        yield from notes[name]


def when_and_who(note: NoteAdded) -> str:
    """Author and time, to the minute."""
    return f"{note.by}, {note.at[:16].replace('T', ' ')}"


def read_notes(folder: Path) -> Notes:
    """The notes of a results folder.

    Raises:
        ResultsError: the journal is broken.
    """
    layout, found = Layout(folder), dict[str, NoteAdded]()
    # The spool first: a session may record a note and delete its file in between.
    waiting = list(RequestSpool(layout).readable(lambda *_: None))
    for note in (*_recorded(layout.journal), *waiting):
        if isinstance(note, NoteAdded):
            found.setdefault(note.request, note)
    notes = defaultdict[str | None, list[NoteAdded]](list)
    for note in found.values():
        notes[note.trial_id].append(note)
    return {name: tuple(written) for name, written in notes.items()}


def _recorded(journal: Path) -> Iterator[Event]:
    """The notes in the journal. Its other lines are not looked into."""
    if not journal.exists():  # a folder of version 0.1 may have none
        return iter(())
    found = read_jsonl(journal, lambda line: event_of(line) if line.get("event") == NOTE else None)
    return (event for event in found if event is not None)
