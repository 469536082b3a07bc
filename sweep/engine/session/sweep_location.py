"""Where a sweep runs, and where its results are: in a folder, or at a URI with a copy here."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import unquote, urlsplit

from sweep.machine.machine_cache import default_cache
from sweep.store.at_uri.remote_folder import RemoteFolder, is_uri
from sweep.store.layout import Layout


@dataclass(frozen=True, slots=True)
class SweepLocation:
    """Places of one sweep.

    Args:
        folder: results on this machine; the sweep itself reads and writes only there.
        uri: what ``folder`` is a copy of; None if it is the results folder itself.
        address: of the Ray cluster that runs the trials; None for this machine.
    """

    folder: Path
    uri: str | None = None
    address: str | None = None

    @classmethod
    def of(cls, name: str, results: str, address: str | None = None) -> Self:
        """The location of the sweep called ``name`` below ``results``, a path or a URI.

        Raises:
            InputError: there is no filesystem for the URI.
        """
        parts = urlsplit(results)
        if parts.scheme == "file":  # a path can also append and lock
            results = unquote(parts.path)
        if not is_uri(results):
            return cls(Path(results).absolute() / name, address=address)
        uri = RemoteFolder(results).below(name).uri
        return cls(default_cache() / "results" / _digest(uri) / name, uri, address)

    @property
    def remote(self) -> RemoteFolder | None:
        return None if self.uri is None else RemoteFolder(self.uri)

    def __str__(self) -> str:
        return self.uri or str(self.folder)


def scratch(uri: str) -> Path:
    """Folder for files of the sweep at ``uri`` while the workers of this machine train."""
    return default_cache() / "scratch" / _digest(uri)


def trial_at(uri: str, trial_id: str) -> tuple[Path, RemoteFolder]:
    """Where a worker copies a trial of the sweep at ``uri`` to, and where it is there."""
    below = Layout(Path()).trial(trial_id).folder.as_posix()
    return scratch(uri) / below, RemoteFolder(uri).below(below)


def _digest(uri: str) -> str:
    return hashlib.sha256(uri.encode()).hexdigest()[:16]
