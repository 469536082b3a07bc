"""A port of this machine that no other machine can reach, and its address in words."""

from __future__ import annotations

import errno
import secrets
import socket

from sweep.machine.installed_packages import how_to_install
from sweep.vocabulary.errors import InputError

LOOPBACK = "127.0.0.1"
PORT = 8275
"""Of the first page on a machine, so that a forwarded port can stay the same. A second page takes
any free one."""
PACKAGES = ("starlette", "uvicorn")
"""What the extra ``page`` installs."""


def require_server() -> None:
    """Raise `InputError` if the extra ``page`` is not installed."""
    for package in PACKAGES:
        if missing := how_to_install("page", package):
            raise InputError.single(missing)


def new_token() -> str:
    """A secret of 192 bits."""
    return secrets.token_urlsafe(24)


def listen(port: int | None) -> socket.socket:
    """A socket that browsers of this machine can reach.

    Args:
        port: of the address; None: `PORT`, or a free one if that is taken. 0: a free one.

    Raises:
        InputError: another program has the port, or it is reserved.
    """
    try:
        return _bound(PORT if port is None else port)
    except OSError as error:
        if port is None:
            return _bound(0)
        taken = error.errno == errno.EADDRINUSE
        reason = "another program uses it" if taken else error.strerror
        raise InputError.single(
            f"cannot listen on port {port}: {reason}; without this option a free one is taken",
            key="--port",
        ) from None


def _bound(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # else taken for a minute
        listener.bind((LOOPBACK, port))
        listener.listen()
    except OSError:
        listener.close()
        raise
    return listener


def address_words(listener: socket.socket, token: str) -> list[str]:
    """The address for a browser here, and how to reach it from another machine."""
    port = listener.getsockname()[1]
    forward = f"ssh -L {port}:{LOOPBACK}:{port} {socket.gethostname()}"
    return [
        f"Page: http://{LOOPBACK}:{port}/?token={token}",
        f"  from elsewhere, first: {forward}",
    ]
