"""Ctrl-C, and what else asks a command to stop: a word and the exit code, no traceback."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections import namedtuple
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any

INTERRUPTED = 130
"""Exit code, the same that a shell gives for a program that dies of Ctrl-C."""

STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Ctrl-C; `kill`, `timeout`, a batch system; the end of the terminal."""

Handler = Callable[[int, FrameType | None], object]


@contextmanager
def stops_as_ctrl_c() -> Iterator[None]:
    """Whatever asks for a stop raises KeyboardInterrupt: that is handled already."""

    def receive(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    with handling_stops(receive):
        yield


@contextmanager
def handling_stops(receive: Handler) -> Iterator[dict[int, Any]]:
    """``receive`` gets the signals of `STOPS`. Yields what handled them before.

    Of a hangup that `nohup` has us ignore nobody is told. Python hands signals to its main thread
    alone: a sweep that runs in another one is not stopped by them.
    """
    if threading.current_thread() is not threading.main_thread():
        yield {}
        return
    before: dict[int, Any] = {number: signal.getsignal(number) for number in STOPS}
    if before[signal.SIGHUP] is signal.SIG_IGN:
        del before[signal.SIGHUP]
    for number in before:
        signal.signal(number, receive)
    try:
        yield before
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def expect_interruption() -> None:
    """From now on an interruption that nobody handles ends the process with a word and its code."""
    sys.excepthook = _report


def forget_interruption() -> None:
    """Keep Python 3.11 from dying of the signal at its end, though we have handled it.

    It takes a KeyboardInterrupt that leaves the code of a string for unhandled (in CPython,
    `run_eval_code_obj`), and imports are full of such code: dataclasses, named tuples. The next
    such code to run makes it forget that.
    """
    namedtuple("Forget", ())


def _report(
    kind: type[BaseException], error: BaseException, traceback: TracebackType | None
) -> None:
    if not issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, traceback)
        return
    print("interrupted", file=sys.stderr, flush=True)  # noqa: T201
    os._exit(INTERRUPTED)  # Python itself would send the signal again; nothing is open yet
