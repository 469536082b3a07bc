"""One writer at a time: of a results folder the sweep, of a trial's folder the worker."""

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
"""Seconds to wait for the worker that had the trial before; orphaned ones end within a few."""

SECONDS_OF_A_LOOK = 0.5
"""A reader that looks whether a folder is in use holds its lock for a moment."""


def lock_results(layout: Layout) -> FileLock:
    """Makes the folder where needed and takes its lock; the system frees it when we are killed.

    Raises:
        ResultsError: another process has it, or the folder cannot be written to.
    """
    make_folder(layout.folder)
    busy = (
        f"{layout.folder} is in use: another process is writing a sweep to it;"
        " wait until it ends, or choose another `name:` (or --set name=...)"
    )
    return _taken(layout.lock, SECONDS_OF_A_LOOK, ResultsError, busy)


def is_locked(layout: Layout) -> bool:
    """Whether a process writes to the folder; False where nobody can tell, for want of rights.

    Looks only: nothing is written, and readers that look at the same time do not see one another.
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
    """Holds a trial's folder: what another process trains there cannot overwrite ours.

    Where a driver is killed, its workers live on until Ray notices, a few seconds at most; those of
    a lost node perhaps longer. Whoever goes on with the trial waits here until they are gone.

    Raises:
        StorageFailed: it is still held after ``wait`` seconds, or the folder has gone.
    """
    if not paths.folder.is_dir():  # the lock would make it anew
        raise StorageFailed(f"{paths.folder} has gone")
    busy = f"another process still trains in {paths.folder}, after {wait:g} s of waiting"
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
