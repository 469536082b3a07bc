"""Execute a controller's trials one at a time in this process, for debugging and without Ray.

A breakpoint in a trainer works, and a profiler sees the training. Trials are the same as on Ray's
workers, one at a time; what is decided is decided by the same controller.
"""

from __future__ import annotations

import math
import signal
import time
from bdb import BdbQuit
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from sweep.engine.decisions.faults import is_infrastructure
from sweep.engine.decisions.sweep_controller import SweepController
from sweep.engine.session.ending import Ending
from sweep.engine.session.log_file import note
from sweep.engine.session.sweep_location import SweepLocation
from sweep.engine.session.train_trial import (
    Message,
    Training,
    clean_process,
    left_behind,
    next_message,
    train_trial,
)
from sweep.machine.interrupted import forget_interruption, handling_stops
from sweep.search.schedulers.decision import Decision
from sweep.spec.search.shared_warmup import branching_epochs
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.vocabulary.errors import ResultsError, StorageFailed, SweepError, SweepFailed
from sweep.vocabulary.record import Outcome, last_line

STOPPING = (
    "Stopping: all reported epochs are saved. The running trial continues from its last epoch when"
    " the sweep is resumed."
)


def execute_here(
    controller: SweepController,
    spec: SweepSpec,
    log: Path,
    location: SweepLocation,
    *,
    acknowledge: Callable[[str], object] = lambda _: None,
) -> Ending:
    """Run the controller's trials until it is finished, or a signal or the time budget stops it.

    A signal interrupts the epoch that is trained, and never the writing of a record. To quit a
    debugger counts as a signal. A fault of the machine fails its trial at once: there is no fresh
    process to try it again in.

    Args:
        controller: decides and records.
        spec: the time budget, and what may be shared.
        log: where the traceback goes of what ends the sweep.
        location: where the results lie.
        acknowledge: is called from within the handler when a signal has arrived.
    Raises:
        SweepFailed: results cannot be written, or something in here broke down.
    """
    deadline = math.inf if spec.time_budget is None else time.monotonic() + spec.time_budget
    with _interruptible(acknowledge) as stop:
        try:
            while not controller.finished:
                if stop.asked:
                    return Ending.INTERRUPTED
                if time.monotonic() >= deadline:
                    return Ending.OUT_OF_TIME
                folder = controller.next_trial()
                assert folder is not None, "every trial waits for another one"
                _train(controller, folder, spec, location, stop, deadline)
        except (KeyboardInterrupt, BdbQuit):
            forget_interruption()
            return Ending.INTERRUPTED
        except (StorageFailed, ResultsError) as error:
            raise SweepFailed(str(error)) from error
        except SweepError:
            raise
        except Exception as error:
            note(log, error)
            told = f"The sweep failed: {last_line(error)} (more in {log})"
            raise SweepFailed(told) from error
    return Ending.FINISHED


@dataclass
class _Stop:
    """Whether a stop was asked for, and whether an epoch is being trained that it may interrupt."""

    asked: bool = False
    may_interrupt: bool = False


def _train(
    controller: SweepController,
    folder: Path,
    spec: SweepSpec,
    location: SweepLocation,
    stop: _Stop,
    deadline: float,
) -> None:
    """Train one trial until it ends, waits, or the sweep is to stop."""
    clean = clean_process(spec.trainer.kind)
    training = train_trial(folder, location.uri, branching_epochs(spec))
    try:
        while not stop.asked and time.monotonic() < deadline:
            message = _next_message(training, stop)
            if stop.asked:  # whatever the trainer made of it: this epoch is trained again
                return
            if isinstance(message, Outcome):
                controller.end(folder.name, message)
                return
            for metrics in message:
                if controller.report(folder.name, metrics) is not Decision.CONTINUE:
                    return
    finally:
        training.close()
        left_behind(clean)


def _next_message(training: Training, stop: _Stop) -> Message:
    """`next_message`, which a signal may interrupt."""
    stop.may_interrupt = True
    try:
        return next_message(training, _is_no_trainers)
    except Exception as error:
        if isinstance(error, (StorageFailed, ResultsError, BdbQuit)):
            raise
        return Outcome.failed(error)
    finally:
        stop.may_interrupt = False


def _is_no_trainers(error: BaseException) -> bool:
    return isinstance(error, (KeyboardInterrupt, BdbQuit)) or is_infrastructure(error)


@contextmanager
def _interruptible(acknowledge: Callable[[str], object]) -> Iterator[_Stop]:
    """Notes signals that ask for a stop; one that comes during an epoch interrupts it."""
    stop = _Stop()

    def receive(number: int, _frame: FrameType | None) -> None:
        signal.signal(number, before[number])
        stop.asked = True
        acknowledge(STOPPING)
        if stop.may_interrupt:
            raise KeyboardInterrupt

    with handling_stops(receive) as before:
        yield stop
