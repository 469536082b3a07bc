"""Train one trial from its folder, as every executor does: a worker of Ray, or this process."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from sweep.engine.decisions.faults import is_infrastructure
from sweep.store.files import to_json
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.errors import InputError
from sweep.vocabulary.record import Outcome, last_line

if TYPE_CHECKING:
    from sweep.store.at_uri.worker_folder import Workplace
    from sweep.trial.process_state import CleanProcess

OF_EVERY_TRIAL = (
    "sweep.engine.session.sweep_location",
    "sweep.spec.load",
    "sweep.store.at_uri.remote_folder",
    "sweep.store.at_uri.worker_folder",
    "sweep.trial.fit",
    "torch._dynamo",  # torch's optimizers do that in their first step
)
"""What trials import, whatever their trainer, beside the `imports` of its kind: seconds, which a
worker pays once, and before its first trial."""

M = TypeVar("M", Sequence[EpochMetrics], Outcome)
Message = Sequence[EpochMetrics] | Outcome
"""Epochs in their order, or at the end how the trial ended."""


Training = Generator[Sequence[EpochMetrics], None, Outcome]
"""A trial under way: yields its epochs, first those of an earlier session, and returns its end."""


def next_message(
    training: Training, raises: Callable[[BaseException], bool] = is_infrastructure
) -> Message:
    """The next epochs of a trial, or its end: an exception of the trainer is its end.

    Args:
        raises: which exceptions are none of the trainer's, and are raised.
    """
    try:
        try:
            return recordable(next(training))
        except StopIteration as end:
            outcome: Outcome = end.value
            return recordable(outcome)
    # What is no `Exception` would take the process down, and be tried again.
    except BaseException as error:
        if raises(error):
            raise
        return Outcome.failed(error)


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


def clean_process(kind: str) -> CleanProcess | None:
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


def train_trial(folder: Path, uri: str | None, branching: Sequence[int]) -> Training:
    """Train what stands in ``folder``; where that holds a checkpoint, go on from it.

    Args:
        folder: of the trial, with its ``config.yaml``.
        uri: where the sweep's results lie, if that is no folder that this machine sees.
        branching: numbers of epochs after which trials may leave a shared warm-up.
    """
    # Inside the generator, so that a failing import or file is the trial's outcome too.
    from sweep.engine.session.sweep_location import scratch
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


def _saved(run: Training, place: Workplace) -> Training:
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


def left_behind(clean: CleanProcess | None) -> tuple[str, ...]:
    """Undo what a trial that has ended did to the process; says what cannot be undone."""
    _end_monitors()
    try:
        return () if clean is None else clean.restore()
    except Exception as error:  # noqa: BLE001 - whatever it was is there still
        return (last_line(error),)


def _end_monitors() -> None:
    """End the thread that tqdm starts for its bars, and would keep until the process ends.

    It only draws them: no trial's numbers depend on it, and tqdm starts another where it needs one.
    Of other threads nobody knows what they do; they cost the next trial a fresh process.
    """
    for thread in threading.enumerate():
        if type(thread).__module__ == "tqdm._monitor":
            thread.exit()  # type: ignore[attr-defined]
