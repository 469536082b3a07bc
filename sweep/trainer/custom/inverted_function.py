"""Run a function that calls back step by step, under the control of its caller."""

from __future__ import annotations

import ctypes
import threading
import traceback
from collections.abc import Callable
from queue import SimpleQueue
from typing import Generic, TypeVar

T = TypeVar("T")

SECONDS_TO_STOP = 60.0
"""Seconds that a function may take to clean up when it is stopped."""


class TrialStopped(BaseException):
    """Raised by `Trial.report` to stop the trial: pruned, paused, or out of patience.

    Like KeyboardInterrupt, it is not an `Exception`, so that it also ends a loop that ignores
    errors. ``finally`` and ``with`` work as usual. It need not be caught.
    """


class Inverted(Generic[T]):
    """Runs a function from one `hand_over` to the next.

    The function has its own thread, but never runs at the same time as its caller: one of the two
    waits for the other. So only one of them uses what belongs to the process (random generators,
    torch's switches) at a time, as without a thread.

    Args:
        function: calls `hand_over` any number of times.
    """

    def __init__(self, function: Callable[[], object]) -> None:
        self._function = function
        self._handed: SimpleQueue[T | BaseException | None] = SimpleQueue()
        self._answers: SimpleQueue[bool] = SimpleQueue()
        self._stops = self._waits = False
        # A daemon, so that a function which does not stop cannot keep the process alive.
        self._thread = threading.Thread(target=self._run, name="trainer function", daemon=True)

    def next(self) -> T | None:
        """The next item that the function hands over; None if it returns instead.

        Raises:
            BaseException: what the function raises.
        """
        if self._waits:
            self._answer(go_on=True)
        elif self._thread.ident is None:
            self._thread.start()
        elif not self._thread.is_alive():
            return None
        try:
            found = self._handed.get()
        except BaseException:  # Ctrl-C: stop the function without waiting for its epoch
            self._stops = True
            # Raises `TrialStopped` in the function's thread, anywhere in Python code.
            ident = ctypes.c_ulong(self._thread.ident or 0)
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ident, ctypes.py_object(TrialStopped))
            # Where it has just handed something over, it waits for an answer and runs no Python.
            # Before the line above, it could be stopped twice, the second time in its clean-up.
            self._answer(go_on=False)
            self._thread.join(SECONDS_TO_STOP)
            raise
        if isinstance(found, BaseException):
            raise found
        return found

    def hand_over(self, item: T) -> None:
        """Called by the function: wait until the caller wants the next item.

        Raises:
            TrialStopped: the caller stops the function.
        """
        if not self._stops:
            self._waits = True
            self._handed.put(item)
            self._stops = not self._answers.get()
        if self._stops:
            raise TrialStopped

    def finish(self) -> None:
        """Let the function run to its end; handing over more stops it. Raises as `next`."""
        if self._waits and self.next() is not None:
            self.stop()

    def stop(self) -> None:
        """Stop the function where it waits. An error that it raises then is only printed."""
        if self._waits:
            self._answer(go_on=False)
            self._thread.join(SECONDS_TO_STOP)
            while not self._handed.empty():
                error = self._handed.get()
                if isinstance(error, BaseException) and not isinstance(error, TrialStopped):
                    traceback.print_exception(error)

    def _run(self) -> None:
        found: BaseException | None = None
        try:
            self._function()
        except BaseException as error:  # noqa: BLE001 - `next` raises it again
            found = error
        self._handed.put(found)

    def _answer(self, *, go_on: bool) -> None:
        self._waits = False
        self._answers.put(go_on)
