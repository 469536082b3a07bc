"""Exceptions of a user's code that the code which runs it would misunderstand.

A KeyboardInterrupt means Ctrl-C, a GeneratorExit or a StopIteration the end of a generator, a
`SweepFailed` the end of the sweep. They mean that only if we, or Python, raise them. If a user's
own code raises one, it is an error of the trial like any other.
"""

from __future__ import annotations

import dis
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

from sweep.plugins.user_files import without_arguments
from sweep.trainer.custom.inverted_function import TrialStopped
from sweep.trainer.runs.returned_values import Method
from sweep.vocabulary.error_lines import last_line, near
from sweep.vocabulary.errors import ResultsError, SweepFailed, TrainerError


@contextmanager
def own_errors(by: Method | str) -> Iterator[None]:
    """Wrap a call of a user's code, which does not see the arguments of our command.

    Args:
        by: names the code, for the message.
    Raises:
        TrainerError: in place of an error that is not an ordinary one, which is its cause.
    """
    try:
        with without_arguments():
            yield
    except BaseException as error:
        found, cause = error, error.__cause__
        if isinstance(error, RuntimeError) and isinstance(cause, StopIteration):
            found = cause  # Python hides it in a generator
        last = found.__traceback__  # the innermost frame
        while last is not None and last.tb_next is not None:
            last = last.tb_next
        if _is_ordinary(found, last):
            raise
        place = last and f" at {near(last.tb_frame.f_code.co_filename)}:{last.tb_lineno}"
        raise TrainerError(f"{by} raised {last_line(found)}{place or ''}") from found


def _is_ordinary(error: BaseException, last: TracebackType | None) -> bool:
    is_main = threading.current_thread() is threading.main_thread()
    if isinstance(error, KeyboardInterrupt):  # a signal arrives in the main thread
        # Python raises it between two instructions, and not by a `raise`.
        is_written = last is not None and (
            last.tb_frame.f_code.co_code[last.tb_lasti] == dis.opmap["RAISE_VARARGS"]
        )
        return is_main and not is_written
    if isinstance(error, TrialStopped):
        return not is_main  # it stops only a function in its own thread
    if isinstance(error, StopIteration | SweepFailed | ResultsError):
        return False
    return isinstance(error, Exception | SystemExit)
