"""Execute a controller's trials one at a time in this process, for debugging and without Ray.

A breakpoint in a trainer works, and a profiler sees the training. Trials are the same as on Ray's
workers, and the same controller decides on them.
"""

from __future__ import annotations

import math
import time
from bdb import BdbQuit
from collections.abc import Callable
from pathlib import Path

from sweep.engine.decisions.sweep_controller import SweepController
from sweep.engine.session.ending import Ending, Stop, noting_stops, reporting_errors
from sweep.engine.session.sweep_location import SweepLocation
from sweep.engine.session.train_trial import clean_process, left_behind, next_message, train_trial
from sweep.machine.interrupted import forget_interruption
from sweep.search.schedulers.decision import Decision
from sweep.spec.search.shared_warmup import branching_epochs
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.vocabulary.errors import ResultsError, StorageFailed
from sweep.vocabulary.record import Outcome, last_line


def execute_here(
    controller: SweepController,
    spec: SweepSpec,
    log: Path,
    location: SweepLocation,
    *,
    steer: Callable[[], object] = lambda: None,
    acknowledge: Callable[[str], object] = lambda _: None,
) -> Ending:
    """Run the controller's trials until it is finished, or a signal or the time budget stops it.

    A signal interrupts the epoch that is trained, and never the writing of a record. To quit a
    debugger counts as a signal. A fault of the machine fails its trial at once, because there is no
    fresh process for another try.

    Args:
        controller: decides and records.
        spec: the time budget, and what may be shared.
        log: gets the traceback of an error that ends the sweep.
        location: where the results are.
        steer: takes what users ask of the sweep; called between epochs.
        acknowledge: called in the signal handler when a signal has arrived.
    Raises:
        SweepFailed: results cannot be written, or the sweep's own code failed.
    """
    deadline = math.inf if spec.time_budget is None else time.monotonic() + spec.time_budget
    with (
        noting_stops(acknowledge) as stop,
        reporting_errors(log, lambda error: f"The sweep failed: {last_line(error)}"),
    ):
        try:
            steer()
            while not controller.finished:
                if stop.asked:
                    return Ending.INTERRUPTED
                if time.monotonic() >= deadline:
                    return Ending.OUT_OF_TIME
                folder = controller.next_trial()
                assert folder is not None, "every trial waits for another one"
                _train(controller, folder, spec, location, stop, deadline, steer)
                steer()
        except (KeyboardInterrupt, BdbQuit):
            forget_interruption()
            return Ending.INTERRUPTED
    return Ending.FINISHED


def _train(
    controller: SweepController,
    folder: Path,
    spec: SweepSpec,
    location: SweepLocation,
    stop: Stop,
    deadline: float,
    steer: Callable[[], object],
) -> None:
    """Train one trial until it ends or waits, or until the sweep is to stop."""
    clean = clean_process(spec.trainer.kind)
    training = train_trial(folder, location.uri, branching_epochs(spec))
    try:
        while not stop.asked and time.monotonic() < deadline:
            stop.raises = True
            try:
                message = next_message(training, _ends_the_sweep)
            finally:
                stop.raises = False
            if stop.asked:  # the trainer caught the interrupt: this epoch is trained again
                return
            if isinstance(message, Outcome):
                controller.end(folder.name, message)
                return
            steer()
            for metrics in message:
                if controller.report(folder.name, metrics) is not Decision.CONTINUE:
                    return
    finally:
        training.close()
        left_behind(clean)


def _ends_the_sweep(error: BaseException) -> bool:
    return isinstance(error, (KeyboardInterrupt, BdbQuit, StorageFailed, ResultsError))
