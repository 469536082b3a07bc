"""The Ray side of a worker: a process that trains one trial after the other, or several in turn."""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TextIO

from ray import tune

from sweep.engine.decisions.faults import device_broke, is_ordered_end, is_out_of_memory
from sweep.engine.session.pack import Pack
from sweep.engine.session.train_trial import Message, clean_process, train_trial
from sweep.trial.gpu_memory import CardInUse, card_in_use, limit_gpu_memory
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.objective import Objective
from sweep.vocabulary.record import Outcome

MESSAGE = "message"
"""Key of a Ray result that holds a `WorkerReport`."""
SECONDS_OF_A_STEP = 1.0
"""After this time a step of several trials returns even if none has finished an epoch."""
SECONDS_WITHOUT_TRIALS = 0.2
"""How long a step takes that has nothing to train."""


@dataclass(frozen=True, slots=True)
class WorkerReport:
    """What a step of a worker reports.

    Args:
        trained: ids of the trials that had a turn.
        messages: of trials that have something to report.
        refused: trials that the process did not take.
        seconds: wall time of the step.
        card: the GPU in use, if any.
        spoilt: whether the process must take no further trial.
        fault: the traceback of a fault of the machine, after which the process must end.
        by: the trial in whose turn that was; None if another one may have caused it.
    """

    trained: tuple[str, ...] = ()
    messages: tuple[tuple[str, Message], ...] = ()
    refused: tuple[str, ...] = ()
    seconds: float = 0.0
    card: CardInUse | None = None
    spoilt: bool = False
    fault: str | None = None
    by: str | None = None


class TrialActor(tune.Trainable):  # type: ignore[misc]
    """Trains the trials that the driver adds: the ``config.yaml`` of each one's folder.

    It begins without a trial. The driver calls `add` and `drop` between two Ray steps. A step lasts
    until a trial has something to report: its next epoch, or its end. Epochs that were trained
    before, by this trial or its shared warm-up, are reported at once.

    If a folder has a checkpoint (the worker died, the sweep was interrupted), its trial continues
    from there. If the folder is at a URI, the worker trains in a copy and sends the files that it
    writes.

    An exception of the trainer is the trial's outcome: it would be the same on every retry. Faults
    of the machine (a kill, the node, a full disk) end the process, and the driver hands its trials
    out again.
    """

    _sweep: str
    _of_all: Mapping[str, Any]
    _judged_by: Objective
    _pack: Pack
    _labels: dict[str, str]
    _last: dict[str, EpochMetrics]
    _refused: list[str]
    _streams: tuple[TextIO, TextIO]
    _share: float | None = None
    _broken: Exception | None = None

    @classmethod
    def default_resource_request(cls, config: Mapping[str, Any]) -> tune.PlacementGroupFactory:
        """As `tune.with_resources`, which would rename the class in the dashboard."""
        resources = config["resources"]
        return tune.PlacementGroupFactory([{kind.upper(): n for kind, n in resources.items()}])

    def setup(self, config: dict[str, Any]) -> None:
        self._pack = Pack(clean_process(config["kind"]), in_worker=True)
        self._streams = sys.stdout, sys.stderr
        self._sweep, self._of_all = config["sweep"], config
        self._judged_by = Objective(**config["objective"])
        self._labels, self._last, self._refused = {}, {}, []
        share = config["resources"]["gpu"]
        self._share = share if 0 < share < 1 else None
        if self._share is not None:
            limit_gpu_memory(self._share)

    def add(self, folder: str, label: str) -> None:
        """Take up the trial in ``folder``, from its checkpoint if it has one.

        Args:
            label: says in the process list what the trial is.
        """
        path = Path(folder)
        if self._pack.spoilt:
            self._refused.append(path.name)
            return
        if not self._pack.names:
            sys.stdout, sys.stderr = self._streams  # here alone: nobody else writes to a worker's
            self._labels, self._last = {}, {}
        training = train_trial(path, self._of_all["uri"], self._of_all["branching"])
        try:
            self._pack.add(path.name, training)
        except Exception as error:  # noqa: BLE001 - the next step reports it, nobody waits for this
            self._broken = error
        self._labels[path.name] = label
        self._last.pop(path.name, None)

    def drop(self, trial_id: str) -> None:
        """Close a trial that was stopped or paused, and release its folder.

        An exception that it raises now is only printed: the worker belongs to other trials.
        """
        try:
            self._pack.drop(trial_id)
        except BaseException as error:
            if is_ordered_end(error):
                raise
            traceback.print_exc()

    def step(self) -> dict[str, Any]:
        show_in_process_list(self._title())
        start, trained = time.perf_counter(), self._pack.names
        refused, self._refused = tuple(self._refused), []
        messages: list[tuple[str, Message]] = []
        if not trained:
            time.sleep(SECONDS_WITHOUT_TRIALS)
        try:
            if self._broken is not None:
                raise self._broken
            while not messages and self._pack.names:
                messages = [(name, self._noted(name, said)) for name, said in self._pack.step()]
                if time.perf_counter() - start > SECONDS_OF_A_STEP:
                    break
        except BaseException as error:
            if is_ordered_end(error):
                raise
            by = None if device_broke(error) else self._pack.turn
            fault = "".join(traceback.format_exception(error))
            return {MESSAGE: WorkerReport(trained, refused=refused, fault=fault, by=by)}
        report = WorkerReport(
            trained=trained,
            messages=tuple(messages),
            refused=refused,
            seconds=time.perf_counter() - start,
            card=card_in_use(),
            spoilt=bool(self._pack.spoilt),
        )
        return {MESSAGE: report}

    def cleanup(self) -> None:
        for trial_id in self._pack.names:
            self.drop(trial_id)
        if self._share is not None:
            limit_gpu_memory(1.0)

    def __repr__(self) -> str:
        """The actor's name in the dashboard, which asks once, after `setup`: no trial's name."""
        return f"{self._sweep} worker"

    def _noted(self, name: str, said: Message) -> Message:
        """Take note of what a trial says."""
        if not isinstance(said, Outcome):
            self._last[name] = said[-1]
        elif self._share is not None and is_out_of_memory(said):
            hint = f"; `resources.gpu` lets it use {self._share:g} of the GPU's memory"
            return replace(said, cause=said.cause + hint)
        return said

    def _title(self) -> str:
        """What the process trains now; of a trial that is alone also how it stands."""
        if not self._pack.names:
            return repr(self)
        name, *others = self._pack.names
        if others:
            return " ".join(self._pack.names)
        title, last = f"{name} {self._labels[name]}".rstrip(), self._last.get(name)
        if last is None:
            return title
        value, judged_by = self._judged_by.value(last), self._judged_by
        score = "" if value is None else f" {judged_by.short} {judged_by.text(value)}"
        return f"{title} epoch {last.epoch}{score}"


def show_in_process_list(title: str) -> None:
    """Title this process, in the dashboard's list of workers, in ``ps`` and ``top``.

    Ray sets it anew before each step.
    """
    with suppress(ImportError):  # not in Ray's public interface
        from ray._raylet import setproctitle  # type: ignore[attr-defined]

        setproctitle(f"ray::{title}")
