"""How the execution of a sweep ends: by itself, by a signal, or by an error."""

from __future__ import annotations

import signal
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from pathlib import Path
from types import FrameType

from sweep.machine.interrupted import handling_stops
from sweep.vocabulary.errors import ResultsError, SweepError, SweepFailed

STOPPING = (
    "Stopping: all reported epochs are saved. Running trials continue from their last epoch when"
    " the sweep is resumed. Press Ctrl-C again to stop at once."
)


class Ending(Enum):
    """After the last two, all reported epochs are saved, and the sweep can be resumed."""

    FINISHED = "finished"
    INTERRUPTED = "interrupted"
    OUT_OF_TIME = "the time budget is spent"


@dataclass(slots=True)
class Stop:
    """Whether a signal has asked for a stop, and whether one raises KeyboardInterrupt now."""

    asked: bool = False
    raises: bool = False


@contextmanager
def noting_stops(acknowledge: Callable[[str], object], *, raises: bool = False) -> Iterator[Stop]:
    """Note a signal that asks for a stop. A second one has the effect that it had before.

    Args:
        acknowledge: called in the signal handler with a sentence for the user.
        raises: whether the signal also raises KeyboardInterrupt. The `Stop` can change that.
    """
    stop = Stop(raises=raises)

    def receive(number: int, _frame: FrameType | None) -> None:
        stop.asked = True
        signal.signal(number, before[number])
        acknowledge(STOPPING)
        if stop.raises:
            raise KeyboardInterrupt

    with handling_stops(receive) as before:
        yield stop


@contextmanager
def reporting_errors(log: Path, describe: Callable[[Exception], str]) -> Iterator[None]:
    """Turn an unexpected exception into a `SweepFailed`, with the traceback in ``log``.

    Args:
        log: ``sweep.log``.
        describe: the message, without the place of the traceback.
    """
    try:
        yield
    except ResultsError as error:
        raise SweepFailed(str(error)) from error
    except SweepError:
        raise
    except Exception as error:
        note(log, error)
        raise SweepFailed(f"{describe(error)} (more in {log})") from error


def note(log: Path, error: BaseException) -> None:
    """Append an exception with its traceback to ``sweep.log``, if that can be written.

    The screen shows such an error in one line.
    """
    text = "".join(traceback.format_exception(error))
    when = datetime.now().astimezone().isoformat(timespec="seconds")
    with suppress(OSError), log.open("a", encoding="utf-8", errors="backslashreplace") as file:
        file.write(f"{when}\n{text}")
