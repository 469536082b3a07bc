"""The live page in a process of its own, beside a sweep that it can neither slow nor end.

The sweep opens the port, so that it knows the address at once, and hands it down. The token and
everything else go through a pipe: the command line of a process can be read by other users. The
same pipe tells the page when the sweep has ended, however that happens.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sweep.page_server.loopback import address_words, listen, new_token, require_server

NICENESS = 10
"""The trials come first."""


@contextmanager
def page_beside(folder: Path, uri: str | None = None) -> Iterator[list[str]]:
    """Serve the page of a sweep, read-only, while the block runs, and a few seconds longer.

    Yields its address in words.

    Args:
        folder: the results folder, which the sweep may create later.
        uri: what it is a copy of; None: it is the results themselves.

    Raises:
        InputError: the extra ``page`` is not installed.
    """
    require_server()
    token = new_token()
    with listen(None) as listener:
        asked: dict[str, object] = {
            "folder": str(folder),
            "uri": uri,
            "token": token,
            "listener": listener.fileno(),
        }
        page = subprocess.Popen(
            [sys.executable, "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=[listener.fileno()],
            start_new_session=True,  # Ctrl-C in the terminal is for the sweep
        )
        words = address_words(listener, token)
    assert page.stdin is not None
    try:
        _tell(page.stdin.fileno(), asked)
        yield words
    finally:
        page.stdin.close()
        # It shows the last state for a few seconds more. Nobody waits for that.
        threading.Thread(target=page.wait, daemon=True).start()


def _tell(pipe: int, asked: dict[str, object]) -> None:
    with suppress(BrokenPipeError):  # it ended at once: the sweep goes on without a page
        os.write(pipe, json.dumps(asked).encode() + b"\n")


def main() -> None:
    """The other side of `page_beside`."""
    asked = json.loads(sys.stdin.readline())
    os.nice(NICENESS)
    from sweep.page_server.listening import answer
    from sweep.page_server.page_app import page_app
    from sweep.page_server.sweep_list import SweepList

    sweeps = SweepList(Path(asked["folder"]), expected=True, uri=asked["uri"])
    with socket.socket(fileno=asked["listener"]) as listener:
        answer(page_app(sweeps, asked["token"]), listener, lifeline=sys.stdin.fileno())


if __name__ == "__main__":
    main()
