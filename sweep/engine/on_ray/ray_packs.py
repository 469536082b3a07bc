"""Run trials in packs: a trial of Ray Tune is then a worker that trains several of ours.

The trials of a pack come and go while Ray's trial goes on. So Ray retries nothing here:
`TrialPlacement` finds out which trial a worker died of.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ray.tune.experiment import Trial
from ray.tune.search import Searcher

from sweep.engine.decisions.faults import read_failures
from sweep.engine.decisions.sweep_controller import SweepController
from sweep.engine.on_ray.capacity import Capacity
from sweep.engine.on_ray.pack_actor import PackActor, PackReport
from sweep.engine.on_ray.ray_tune import (
    DeferredError,
    Doors,
    SchedulerDoor,
    SearcherDoor,
    Supervised,
    Supervision,
)
from sweep.engine.packs.pack_sizes import PackSizes
from sweep.engine.packs.trial_placement import TrialPlacement
from sweep.vocabulary.record import Outcome


class Packs:
    """The packs of a sweep, and Ray's handles of those that have started.

    Args:
        controller: has the trials.
        sizes: how many trials a pack may have.
        capacity: how many packs there is room for now, and what each needs.
        most: largest number of trials that run at once; None: no limit.
    """

    def __init__(
        self, controller: SweepController, sizes: PackSizes, capacity: Capacity, most: int | None
    ) -> None:
        self.controller = controller
        self.sizes = sizes
        self.placement = TrialPlacement(controller, sizes, most)
        self.capacity = capacity
        self._actors: dict[str, Any] = {}
        self._opened = 0

    def open(self) -> str | None:
        """Name of a new pack; None if there is no room, or nothing to train."""
        self.capacity.per_worker = self.sizes.largest
        if len(self.placement) >= self.capacity():
            return None
        name = f"pack{self._opened:04}"
        if not self.placement.open(name):
            return None
        self._opened += 1
        return name

    def start(self, name: str, actor: Any) -> None:
        """The process of a pack has started: send it what it was given meanwhile."""
        self._actors[name] = actor
        for folder in self.placement.folders(name):
            actor.add.remote(str(folder))

    def fill(self) -> None:
        """Give trials to the packs, unless one is about to be opened, so that all GPUs are used."""
        if len(self.placement) < self.capacity():
            return
        for name, folder in self.placement.fill():
            if name in self._actors:
                self._actors[name].add.remote(str(folder))

    def take(self, name: str, report: PackReport) -> bool:
        """Pass on what a pack reports. Whether the pack goes on."""
        card = report.card
        self.placement.note(
            name,
            card=None if card is None else card.name,
            spoilt=report.spoilt,
            refused=report.refused,
        )
        if report.fault is not None:
            self.lost(name, [report.fault], report.by)
            return False
        if card is not None:
            memory, count = (card.used, card.total), len(report.trained)
            trained = [*self._steps(report)]
            self.sizes.observe(name, card.name, count, trained, report.seconds, memory)
        for trial_id in self.placement.report(name, report.messages):
            self._actors[name].drop.remote(trial_id)
        self.fill()
        if self.placement.is_over(name):
            self.placement.close(name)
            del self._actors[name]
            return False
        return True

    def _steps(self, report: PackReport) -> Iterator[int]:
        """The steps of each epoch that a pack has just trained."""
        for trial_id, message in report.messages:
            if not isinstance(message, Outcome):
                for metrics in message:
                    if self.placement.is_new(trial_id, metrics):
                        yield metrics.steps

    def lost(self, name: str, failures: list[str], by: str | None = None) -> None:
        """The process of a pack has ended by a fault."""
        self._actors.pop(name, None)
        self.placement.lost(name, failures, by)


class PackSearcher(SearcherDoor):
    """Gives Ray a pack for each free slot.

    Args:
        packs: of the sweep.
        door, of_all: as of `SearcherDoor`.
    """

    def __init__(self, packs: Packs, door: DeferredError, of_all: Mapping[str, Any]) -> None:
        super().__init__(door, of_all)
        self._packs = packs

    def _next(self) -> dict[str, Any] | str | None:
        name = self._packs.open()
        if name is not None:
            return {"pack": name}
        return str(Searcher.FINISHED) if self._packs.controller.finished else None


class PackScheduler(SchedulerDoor):
    """Passes the reports of packs on."""

    def __init__(self, packs: Packs, door: DeferredError) -> None:
        super().__init__(door)
        self._packs = packs

    def _goes_on(self, trial: Trial, message: PackReport) -> bool:
        return self._packs.take(pack_name(trial), message)


class PackSupervision(Supervision):
    """`Supervision` of packs."""

    def __init__(self, packs: Packs, supervised: Supervised) -> None:
        super().__init__(supervised)
        self._packs = packs
        self._door = supervised.door

    def on_step_begin(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        super().on_step_begin(iteration, trials, **info)
        with self._door():
            self._packs.fill()

    def on_trial_start(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        """Called before the first step of a pack."""
        with self._door():
            self._packs.start(pack_name(trial), trial.temporary_state.ray_actor)

    def on_trial_error(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        """Called when a process has died."""
        with self._door():
            self._packs.lost(pack_name(trial), read_failures(trial))


def in_packs(
    capacity: Capacity,
    of_all: Mapping[str, Any],
    supervised: Supervised,
    sizes: PackSizes,
    most: int | None,
) -> Doors:
    """A worker trains a pack of trials, which is a trial of Ray's.

    Args:
        capacity: how many packs there is room for.
        of_all: see `sweep.engine.on_ray.ray_tune.sent_to_workers`.
        supervised: what is supervised.
        sizes: how many trials a pack may have.
        most: largest number of trials that run at once; None: no limit.
    """
    packs = Packs(supervised.controller, sizes, capacity, most)
    return Doors(
        PackActor,
        PackSearcher(packs, supervised.door, of_all),
        PackScheduler(packs, supervised.door),
        PackSupervision(packs, supervised),
        pack_name,
        reuse=False,
        retries=0,
    )


def pack_name(trial: Trial) -> str:
    """Our name of the pack that is a trial for Ray."""
    return str(trial.config["pack"])
