"""The Ray side of one trial: a worker process that trains one configuration after another."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from ray import tune

from sweep.engine.decisions.faults import is_ordered_end, is_out_of_memory
from sweep.engine.session.train_trial import (
    Training,
    clean_process,
    left_behind,
    next_message,
    train_trial,
)
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.objective import Objective
from sweep.vocabulary.record import Outcome

if TYPE_CHECKING:
    from sweep.trial.process_state import CleanProcess

MESSAGE = "message"
"""Key of a Ray result that holds a `Message` of `train_trial`."""

NO_TRIAL = "no-trial"
"""Folder name of a pseudo-trial that only starts a worker."""


class WorkerSpoilt(Exception):
    """The previous trial changed something in this process that cannot be undone; names it."""


def resource_request(config: Mapping[str, Any]) -> tune.PlacementGroupFactory:
    """As `tune.with_resources`, which would rename the class in the dashboard."""
    resources = config["resources"]
    return tune.PlacementGroupFactory([{kind.upper(): n for kind, n in resources.items()}])


def show_in_process_list(title: str) -> None:
    """Title this process, in the dashboard's list of workers, in ``ps`` and ``top``.

    Ray sets it anew before each step.
    """
    with suppress(ImportError):  # not in Ray's public interface
        from ray._raylet import setproctitle  # type: ignore[attr-defined]

        setproctitle(f"ray::{title}")


class TrialActor(tune.Trainable):  # type: ignore[misc]
    """Trains the ``config.yaml`` of a trial's folder; one Ray step is one epoch.

    Epochs that were trained before, by this trial or its trunk, are reported in a first step, all
    at once. The step after the last epoch has the outcome. It is not marked as Ray's ``done``: Ray
    shows such results to no scheduler, and our scheduler records them.

    The worker trains what is in the folder: nothing else is sent to it. If the folder has a
    checkpoint (the worker died, the sweep was interrupted), the trial continues from there. If the
    folder is at a URI, the worker trains in a copy and sends the files that it writes.

    An exception of the trainer is the trial's outcome: it would be the same on every retry. Faults
    of the machine (a kill, the node, a full disk) are left to Ray's retries, each in a fresh
    process.
    """

    _sweep: str
    _name: str
    _judged_by: Objective
    _run: Training | None = None
    _last: EpochMetrics | None = None
    _clean: CleanProcess | None = None
    _streams: tuple[TextIO, TextIO]
    _share: float | None = None

    @classmethod
    def default_resource_request(cls, config: Mapping[str, Any]) -> tune.PlacementGroupFactory:
        return resource_request(config)

    def setup(self, config: dict[str, Any]) -> None:
        self._clean, self._streams = clean_process(config["kind"]), (sys.stdout, sys.stderr)
        self._sweep = config["sweep"]
        share = config["resources"]["gpu"]
        self._share = share if 0 < share < 1 else None
        self._limit_memory(self._share)
        self._begin(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Begin the next trial in the same process, which imports and reads the data only once.

        Raises:
            WorkerSpoilt: this process refuses further trials. Ray then ends it and gives up the
                trial, which the driver hands out again
                (`sweep.engine.on_ray.ray_tune.Supervision`). Ray 2.60 does not report False, the
                other way to refuse.
        """
        self.leave()
        sys.stdout, sys.stderr = self._streams  # here alone: nobody else writes to a worker's
        if left := left_behind(self._clean):
            raise WorkerSpoilt("; ".join(left))
        self._begin(new_config)
        return True

    def step(self) -> dict[str, Any]:
        show_in_process_list(self._title())
        if self._run is None:
            return {MESSAGE: ()}
        message = next_message(self._run)
        if not isinstance(message, Outcome):
            self._last = message[-1]
        elif self._share is not None and is_out_of_memory(message):
            hint = f"; `resources.gpu` lets it use {self._share:g} of the GPU's memory"
            message = replace(message, cause=message.cause + hint)
        return {MESSAGE: message}

    def leave(self) -> None:
        """Close the trial, if it paused or was pruned, and release its folder.

        An exception that it raises now is only printed: the worker belongs to the next trial.
        """
        run, self._run = self._run, None
        try:
            if run is not None:
                run.close()
        except BaseException as error:
            if is_ordered_end(error):
                raise
            traceback.print_exc()

    def cleanup(self) -> None:
        self.leave()
        self._limit_memory(None)

    def _limit_memory(self, share: float | None) -> None:
        """Keep a trial that shares a GPU by fractions from taking its neighbours' memory."""
        if self._share is None:
            return
        with suppress(Exception):  # of a GPU that broke: the trial says so
            from sweep.trial.gpu_memory import limit_gpu_memory

            limit_gpu_memory(1.0 if share is None else share)

    def __repr__(self) -> str:
        """The actor's name in the dashboard, which asks once, after `setup`: no trial's name."""
        return f"{self._sweep} worker"

    def _title(self) -> str:
        """What the process trains now, and how it stands."""
        if self._last is None:
            return self._name
        value, judged_by = self._judged_by.value(self._last), self._judged_by
        last = "" if value is None else f" {judged_by.short} {judged_by.text(value)}"
        return f"{self._name} epoch {self._last.epoch}{last}"

    def _begin(self, config: dict[str, Any]) -> None:
        folder = Path(config["folder"])
        self._name = f"{folder.name} {config['label']}".rstrip()
        self._judged_by = Objective(**config["objective"])
        self._last = None
        if config["folder"] != NO_TRIAL:
            self._run = train_trial(folder, config["uri"], config["branching"])
