"""The Ray side of a pack: a worker process that trains several trials at once."""

from __future__ import annotations

import time
import traceback
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ray import tune

from sweep.engine.decisions.faults import device_broke, is_ordered_end
from sweep.engine.on_ray.trial_actor import MESSAGE, resource_request, show_in_process_list
from sweep.engine.session.pack import Pack
from sweep.engine.session.train_trial import Message, clean_process, train_trial

if TYPE_CHECKING:
    from sweep.trial.gpu_memory import CardInUse

SECONDS_OF_A_STEP = 1.0
"""After this time a step returns even if no trial has finished an epoch."""
SECONDS_WITHOUT_TRIALS = 0.2
"""How long a step takes that has nothing to train."""


@dataclass(frozen=True, slots=True)
class PackReport:
    """What a step of a pack reports.

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


class PackActor(tune.Trainable):  # type: ignore[misc]
    """Trains the trials that the driver adds, in turn.

    One Ray step lasts until a trial has something to report. It begins without a trial: the driver
    calls `add` and `drop` between two steps.
    """

    _name: str
    _of_all: Mapping[str, Any]
    _pack: Pack
    _refused: list[str]

    @classmethod
    def default_resource_request(cls, config: Mapping[str, Any]) -> tune.PlacementGroupFactory:
        return resource_request(config)

    def setup(self, config: dict[str, Any]) -> None:
        self._name, self._of_all = config["pack"], config
        self._pack = Pack(clean_process(config["kind"]))
        self._refused = []

    def add(self, folder: str) -> None:
        """Take up the trial in ``folder``, from its checkpoint if it has one."""
        path = Path(folder)
        if self._pack.spoilt:
            self._refused.append(path.name)
            return
        training = train_trial(path, self._of_all["uri"], self._of_all["branching"])
        self._pack.add(path.name, training)

    def drop(self, trial_id: str) -> None:
        """Close a trial that was stopped or paused, and release its folder."""
        try:
            self._pack.drop(trial_id)
        except BaseException as error:
            if is_ordered_end(error):
                raise
            traceback.print_exc()  # the trial has ended, and its neighbours have not

    def step(self) -> dict[str, Any]:
        show_in_process_list(repr(self))
        start, trained = time.perf_counter(), self._pack.names
        refused, self._refused = tuple(self._refused), []
        messages: list[tuple[str, Message]] = []
        if not trained:
            time.sleep(SECONDS_WITHOUT_TRIALS)
        try:
            while not messages and self._pack.names:
                messages = self._pack.step()
                if time.perf_counter() - start > SECONDS_OF_A_STEP:
                    break
        except BaseException as error:
            if is_ordered_end(error):
                raise
            by = None if device_broke(error) else self._pack.turn
            fault = "".join(traceback.format_exception(error))
            return {MESSAGE: PackReport(trained, refused=refused, fault=fault, by=by)}
        report = PackReport(
            trained=trained,
            messages=tuple(messages),
            refused=refused,
            seconds=time.perf_counter() - start,
            card=_card(),
            spoilt=bool(self._pack.spoilt),
        )
        return {MESSAGE: report}

    def cleanup(self) -> None:
        for trial_id in self._pack.names:
            self.drop(trial_id)

    def __repr__(self) -> str:
        """The actor's name in the dashboard, which asks once, after `setup`."""
        return " ".join([self._name, *self._pack.names])


def _card() -> CardInUse | None:
    with suppress(Exception):  # the device broke: the next turn of a trial says so
        from sweep.trial.gpu_memory import card_in_use

        return card_in_use()
    return None
