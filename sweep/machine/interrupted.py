"""Ctrl-C and other signals to stop: one word and the exit code, no traceback."""

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
"""Exit code, as a shell reports it for a program that is ended by Ctrl-C."""

STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Ctrl-C; `kill`, `timeout`, a batch system; the end of the terminal."""


@contextmanager
def stops_as_ctrl_c() -> Iterator[None]:
    """Each of these signals raises KeyboardInterrupt, which is handled already.

    Python's own handler raises it. A `raise` of ours inside a user's code would look like one of
    that code, which is an error of the code and not Ctrl-C (`trainer.custom.raised_errors`).
    """
    with handling_stops(signal.default_int_handler):
        yield


@contextmanager
def handling_stops(
    receive: Callable[[int, FrameType | None], object],
) -> Iterator[dict[int, Any]]:
    """``receive`` gets the signals of `STOPS`. Yields their earlier handlers.

    A hangup that `nohup` makes this process ignore stays ignored. Python delivers signals only to
    its main thread, so a sweep in another thread is not stopped by them. A process that is forked
    meanwhile, such as one of a `multiprocessing.Pool`, has the earlier handlers. One that is
    spawned hears of no Ctrl-C (`_spawned_without_ctrl_c`).
    """
    if threading.current_thread() is not threading.main_thread():
        yield {}
        return
    before: dict[int, Any] = {number: signal.getsignal(number) for number in STOPS}
    if before[signal.SIGHUP] is signal.SIG_IGN:
        del before[signal.SIGHUP]
    for number in before:
        signal.signal(number, receive)
    _earlier.append(before)
    try:
        with _spawned_without_ctrl_c():
            yield before
    finally:
        if before in _earlier:  # not in a process that was forked meanwhile and ends here
            _earlier.remove(before)
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _spawned_without_ctrl_c() -> Iterator[None]:
    """What `multiprocessing` spawns gets no Ctrl-C, which a terminal sends to it too.

    Python would print a traceback of whatever it was importing. Who started it ends it. Only a
    signal that is blocked where it is started cannot reach it before its first line.
    """
    from multiprocessing.process import BaseProcess
    from multiprocessing.resource_tracker import ensure_running

    start = BaseProcess.start

    def quietly(process: BaseProcess) -> None:
        if getattr(process, "_start_method", None) != "spawn":
            start(process)
            return
        ensure_running()  # the first start would do it, and unblock the signal
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            start(process)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    BaseProcess.start = quietly  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        BaseProcess.start = start  # type: ignore[method-assign]


_earlier: list[dict[int, Any]] = []
"""The handlers that `handling_stops` has replaced, the latest last."""

_forking = threading.local()


def _before_fork() -> None:
    """Let no signal reach the child before its handlers are back: Python would forget it there."""
    _forking.mask = signal.pthread_sigmask(signal.SIG_BLOCK, STOPS if _earlier else ())


def _after_fork() -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, _forking.mask)


def _in_child() -> None:
    while _earlier:
        for number, handler in _earlier.pop().items():
            signal.signal(number, handler)
    _after_fork()


os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_in_child)


def expect_interruption() -> None:
    """From now on an unhandled interruption ends the process with one word and its exit code."""
    sys.excepthook = _report


def forget_interruption() -> None:
    """Keep Python 3.11 from ending itself with a signal that is already handled.

    If a KeyboardInterrupt leaves code that runs from a string, Python takes it for unhandled
    (`run_eval_code_obj` in CPython). Imports run much such code: dataclasses, named tuples. The
    next code that runs from a string resets this.
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
