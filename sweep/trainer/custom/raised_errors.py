"""Exceptions of a user's code that would be misunderstood by the code that runs it.

A KeyboardInterrupt is Ctrl-C, a GeneratorExit or a StopIteration the end of a generator, a
`SweepFailed` the end of the sweep: each of them only where we, or Python, raise it. Where a user's
own code does, it is an error of his trial like any other.
"""

from __future__ import annotations

import dis
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

from sweep.trainer.custom.inverted_function import TrialStopped
from sweep.trainer.runs.returned_values import Method, near
from sweep.vocabulary.errors import ResultsError, SweepFailed, TrainerError
from sweep.vocabulary.record import last_line


@contextmanager
def told_as_an_error(by: Method | str) -> Iterator[None]:
    """Around a call of a user's code.

    Args:
        by: whose it is, for the message.
    Raises:
        TrainerError: for what is no ordinary error; it has that as its cause.
    """
    try:
        yield
    except BaseException as error:
        found = _hidden(error)
        if _is_his_to_raise(found):
            raise
        raise TrainerError(f"{by} raised {last_line(found)}{_place(found)}") from found


def _hidden(error: BaseException) -> BaseException:
    """The error itself, or the StopIteration that Python hides in a generator."""
    cause = error.__cause__
    return cause if isinstance(error, RuntimeError) and isinstance(cause, StopIteration) else error


def _is_his_to_raise(error: BaseException) -> bool:
    is_main = threading.current_thread() is threading.main_thread()
    if isinstance(error, KeyboardInterrupt):
        return is_main and not _is_written(error)  # a signal arrives in the main thread
    if isinstance(error, TrialStopped):
        return not is_main  # it stops a function in its own thread, and nobody else
    if isinstance(error, StopIteration | SweepFailed | ResultsError):
        return False
    return isinstance(error, Exception | SystemExit)


def _is_written(error: BaseException) -> bool:
    """Whether a ``raise`` has raised it, and not Python between two instructions."""
    last = _innermost(error)
    if last is None:
        return False
    return last.tb_frame.f_code.co_code[last.tb_lasti] == dis.opmap["RAISE_VARARGS"]


def _innermost(error: BaseException) -> TracebackType | None:
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    return place


def _place(error: BaseException) -> str:
    last = _innermost(error)
    return "" if last is None else f" at {near(last.tb_frame.f_code.co_filename)}:{last.tb_lineno}"
