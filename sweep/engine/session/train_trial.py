"""Train one trial from its folder, as every executor does: a worker of Ray, or this process."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Collection, Generator, Sequence
from contextlib import suppress
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from sweep.engine.decisions.faults import is_infrastructure, memory_hint
from sweep.store.files import to_json
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.error_lines import last_line
from sweep.vocabulary.errors import InputError
from sweep.vocabulary.record import Outcome

if TYPE_CHECKING:
    from sweep.store.at_uri.worker_folder import Workplace
    from sweep.trial.process_state import CleanProcess

OF_EVERY_TRIAL = (
    "sweep.engine.session.sweep_location",
    "sweep.spec.load",
    "sweep.store.at_uri.remote_folder",
    "sweep.store.at_uri.worker_folder",
    "sweep.trial.fit",
    "sweep.trial.machine_use",
    "torch._dynamo",  # asking torch to be deterministic imports it, and so does an optimizer
)
"""What all trials import, beside the `imports` of their kind of trainer. It takes seconds, which a
worker spends once, before its first trial."""

Message = Sequence[EpochMetrics] | Outcome
"""Epochs in their order, or the trial's end. No epochs: there is nothing to report yet."""

Training = Generator[Sequence[EpochMetrics], None, Outcome]
"""A trial in training: yields its epochs, those of an earlier session first, returns its end.

It also yields an empty sequence wherever another trial of this process may take its turn."""


def next_message(
    training: Training, raises: Callable[[BaseException], bool] = is_infrastructure
) -> Message:
    """The next epochs of a trial, or its end. An exception of the trainer is its end.

    Args:
        raises: whether an exception is not the trainer's, and is raised.
    """
    while not (message := next_turn(training, raises)):
        pass
    return message


def next_turn(
    training: Training,
    raises: Callable[[BaseException], bool] = is_infrastructure,
    others: int = 0,
) -> Message:
    """As `next_message`, but only up to where another trial of this process may take its turn.

    The message is then empty.

    Args:
        training: the trial.
        raises: whether an exception is not the trainer's, and is raised.
        others: number of trials with which it shares the process.
    """
    try:
        try:
            epochs = next(training)
        except StopIteration as end:
            outcome: Outcome = end.value
            to_json(outcome.divergence and outcome.divergence.to_json())
            return outcome
        for metrics in epochs:
            to_json(metrics.to_json())  # an error here is the trial's own fault, not the driver's
        return epochs
    # Other than an `Exception` would end the process, and the trial would be tried again.
    except BaseException as error:
        if raises(error):
            raise
        failed = Outcome.failed(error)
        return replace(failed, cause=failed.cause + memory_hint(error, others))


def clean_process(kind: str) -> CleanProcess | None:
    """Import what the trials import, before the first one starts, and note the process's state.

    If something cannot be imported, the trial that needs it reports that.
    """
    with suppress(Exception):
        from sweep.trial.kinds.kind_table import KINDS

        for module in (*OF_EVERY_TRIAL, *KINDS[kind].imports):
            import_module(module)
        from sweep.trial.process_state import CleanProcess

        return CleanProcess.here()
    return None


def train_trial(folder: Path, uri: str | None, branching: Sequence[int]) -> Training:
    """Train the trial in ``folder``, from its checkpoint if it has one.

    Args:
        folder: of the trial, with its ``config.yaml``.
        uri: where the sweep's results are, if this machine does not see them as a folder.
        branching: numbers of epochs after which trials may leave a shared warm-up.

    Raises:
        InputError: its data are not usable here, or its settings were edited since it began.
    """
    # Inside the generator, so that an import or a file that fails is the trial's outcome.
    from sweep.engine.session.sweep_location import trial_at
    from sweep.spec.load import load_trial
    from sweep.store.at_uri.worker_folder import workplace
    from sweep.store.layout import Layout
    from sweep.store.read_results import edits_of_run
    from sweep.trial.checkpoints import Checkpoints
    from sweep.trial.fit import epochs
    from sweep.trial.kinds.kind_table import make_ready
    from sweep.trial.warmup_snapshots import Trunk

    remote = None
    if uri is not None:
        folder, remote = trial_at(uri, folder.name)
    # A trial's folder is in `trials` of the sweep's; at a URI each node has its own trunks.
    trunks = Layout(folder.parent.parent).trunks
    with workplace(folder, remote) as place:
        config = load_trial(place.paths.config)
        goes_on = place.paths.provenance.exists()
        if goes_on and (edited := edits_of_run(place.paths)):
            raise InputError(edited)
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
    """``run``, with its files saved outside the node before its epochs and its end are reported.

    Each new epoch says what it used of the machine.
    """
    from sweep.trial.machine_use import MachineUse

    with MachineUse() as use:
        while True:
            try:
                epochs = next(run)
            except StopIteration as end:
                place.save()
                outcome: Outcome = end.value
                return outcome
            if epochs:
                place.save()
                *earlier, last = epochs
                epochs = (*earlier, last if last.shared else replace(last, machine=use.read()))
            yield epochs


def left_behind(
    clean: CleanProcess | None, started: Collection[object] | None = None, *, alone: bool = True
) -> tuple[str, ...]:
    """Undo what a trial that has ended did to the process. Returns what cannot be undone.

    Args:
        clean: the process before it; None if it could not be recorded.
        started: the threads and processes that it has started; None: all new ones.
        alone: no other trial is in training in this process.
    """
    # tqdm keeps a thread for its bars until the process ends. It only draws: no trial's numbers
    # depend on it, and tqdm starts another if it needs one. Any other thread may do anything: it
    # costs the next trial a fresh process.
    for thread in threading.enumerate():
        if type(thread).__module__ == "tqdm._monitor":
            thread.exit()  # type: ignore[attr-defined]
    try:
        return () if clean is None else clean.restore(started, alone=alone)
    except Exception as error:  # noqa: BLE001 - its cause is still there
        return (last_line(error),)
