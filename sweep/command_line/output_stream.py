"""Standard output and error whose reader may leave: ``sweep.run … | head -1``.

A reader that leaves, a closed terminal or a full disk does not end a sweep. Later output is
dropped. All results are in the results folder anyway.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO


class Outlet:
    """A text stream that drops all output after the first failed write.

    Args:
        stream: the wrapped stream.
        lost: called once with the reason of the first failure.
    """

    def __init__(self, stream: TextIO, lost: Callable[[str], object]) -> None:
        self._stream = stream
        self._lost = lost
        self.is_read = True

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except OSError as error:
            self._close(error)
            return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError as error:
            self._close(error)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _close(self, error: OSError) -> None:
        # Buffered output is dropped too, also when Python flushes it at exit.
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, self._stream.fileno())
        os.close(null)
        if self.is_read:
            self.is_read = False
            self._lost(error.strerror or type(error).__name__)


@contextmanager
def tolerant_output(*, warn: bool) -> Iterator[None]:
    """Drop standard output and error if they cannot be written, instead of raising.

    Args:
        warn: print a warning on standard error, because the command continues.
    """
    before = sys.stdout, sys.stderr
    # A stream that was closed before the start (`>&-`) is None.
    null = Path(os.devnull)
    out, err = (stream or null.open("w", encoding="utf-8") for stream in before)
    quiet = Outlet(err, lambda _: None)

    def lost(reason: str) -> None:
        if warn:
            quiet.write(f"warning: standard output is gone ({reason}): continuing without it\n")
            quiet.flush()

    sys.stdout, sys.stderr = Outlet(out, lost), quiet
    try:
        yield
        sys.stdout.flush()
    finally:
        sys.stdout, sys.stderr = before


def is_read() -> bool:
    """Whether the output may still have a reader."""
    return getattr(sys.stdout, "is_read", True)
