"""Requests to a sweep, left in its results folder by a command and taken by the session.

A request is a small file below ``requests/``, written by rename. The session that holds the
folder's lock reads it, records it in the journal and then deletes the file. So a command needs no
lock, and a request that comes while no session runs waits for the next one.
"""

from __future__ import annotations

import getpass
import secrets
import socket
import time
from collections.abc import Callable, Iterator
from datetime import datetime

from sweep.store.files import atomic_write_text, delete, read_json, reading, to_json, writing
from sweep.store.journal import (
    ConfigurationEnqueued,
    Event,
    NoteAdded,
    Request,
    StopRequested,
    event_of,
    values_of,
)
from sweep.store.layout import Layout
from sweep.vocabulary.errors import ResultsError

ENDING = ".json"


def origin() -> dict[str, str]:
    """Where a request comes from, as all three kinds of requests have it.

    Its id ``request``: ids are in the order of time, by the clocks of those who ask. ``by``:
    user@host. ``at``: time in ISO 8601.
    """
    return {
        "request": f"{time.time_ns():019d}-{secrets.token_hex(4)}",
        "by": f"{getpass.getuser()}@{socket.gethostname()}",
        "at": datetime.now().astimezone().isoformat(timespec="seconds"),
    }


class RequestSpool:
    """The requests of one sweep that no session has taken yet.

    Args:
        layout: of its results folder.
    """

    def __init__(self, layout: Layout) -> None:
        self._folder = layout.requests

    def add(self, request: Request) -> None:
        """Leave a request. It is there as a whole or not at all.

        Raises:
            StorageFailed: the folder cannot be written.
        """
        with writing(self._folder):
            self._folder.mkdir(exist_ok=True)
        atomic_write_text(self._folder / f"{request.request}{ENDING}", to_json(values_of(request)))

    def names(self) -> list[str]:
        """Ids of the requests, the oldest first.

        Raises:
            ResultsError: the folder cannot be listed.
        """
        if not self._folder.is_dir():
            return []
        with reading(self._folder):
            found = [path for path in self._folder.iterdir() if path.suffix == ENDING]
        return sorted(path.stem for path in found if not path.name.startswith("."))

    def read(self, name: str) -> Request:
        """The request of this id.

        Raises:
            ResultsError: its file is broken, or was written by a newer version.
        """
        path = self._folder / f"{name}{ENDING}"
        request: Event = read_json(path, lambda values: event_of({**values, "request": name}))
        if not isinstance(request, StopRequested | ConfigurationEnqueued | NoteAdded):
            raise ResultsError(f"{path}: broken, it is not a request")
        return request

    def readable(self, broken: Callable[[str, ResultsError], object]) -> Iterator[Request]:
        """The requests, the oldest first. Files that are not requests are passed over.

        Args:
            broken: called with the id and the error of each of those.
        """
        for name in self.names():
            try:
                request = self.read(name)
            except ResultsError as error:
                broken(name, error)
                continue
            yield request

    def drop(self, request: Request) -> None:
        """Delete a request that was taken or refused."""
        delete(self._folder / f"{request.request}{ENDING}")
