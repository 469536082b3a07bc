"""A results folder, wherever it is, and what a user calls it. The sweep that writes to one at a URI
is in `mirrored_results`."""

from __future__ import annotations

import os
import re
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path, PurePosixPath
from threading import Event, Thread
from urllib.parse import urlsplit

from filelock import FileLock

from sweep.machine.user_paths import whole_path
from sweep.store.at_uri.remote_folder import Mirror, RemoteFolder, below_uri, files_below, is_uri
from sweep.store.layout import CHECKPOINTS, TRIAL_ID, Layout
from sweep.store.lock import is_locked, lock_results
from sweep.vocabulary.errors import InputError, ResultsError, SweepError

SWEEP_YAML = Layout(Path()).sweep_yaml.name
NNUNET_CHECKPOINTS = ".pth"
WRITER = ".writer"
"""File at the URI that identifies the sweep that writes there."""
ENDED = b", ended"
"""What that file ends in once the sweep writes no more."""
SECONDS_BETWEEN_LOOKS = 5.0
"""Seconds between two looks at a store, and between two uploads."""
SILENCE = 3600.0
"""Seconds in which nothing was written to a URI, after which a reader is told so."""
Wanted = Callable[[str], bool]
_TRIAL = rf"trials/(?:{TRIAL_ID.pattern})(?:/[^/]+)?"
_WITHIN = re.compile(rf"(?P<root>.+?)/(?P<rest>{_TRIAL}|[^/]+\.yaml)/?")


def require_results_at(remote: RemoteFolder) -> None:
    """Raise `ResultsError` if there is no results folder at a URI."""
    if remote.read(SWEEP_YAML) is None:
        raise ResultsError(f"{remote} is not a results folder: it has no {SWEEP_YAML}")


def named(folder: Path, uri: str | None, path: Path | None = None) -> str:
    """What a user calls results, or a path within them, in whatever folder the user is: for pages
    and files, which are read elsewhere. In the terminal where they were given it is `as_given`.

    Every command and every message about results that may lie at a URI asks one of the two: a copy
    of them is temporary, and no user knows it.

    Args:
        folder: the results folder.
        uri: what ``folder`` is a copy of; None if it is the results themselves.
        path: below ``folder``; None: the folder itself.
    """
    if uri is None:
        return str(whole_path(folder if path is None else path))
    return uri if path is None else below_uri(uri, path.relative_to(folder).as_posix())


def as_given(folder: Path, uri: str | None, path: Path | None = None) -> str:
    """As `named`, but a path as the user gave it: for lines in the terminal where that was."""
    return str(path or folder) if uri is None else named(folder, uri, path)


def is_light(name: str) -> bool:
    """Whether the file of this name holds no weights."""
    return not name.endswith((CHECKPOINTS, NNUNET_CHECKPOINTS))


class Reached:
    """Results wherever they are: the folder itself, or a temporary copy of a URI, without weights.

    While a sweep writes to the URI, the copy is locked, as a folder is that a sweep writes to.

    Attributes:
        folder: the results.
        uri: what ``folder`` is a copy of; None: it is the results themselves.
    """

    def __init__(
        self, folder: Path, remote: RemoteFolder | None = None, wanted: Wanted = is_light
    ) -> None:
        self.folder = folder
        self._wanted = wanted
        self.uri = None if remote is None else remote.uri
        self._mirror = None if remote is None else Mirror(folder, remote)
        self._lock: FileLock | None = None

    def refresh(self) -> None:
        """Download what has changed at the URI."""
        if self._mirror is not None:
            self._mirror.fetch(self._wanted, first=Layout.journal.name)
            if (writer := self.folder / WRITER).exists():
                os.utime(writer, (self._mirror.written,) * 2)
            self._hold()

    @property
    def doubts(self) -> list[str]:
        """The sentence of `silence`, if there is one."""
        return [words] if (words := silence(self.folder, self.uri)) else []

    @contextmanager
    def following(self, warn: Callable[[str], object]) -> Iterator[None]:
        """Refresh in a thread while the block runs, `SECONDS_BETWEEN_LOOKS` after the last look.

        Args:
            warn: told once that the store does not answer, until it does again.
        """
        ended, silent = Event(), False

        def follow() -> None:
            nonlocal silent
            while not ended.wait(SECONDS_BETWEEN_LOOKS):
                try:
                    self.refresh()
                    silent = False
                except SweepError as error:
                    if not silent:
                        warn(f"{error}; what was read before is shown")
                    silent = True

        thread = Thread(target=follow)
        if self.uri is not None:
            thread.start()
        try:
            yield
        finally:
            ended.set()
            if self.uri is not None:
                thread.join()

    def send(self) -> None:
        """Upload what was written to the copy."""
        if self._mirror is not None:
            files = files_below(self.folder)
            self._mirror.send(file for file in files if is_light(file.name))

    def _hold(self) -> None:
        """Lock the copy while a sweep writes to the URI."""
        writer = self.folder / WRITER
        is_written = writer.exists() and not writer.read_bytes().endswith(ENDED)
        if is_written and self._lock is None:
            self._lock = lock_results(Layout(self.folder))
        elif self._lock is not None and not is_written:
            self.release()

    def release(self) -> None:
        """Unlock the copy."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None


@contextmanager
def reached(results: str, wanted: Wanted = is_light) -> Iterator[Reached]:
    """Results that may lie at a URI. An error within the block names the URI, and not the copy.

    Args:
        results: a path or a URI.
        wanted: which files of a URI are needed, by name.

    Raises:
        ResultsError: there is no results folder at the URI.
    """
    if not is_uri(results):
        yield Reached(Path(results))
        return
    remote = RemoteFolder(results)
    require_results_at(remote)
    with tempfile.TemporaryDirectory(prefix="sweep-") as temporary:
        folder = Path(temporary, PurePosixPath(urlsplit(results).path).name)
        folder.mkdir(exist_ok=True)
        found = Reached(folder, remote, wanted)
        try:
            with naming(results, folder):
                found.refresh()
                yield found
        finally:
            found.release()


def silence(folder: Path, uri: str | None) -> str:
    """A sentence on a URI to which a sweep seems to write, and did not for long; else empty.

    Args:
        folder, uri: of `Reached`.
    """
    writer = folder / WRITER
    if uri is None or not writer.exists() or not is_locked(Layout(folder)):
        return ""
    written = writer.stat().st_mtime
    if time.time() - written <= SILENCE:
        return ""
    since = datetime.fromtimestamp(written).astimezone().strftime("%Y-%m-%d %H:%M %Z")
    return f"nothing was written to {uri} since {since}: its sweep is in a long epoch or was killed"


@contextmanager
def local_results(results: str, wanted: Wanted = is_light) -> Iterator[Path]:
    """The folder of `reached` results, for reading as they are now."""
    with reached(results, wanted) as found:
        yield found.folder


@contextmanager
def edited_results(results: str, wanted: Wanted = is_light) -> Iterator[Path]:
    """The folder of `reached` results. What is written there is sent to the URI, also if the block
    raises."""
    with reached(results, wanted) as found:
        try:
            yield found.folder
        finally:
            found.send()


def fetch_missing(folder: Path, uri: str | None, files: Iterable[Path]) -> None:
    """Download those of ``files``, such as weights, that a copy of a URI lacks and the URI has."""
    if uri is not None:
        missing = [file for file in files if not file.exists()]
        Mirror(folder, RemoteFolder(uri)).fetch_files(missing)


def rested(started: float) -> float:
    """When a driver asks a store again that it asked at ``started``; both by `time.monotonic`.

    It waits for the answer, so that may take at most a twentieth of its time.
    """
    now = time.monotonic()
    return now + max(SECONDS_BETWEEN_LOOKS, 19 * (now - started))


@contextmanager
def local_place(place: str, wanted: Wanted = is_light) -> Iterator[Path]:
    """As `local_results`, also for a place within results: ``best.yaml``, a trial's folder or a
    file in it."""
    root, rest = place_within(place) if is_uri(place) else (place, "")
    with local_results(root, wanted) as folder:
        yield folder / rest


def place_within(uri: str) -> tuple[str, str]:
    """The URI of the results that a URI leads into, and the rest, which may be empty."""
    parts = urlsplit(uri)
    if (found := _WITHIN.fullmatch(parts.path)) is None:
        return uri, ""
    return parts._replace(path=found["root"]).geturl(), found["rest"]


@contextmanager
def naming(uri: str | None, copy: Path) -> Iterator[None]:
    """Let errors name a URI where they would name its copy; None: there is no copy."""

    def by_uri(text: str) -> str:
        return text if uri is None else text.replace(str(copy), uri)

    try:
        yield
    except ResultsError as error:
        raise ResultsError(by_uri(str(error))) from error
    except InputError as error:
        raise InputError(
            [replace(m, file=by_uri(m.file), message=by_uri(m.message)) for m in error.mistakes]
        ) from error
