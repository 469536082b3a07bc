"""A local folder whose files lie at a URI too."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from sweep.store.at_uri.remote_folder import RemoteFolder

THREADS = 8
"""Files on their way at a time: what counts is the store's answer time, not the bytes."""


class Mirror:
    """Sends what changed in ``folder`` since it was sent, or fetched, the last time.

    Both methods raise `SweepFailed` where the store does not answer; what was not sent then is
    sent the next time.
    """

    def __init__(self, folder: Path, remote: RemoteFolder) -> None:
        self.folder = folder
        self.remote = remote
        self._known: dict[str, tuple[int, int]] = {}

    def fetch(self, wanted: Callable[[str], bool]) -> set[str]:
        """Copy the remote files whose names are ``wanted`` here; returns the names of all."""
        names = self.remote.files()
        chosen = [name for name in names if wanted(name)]
        self._each(self._fetch, chosen)
        return names

    def send(self, files: Iterable[Path]) -> None:
        """Copy those of ``files`` that are news to the store; what is gone again is passed over."""
        self._each(self._send, [file.relative_to(self.folder).as_posix() for file in files])

    def _fetch(self, name: str) -> None:
        with suppress(FileNotFoundError):  # it was deleted meanwhile
            self.remote.fetch(name, self.folder / name)
            self._known[name] = _stamp(self.folder / name)

    def _send(self, name: str) -> None:
        with suppress(FileNotFoundError):
            stamp = _stamp(self.folder / name)  # before it is read: it may change meanwhile
            if self._known.get(name) != stamp:
                self.remote.send(self.folder / name, name)
                self._known[name] = stamp

    def _each(self, do: Callable[[str], None], names: list[str]) -> None:
        with ThreadPoolExecutor(THREADS) as pool:
            for _ in pool.map(do, names):
                pass


def _stamp(file: Path) -> tuple[int, int]:
    status = file.stat()
    return status.st_size, status.st_mtime_ns
