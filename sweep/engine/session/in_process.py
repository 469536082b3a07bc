"""Train the trials of a sweep in this process, for debugging and without Ray.

A breakpoint in a trainer works, and a profiler sees the training. Trials are the same as on Ray's
workers, and the same controller decides on them. ``resources.trials_per_gpu`` trials train in turn
(`sweep.engine.session.pack`).
"""

from __future__ import annotations

import math
import time
from bdb import BdbQuit
from collections.abc import Callable
from typing import Self

from sweep.analysis.ranking.sweep_state import SweepState
from sweep.engine.decisions.sweep_controller import SweepController
from sweep.engine.session.ending import Ending, Stop, noting_stops, reporting_errors
from sweep.engine.session.executor import in_turn, nothing
from sweep.engine.session.pack import Pack
from sweep.engine.session.sweep_location import SweepLocation
from sweep.engine.session.train_trial import Message, clean_process, train_trial
from sweep.machine.interrupted import forget_interruption
from sweep.search.schedulers.decision import Decision
from sweep.spec.search.shared_warmup import branching_epochs
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.store.store import Store
from sweep.vocabulary.error_lines import last_line
from sweep.vocabulary.errors import ResultsError, StorageFailed
from sweep.vocabulary.record import Outcome


class InThisProcess:
    """Trains in this process, and evaluates here: see `Executor`.

    A fault of the machine fails its trial at once: there is no fresh process for another try.

    Args:
        spec: the time budget, and what may be shared.
        store: the results.
        location: where they are.
    """

    def __init__(self, spec: SweepSpec, store: Store, location: SweepLocation) -> None:
        self._spec = spec
        self._log = store.layout.log
        self._uri = location.uri
        self.each = in_turn(store)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing: every trial has left the process."""

    def train(
        self,
        controller: SweepController,
        _state: SweepState | None = None,
        steer: Callable[[], object] = nothing,
        acknowledge: Callable[[str], object] = nothing,
    ) -> Ending:
        """See `Executor`.

        A signal interrupts the epoch that is trained, and never the writing of a record. To quit a
        debugger counts as a signal.
        """
        spec = self._spec
        deadline = math.inf if spec.time_budget is None else time.monotonic() + spec.time_budget
        packed = 1 if spec.resources.trials_per_gpu == "auto" else spec.resources.trials_per_gpu
        most = min(packed, spec.max_concurrent or packed)
        steer()
        if controller.finished:
            return Ending.FINISHED
        with (
            noting_stops(acknowledge) as stop,
            reporting_errors(self._log, lambda error: f"The sweep failed: {last_line(error)}"),
        ):
            pack = Pack(clean_process(spec.trainer.kind))
            try:
                while not controller.finished:
                    if stop.asked:
                        return Ending.INTERRUPTED
                    if time.monotonic() >= deadline:
                        return Ending.OUT_OF_TIME
                    self._fill(pack, most, controller)
                    turns = _turns(pack, stop)
                    steer()
                    for name, message in turns:
                        if not _continues(controller, name, message):
                            pack.drop(name)
                    steer()
            except (KeyboardInterrupt, BdbQuit):
                forget_interruption()
                return Ending.INTERRUPTED
            finally:
                pack.close()
        return Ending.FINISHED

    def _fill(self, pack: Pack, most: int, controller: SweepController) -> None:
        """Take up trials while there is room, and some that may start."""
        branching = branching_epochs(self._spec)
        while len(pack.names) < most and (folder := controller.next_trial()) is not None:
            pack.add(folder.name, train_trial(folder, self._uri, branching))
        assert pack.names, "every trial waits for another one"


def _turns(pack: Pack, stop: Stop) -> list[tuple[str, Message]]:
    """What the trials report after their turns; nothing if the sweep is to stop."""
    stop.raises = True
    try:
        said = pack.step(_ends_the_sweep)
    finally:
        stop.raises = False
    return [] if stop.asked else said  # a trainer caught the interrupt: it trains that epoch again


def _continues(controller: SweepController, name: str, message: Message) -> bool:
    """Pass on what a trial reports. Returns whether it trains on."""
    if isinstance(message, Outcome):
        controller.end(name, message)
        return False
    return all(controller.report(name, one) is Decision.CONTINUE for one in message)


def _ends_the_sweep(error: BaseException) -> bool:
    return isinstance(error, (KeyboardInterrupt, BdbQuit, StorageFailed, ResultsError))
