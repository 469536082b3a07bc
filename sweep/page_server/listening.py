"""Answer browsers until Ctrl-C, or until the process ends beside which the page is shown."""

from __future__ import annotations

import os
import socket
import threading
import time

import uvicorn
from starlette.applications import Starlette

PATIENCE = 2
"""Seconds that answers under way may take after Ctrl-C."""
LINGERING = 15.0
"""Seconds for which a page beside a sweep outlives it, so that open pages get the last state."""


def answer(
    app: Starlette,
    listener: socket.socket,
    *,
    lifeline: int | None = None,
    lingering: float = LINGERING,
) -> None:
    """Answer browsers.

    Args:
        app: what answers.
        listener: from `sweep.page_server.loopback.listen`; it is closed at the end.
        lifeline: a file descriptor, at whose end the server ends too. None: only a signal ends it.
        lingering: seconds for which it outlives that end.

    Raises:
        KeyboardInterrupt: it was stopped by Ctrl-C.
    """
    config = uvicorn.Config(
        app,
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=PATIENCE,
    )
    server = uvicorn.Server(config)
    if lifeline is not None:
        threading.Thread(target=_watch, args=(server, lifeline, lingering), daemon=True).start()
    server.run(sockets=[listener])


def _watch(server: uvicorn.Server, lifeline: int, lingering: float) -> None:
    """End the server some time after nobody holds the other end of the pipe any more."""
    while os.read(lifeline, 1024):
        pass
    time.sleep(lingering)
    server.should_exit = True
