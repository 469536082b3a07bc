"""A local folder with a copy at a URI."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from sweep.store.at_uri.remote_folder import RemoteFolder

THREADS = 8
"""Concurrent transfers: the store's response time matters, not the bytes."""


class Mirror:
    """Upload changes in ``folder`` since its last upload or download.

    Both methods raise `SweepFailed` if the store does not answer. Files that were not sent are sent
    the next time.
    """

    def __init__(self, folder: Path, remote: RemoteFolder) -> None:
        self.folder = folder
        self.remote = remote
        self._known: dict[str, tuple[int, int]] = {}

    def fetch(self, wanted: Callable[[str], bool]) -> set[str]:
        """Download the remote files whose names are ``wanted``; returns the names of all."""
        names = self.remote.files()
        self._each(self._fetch, filter(wanted, names))
        return names

    def send(self, files: Iterable[Path]) -> None:
        """Upload those of ``files`` that have changed; deleted ones are skipped."""
        self._each(self._send, (file.relative_to(self.folder).as_posix() for file in files))

    def _fetch(self, name: str) -> None:
        with suppress(FileNotFoundError):  # it was deleted in between
            self.remote.fetch(name, self.folder / name)
            self._known[name] = _stamp(self.folder / name)

    def _send(self, name: str) -> None:
        with suppress(FileNotFoundError):
            stamp = _stamp(self.folder / name)  # before reading: it may change in between
            if self._known.get(name) != stamp:
                self.remote.send(self.folder / name, name)
                self._known[name] = stamp

    def _each(self, do: Callable[[str], None], names: Iterable[str]) -> None:
        with ThreadPoolExecutor(THREADS) as pool:
            for _ in pool.map(do, names):
                pass


def _stamp(file: Path) -> tuple[int, int]:
    status = file.stat()
    return status.st_size, status.st_mtime_ns
