"""Whether a results folder has changed, without reading what is in its files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from sweep.store.at_uri.local_results import silence
from sweep.store.files import reading
from sweep.store.layout import Layout
from sweep.store.lock import is_locked
from sweep.store.read_results import require_results


class Stamp(NamedTuple):
    """Equal where nothing has changed.

    Args:
        in_use: whether a process writes to the folder.
        silence: of `sweep.store.at_uri.local_results.silence`.
        files: name, inode, size and time of each entry of the folder.
        trials: the same of the folder of each trial.
    """

    in_use: bool
    silence: str
    files: tuple[tuple[str, int, int, int], ...]
    trials: tuple[tuple[str, int, int, int], ...]


def change_stamp(layout: Layout, uri: str | None = None) -> Stamp:
    """Names, sizes and times of the files of a sweep, and whether a process writes to them.

    Every event of a sweep appends to its journal. What is written beside it (a test, pictures) adds
    a file to the folder of the sweep or of a trial, which changes the time of that folder. So two
    listings suffice, also for thousands of trials.

    Args:
        uri: what the folder is a copy of; None: no copy.

    Raises:
        ResultsError: the folder is not a results folder, or cannot be listed.
    """
    require_results(layout)
    trials = _entries(layout.trials) if layout.trials.is_dir() else ()
    said = silence(layout.folder, uri)
    return Stamp(is_locked(layout), said, _entries(layout.folder), trials)


def _entries(folder: Path) -> tuple[tuple[str, int, int, int], ...]:
    """Hidden files are left out: locks, and files that are being written."""
    with reading(folder), os.scandir(folder) as entries:
        return tuple(sorted(_entry(one) for one in entries if not one.name.startswith(".")))


def _entry(entry: os.DirEntry[str]) -> tuple[str, int, int, int]:
    try:
        status = entry.stat(follow_symlinks=False)
    except FileNotFoundError:  # deleted since it was listed
        return entry.name, 0, 0, 0
    return entry.name, status.st_ino, status.st_size, status.st_mtime_ns
