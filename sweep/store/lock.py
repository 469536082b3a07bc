"""Locks: one sweep per results folder, one worker per trial folder."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from sweep.store.files import make_folder, own_file
from sweep.store.layout import Layout, TrialPaths
from sweep.vocabulary.errors import ResultsError, StorageFailed, SweepError

PATIENCE = 60.0
"""Seconds to wait for a trial's previous worker. Orphaned workers end within a few seconds."""

SECONDS_OF_A_LOOK = 0.5
"""Attempts to take a lock, because a reader that checks it holds it for a moment."""


def lock_results(layout: Layout) -> FileLock:
    """Create the folder if needed and take its lock. A kill releases the lock.

    Raises:
        ResultsError: another process holds the lock, or the folder cannot be written.
    """
    make_folder(layout.folder)
    busy = (
        f"{layout.folder} is in use: another process is writing a sweep to it;"
        " wait until it ends, or choose another `name:` (or --set name=...)"
    )
    return _taken(layout.lock, SECONDS_OF_A_LOOK, ResultsError, busy)


def is_locked(layout: Layout) -> bool:
    """Whether a process writes to the folder; False if permissions do not allow the check.

    Nothing is written, and concurrent checks do not disturb each other.
    """
    try:
        with open(layout.lock, "rb", opener=own_file) as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)  # let go when it is closed
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


@contextmanager
def training(paths: TrialPaths, *, wait: float = PATIENCE) -> Iterator[None]:
    """Hold a trial's folder, so that no other process trains in it.

    If a driver is killed, its workers run until Ray notices, for a few seconds; those of a lost
    node perhaps longer. The next worker of the trial waits here until they are gone.

    Raises:
        StorageFailed: it is still held after ``wait`` seconds, or the folder is gone.
    """
    if not paths.folder.is_dir():  # the lock file would recreate it
        raise StorageFailed(f"{paths.folder} is gone")
    busy = f"another process is still training in {paths.folder}, after {wait:g} s of waiting"
    lock = _taken(paths.lock, wait, StorageFailed, busy)
    try:
        yield
    finally:
        lock.release()


def _taken(file: Path, wait: float, refusal: type[SweepError], busy: str) -> FileLock:
    lock = FileLock(file, timeout=wait, thread_local=False)
    try:
        lock.acquire()
    except Timeout as error:
        raise refusal(busy) from error
    except OSError as error:
        raise refusal(f"cannot write to {file.parent}: {error.strerror or error}") from error
    return lock
