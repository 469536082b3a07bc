"""Ctrl-C while a command is still being loaded: a word and the exit code, no traceback."""

from __future__ import annotations

import os
import sys
from collections import namedtuple
from types import TracebackType

INTERRUPTED = 130
"""Exit code, the same that a shell gives for a program that dies of Ctrl-C."""


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
