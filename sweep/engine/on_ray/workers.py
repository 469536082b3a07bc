"""The workers of a sweep on Ray, and what each is sent: trials to train, and to drop."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sweep.engine.decisions.sweep_controller import SweepController
from sweep.engine.on_ray.capacity import Capacity
from sweep.engine.on_ray.trial_actor import WorkerReport
from sweep.engine.packs.pack_sizes import PackSizes
from sweep.engine.packs.trial_placement import TrialPlacement
from sweep.vocabulary.record import Outcome


class Workers:
    """The workers, each with its pack of trials, and Ray's handles of those that have started.

    Args:
        controller: has the trials.
        sizes: how many trials a worker may train at once.
        capacity: how many workers there is room for now, and what each needs.
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

    @property
    def are_waited_for(self) -> bool:
        """Whether only processes are left that have not started, and nothing is left for them."""
        return self.controller.finished and len(self.placement) > 0 and not self._actors

    def open(self) -> str | None:
        """Name of a new worker; None if there is no room, or nothing to train."""
        if not self._has_slot:
            return None
        name = f"worker{self._opened:04}"
        if not self.placement.open(name):
            return None
        self._opened += 1
        return name

    def start(self, name: str, actor: Any) -> None:
        """The process of a worker has started: send it what it was given meanwhile."""
        self._actors[name] = actor
        for folder in self.placement.start(name):
            self._send(name, folder)
        self.fill()

    def fill(self) -> None:
        """Give trials to the workers. While another worker is about to be opened, so that all GPUs
        are used, only those without a trial get one.
        """
        for name, folder in self.placement.fill(beside_others=not self._has_slot):
            if name in self._actors:
                self._send(name, folder)

    def take(self, name: str, report: WorkerReport) -> bool:
        """Pass on what a worker reports. Whether the worker goes on."""
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

    def lost(self, name: str, failures: list[str], by: str | None = None) -> None:
        """The process of a worker has ended by a fault."""
        self._actors.pop(name, None)
        self.placement.lost(name, failures, by)

    @property
    def _has_slot(self) -> bool:
        self.capacity.per_worker = self.sizes.largest
        return len(self.placement) < self.capacity()

    def _send(self, name: str, folder: Path) -> None:
        self._actors[name].add.remote(str(folder), self.controller.label(folder.name))

    def _steps(self, report: WorkerReport) -> Iterator[int]:
        """The steps of each epoch that a worker has just trained."""
        for trial_id, message in report.messages:
            if not isinstance(message, Outcome):
                for metrics in message:
                    if self.placement.is_new(trial_id, metrics):
                        yield metrics.steps
