"""The Ray side of one trial: a worker process that trains one configuration after another."""

from __future__ import annotations

import socket
import threading
import traceback
from collections.abc import Generator, Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ray import tune

from sweep.engine.decisions.faults import is_infrastructure, is_ordered_end
from sweep.store.files import to_json
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.errors import InputError
from sweep.vocabulary.objective import Objective
from sweep.vocabulary.record import Outcome, last_line

if TYPE_CHECKING:
    from sweep.store.at_uri.worker_folder import Workplace
    from sweep.trial.process_state import CleanProcess

OF_EVERY_TRIAL = (
    "sweep.engine.session.site",
    "sweep.spec.load",
    "sweep.store.at_uri.remote_folder",
    "sweep.store.at_uri.worker_folder",
    "sweep.trial.fit",
    "torch._dynamo",  # torch's optimizers do that in their first step
)
"""What trials import, whatever their trainer, beside the `imports` of its kind: seconds, which a
worker pays once, and before its first trial."""

MESSAGE = "message"
"""Key of a Ray result that holds a `Message`."""

NO_TRIAL = "no-trial"
"""Folder of what only starts a worker, and trains nothing."""

M = TypeVar("M", Sequence[EpochMetrics], Outcome)
Message = Sequence[EpochMetrics] | Outcome
"""Epochs in their order, or at the end how the trial ended."""


class WorkerSpoilt(Exception):
    """The trial before has left in this process what cannot be undone; says what."""


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
    _run: Generator[Sequence[EpochMetrics], None, Outcome] | None = None
    _last: EpochMetrics | None = None
    _clean: CleanProcess | None = None

    @classmethod
    def default_resource_request(cls, config: Mapping[str, Any]) -> tune.PlacementGroupFactory:
        """What `tune.with_resources` does, but that one renames the class in the dashboard."""
        resources = config["resources"]
        return tune.PlacementGroupFactory([{kind.upper(): n for kind, n in resources.items()}])

    def setup(self, config: dict[str, Any]) -> None:
        self._clean = _clean_process(config["kind"])
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
        if left := self._left_behind():
            raise WorkerSpoilt("; ".join(left))
        self._begin(new_config)
        return True

    def step(self) -> dict[str, Any]:
        self._tell_system()
        if self._run is None:
            return {MESSAGE: ()}
        try:
            try:
                told = recordable(next(self._run))
            except StopIteration as end:
                return {MESSAGE: recordable(end.value)}
        # What is no `Exception` would take the worker down, and be tried again.
        except BaseException as error:
            if is_infrastructure(error):
                raise
            return {MESSAGE: Outcome.failed(error)}
        self._last = told[-1]
        return {MESSAGE: told}

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

    def _left_behind(self) -> tuple[str, ...]:
        """What of the trial before cannot be undone."""
        _end_monitors()
        try:
            return () if self._clean is None else self._clean.restore()
        except Exception as error:  # noqa: BLE001 - whatever it was is there still
            return (last_line(error),)

    def _begin(self, config: dict[str, Any]) -> None:
        folder = Path(config["folder"])
        self._name = f"{folder.name} {config['label']}".rstrip()
        self._judged_by = Objective(**config["objective"])
        self._last = None
        if config["folder"] != NO_TRIAL:
            self._run = _train(folder, config["uri"], config["branching"])

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


def recordable(message: M) -> M:
    """``message`` itself, which the driver can record.

    Raises:
        TypeError, ValueError: it holds what no record can, and so is the trial's own fault.
    """
    if isinstance(message, Outcome):
        to_json(message.divergence and message.divergence.to_json())
    else:
        for metrics in message:
            to_json(metrics.to_json())
    return message


def _clean_process(kind: str) -> CleanProcess | None:
    """Import all that trials import, before the first one's turn, and see what is there then.

    What cannot be imported is told by the trial that needs it.
    """
    with suppress(Exception):
        from sweep.trial.kinds.kind_table import KINDS

        for module in (*OF_EVERY_TRIAL, *KINDS[kind].imports):
            import_module(module)
        from sweep.trial.process_state import CleanProcess

        return CleanProcess.here()
    return None


def _end_monitors() -> None:
    """End the thread that tqdm starts for its bars, and would keep until the process ends.

    It only draws them: no trial's numbers depend on it, and tqdm starts another where it needs one.
    Of other threads nobody knows what they do; they cost the next trial a fresh process.
    """
    for thread in threading.enumerate():
        if type(thread).__module__ == "tqdm._monitor":
            thread.exit()  # type: ignore[attr-defined]


def _train(
    folder: Path, uri: str | None, branching: Sequence[int]
) -> Generator[Sequence[EpochMetrics], None, Outcome]:
    # Inside the generator, so that a failing import or file is the trial's outcome too.
    from sweep.engine.session.site import scratch
    from sweep.spec.load import load_trial
    from sweep.store.at_uri.remote_folder import RemoteFolder
    from sweep.store.at_uri.worker_folder import workplace
    from sweep.store.layout import Layout
    from sweep.trial.checkpoints import Checkpoints
    from sweep.trial.fit import epochs
    from sweep.trial.kinds.kind_table import make_ready
    from sweep.trial.warmup_snapshots import Trunk

    remote = None
    if uri is not None:
        trial = Layout(Path()).trial(folder.name).folder.as_posix()
        folder, remote = scratch(uri) / trial, RemoteFolder(uri).below(trial)
    # A trial's folder lies in `trials` of the sweep's; at a URI a trunk is shared on each node.
    trunks = Layout(folder.parent.parent).trunks
    with workplace(folder, remote) as place:
        config = load_trial(place.paths.config)
        try:
            data = make_ready(config)
        except InputError as error:
            here = socket.gethostname()
            raise InputError([mistake.on(here) for mistake in error.mistakes]) from error
        run = epochs(
            config,
            checkpoint=Checkpoints(folder),
            data=data,
            provenance=place.paths.provenance,
            trunk=Trunk.of(config, place.paths, trunks, branching) if branching else None,
        )
        return (yield from _saved(run, place))


def _saved(
    run: Generator[Sequence[EpochMetrics], None, Outcome], place: Workplace
) -> Generator[Sequence[EpochMetrics], None, Outcome]:
    """``run``, but what it wrote survives the node before its epochs and its end are told."""
    while True:
        try:
            told = next(run)
        except StopIteration as end:
            place.save()
            outcome: Outcome = end.value
            return outcome
        place.save()
        yield told
