"""One sweep as the live page sees it: read again only when it has changed, and not too often."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock, Thread

from sweep.analysis.figures.sweep_results import read_results
from sweep.page_server.change_stamp import Stamp, change_stamp
from sweep.report.page_data import PageData, dumped, page_data
from sweep.report.report_figures import DrawFigure
from sweep.store.at_uri.local_results import as_given, naming
from sweep.store.layout import Layout
from sweep.vocabulary.errors import ResultsError

SHARE = 0.1
"""Largest share of one core that reading takes, also where a sweep changes all the time."""
SECONDS_OF_A_WAIT = 2.0
"""Longest wait for the first reading of a sweep before the page says that it is being read."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A state of a sweep.

    Args:
        data: what its page shows.
        etag: equal where the data are equal, in another process too.
        body: the data as JSON, UTF-8.
    """

    data: PageData
    etag: str
    body: bytes


class LiveSweep:
    """The newest known state of a results folder. It may be used from several threads.

    Args:
        folder: the results folder, which may appear later or vanish.
        expected: that a sweep which has been started will make it.
        figures: those that its user programmed.
        uri: what the folder is a copy of; None: it is the results themselves.
    """

    def __init__(
        self,
        folder: Path,
        *,
        expected: bool = False,
        figures: Sequence[DrawFigure] = (),
        uri: str | None = None,
    ) -> None:
        self.folder, self.uri, self._figures = folder, uri, figures
        self._name, self._expected = as_given(folder, uri), expected
        self._layout = Layout(folder)
        self._reading = Lock()
        self._stamp: Stamp | None = None
        self._found: Snapshot | str | None = None  # a text says why there is none
        self._rests_until = 0.0

    def look(self) -> Snapshot:
        """The state now, or the last one while the next is being read or is not due.

        The first look waits for it.

        Raises:
            ResultsError: the folder is not there, or a file in it is broken.
        """
        stamp = change_stamp(self._layout, self.uri)
        is_first = self._found is None
        if (is_first or self._is_due(stamp)) and self._reading.acquire(blocking=is_first):
            try:
                if self._is_due(stamp):  # nobody has read it while this thread waited
                    self._read(stamp)
            finally:
                self._reading.release()
        match self._found:
            case Snapshot() as found:
                return found
            case str() as problem:
                raise ResultsError(problem)
        raise ResultsError(f"{self._name} could not be read: the server's terminal says why")

    def look_soon(self, seconds: float = SECONDS_OF_A_WAIT) -> Snapshot:
        """As `look`, for somebody who would sit before an empty window meanwhile.

        Raises:
            ResultsError: as there; also where the first reading takes longer than ``seconds``. It
                goes on.
        """
        if self._expected and self._found is None and not self.folder.exists():
            raise ResultsError("The sweep is starting: it has no results yet.")
        change_stamp(self._layout)  # is there anything to read?
        if self._found is None:
            first = Thread(target=self._look_quietly, daemon=True)
            first.start()
            first.join(seconds)
        if self._found is None:
            raise ResultsError(f"{self._name} is being read for the first time")
        return self.look()

    def _look_quietly(self) -> None:
        with suppress(ResultsError):  # the next look raises it again
            self.look()

    def expect_news(self) -> None:
        """Read the next change at once: somebody waits to see what a request has done."""
        self._rests_until = 0.0

    def _is_due(self, stamp: Stamp) -> bool:
        """Whether to read: something has changed, and the last reading is paid for.

        The start and the end of a session are shown at once.
        """
        if stamp == self._stamp:
            return False
        in_use_as_before = self._stamp is not None and stamp.in_use == self._stamp.in_use
        return not in_use_as_before or time.monotonic() >= self._rests_until

    def _read(self, stamp: Stamp) -> None:
        """Read the folder, then rest for as long as keeps to `SHARE`."""
        self._stamp = stamp  # also if it cannot be read: only a change can mend it
        begun = time.thread_time()
        try:
            with naming(self.uri, self.folder):
                self._found = snapshot(self.folder, self._figures, self.uri)
        except ResultsError as error:
            self._found = str(error)
        finally:
            spent = time.thread_time() - begun
            self._rests_until = time.monotonic() + spent * (1 / SHARE - 1)


def utf8(text: str) -> bytes:
    """Bytes of a note or of a file name that are no UTF-8 are shown as they are escaped."""
    return text.encode(errors="backslashreplace")


def snapshot(folder: Path, figures: Sequence[DrawFigure] = (), uri: str | None = None) -> Snapshot:
    """The state of a results folder, which may be a copy of a URI.

    Raises:
        ResultsError: it is not a results folder, or a file in it is broken.
    """
    data = page_data(read_results(folder, uri), figures)
    values = data.to_json()
    body, written = utf8(dumped(values)), utf8(dumped(values | {"written": ""}))
    return Snapshot(data, etag(written), body)


def etag(body: bytes) -> str:
    """Equal where the bytes are."""
    return f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
