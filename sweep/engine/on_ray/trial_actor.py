"""The Ray side of one trial: a worker process that trains one configuration after another."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ray import tune

from sweep.engine.decisions.faults import is_ordered_end
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
    """The previous trial has left something in this process that cannot be undone; says what."""


class TrialActor(tune.Trainable):  # type: ignore[misc]
    """Trains the ``config.yaml`` of a trial's folder; one Ray step is one epoch.

    Epochs that were trained before, by this trial or its trunk, are told in a first step, all at
    once. The step after the last epoch carries the outcome. It is not marked as Ray's ``done``: Ray
    shows results so marked to no scheduler, and ours is the one who records them.

    What stands in the folder is what is trained: nothing else is sent to the worker. Where the
    folder holds a checkpoint (the worker died, the sweep was interrupted) it goes on from there.
    Where the folder lies at a URI the worker trains in a copy, and sends what it writes.

    An exception of the trainer is the trial's outcome: it would be the same on every retry. What
    the machine is to blame for (a kill, the node, a full disk) is left to Ray's retries, each in a
    fresh process.
    """

    _name: str
    _judged_by: Objective
    _run: Training | None = None
    _last: EpochMetrics | None = None
    _clean: CleanProcess | None = None

    @classmethod
    def default_resource_request(cls, config: Mapping[str, Any]) -> tune.PlacementGroupFactory:
        """What `tune.with_resources` does, but that one renames the class in the dashboard."""
        resources = config["resources"]
        return tune.PlacementGroupFactory([{kind.upper(): n for kind, n in resources.items()}])

    def setup(self, config: dict[str, Any]) -> None:
        self._clean = clean_process(config["kind"])
        self._begin(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take on the next trial in the same process: imports and data are paid once.

        Raises:
            WorkerSpoilt: this process takes on no further trial. Ray then ends it, and gives up the
                trial, which the driver hands out once more
                (`sweep.engine.on_ray.ray_tune.Supervision`). Of False, the other way to say so, Ray
                2.60 tells nobody.
        """
        self.leave()
        if left := left_behind(self._clean):
            raise WorkerSpoilt("; ".join(left))
        self._begin(new_config)
        return True

    def step(self) -> dict[str, Any]:
        self._tell_system()
        if self._run is None:
            return {MESSAGE: ()}
        message = next_message(self._run)
        if not isinstance(message, Outcome):
            self._last = message[-1]
        return {MESSAGE: message}

    def leave(self) -> None:
        """Leave the trial, which one that pauses or was pruned has not done yet, and its folder.

        What it raises as it is left is its own: it was told to stop, and the next trial's is the
        worker.
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

    def __repr__(self) -> str:
        """What the dashboard shows as the actor's name; Ray asks once, after `setup`."""
        return f"{self._name} {self._progress()}".rstrip()

    def _begin(self, config: dict[str, Any]) -> None:
        folder = Path(config["folder"])
        self._name = f"{folder.name} {config['label']}".rstrip()
        self._judged_by = Objective(**config["objective"])
        self._last = None
        if config["folder"] != NO_TRIAL:
            self._run = train_trial(folder, config["uri"], config["branching"])

    def _progress(self) -> str:
        if self._last is None:
            return ""
        value, judged_by = self._judged_by.value(self._last), self._judged_by
        last = "" if value is None else f" {judged_by.short} {judged_by.text(value)}"
        return f"epoch {self._last.epoch}{last}"

    def _tell_system(self) -> None:
        """Show what is trained as the title of the process: in the dashboard's list of workers, in
        ``ps`` and ``top``. Ray sets it anew before each step.
        """
        with suppress(ImportError):  # no part of Ray's public interface
            from ray._raylet import setproctitle  # type: ignore[attr-defined]

            setproctitle(f"ray::{' '.join(filter(None, [self._name, self._progress()]))}")
