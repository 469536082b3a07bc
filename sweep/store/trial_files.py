"""Write the files of one trial. A sweep has many such folders, ``sweep.train`` has one."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from itertools import chain, count
from pathlib import Path
from typing import Any

from sweep.store.files import (
    append_line,
    atomic_write_text,
    delete,
    drop_temporary,
    read_json,
    read_text,
    sync,
    sync_folder,
    to_json,
    write_json,
    writing,
)
from sweep.store.layout import FileName, TrialPaths
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.record import (
    CaseScore,
    Enqueued,
    Outcome,
    ParameterValue,
    RealValidation,
    Replicate,
    Status,
)
from sweep.vocabulary.strict_json import finite_fields


def write_start(
    paths: TrialPaths,
    parameters: Mapping[str, ParameterValue],
    config_yaml: str,
    preset: str | None = None,
    replicate: Replicate | None = None,
    enqueued: Enqueued | None = None,
    own_files: Mapping[str, str] | None = None,
) -> None:
    """Create the folder of a trial. Its trial.json marks it as started.

    The arguments are those of `Store.start_trial`, `Store.own_files`, and the trial's files, whose
    parent folder exists.

    Raises:
        SweepFailed: the disk is full or the parent folder is gone.
    """
    with writing(paths.folder):
        paths.folder.mkdir(exist_ok=True)  # no parents: a vanished results folder must raise
        paths.history.write_bytes(b"")
    atomic_write_text(paths.config, config_yaml)
    start: dict[str, Any] = {"trial_id": paths.folder.name, "parameters": dict(parameters)}
    start |= {"status": Status.RUNNING, "cause": "", "preset": preset}
    if replicate:
        start |= {"replicate_of": replicate.of, "seed": replicate.seed, "fold": replicate.fold}
        start |= {"in_search": True} if replicate.in_search else {}
    if enqueued:
        start |= {"enqueued_by": enqueued.by, "request": enqueued.request}
    if own_files:
        start |= {"own_files": dict(own_files)}
    write_json(paths.trial, start)
    sync_folder(paths.folder)
    sync_folder(paths.folder.parent)


def write_epoch(paths: TrialPaths, metrics: EpochMetrics) -> None:
    """Append one line to the history, and one to what its process used."""
    append_line(paths.history, to_json(metrics.to_json()))
    if metrics.machine:
        with writing(paths.machine), paths.machine.open("a", encoding="utf-8") as file:
            file.write(to_json({"epoch": metrics.epoch, **metrics.machine}) + "\n")


def read_machine(paths: TrialPaths) -> dict[str, dict[int, float]]:
    """What the process used: name → epoch → value. A line that a crash has torn is left out."""
    found: dict[str, dict[int, float]] = {}
    if not paths.machine.is_file():
        return found
    for line in read_text(paths.machine).splitlines():
        with suppress(ValueError, KeyError, AttributeError):
            epoch = (values := json.loads(line)).pop("epoch")
            for name, value in values.items():
                found.setdefault(name, {})[int(epoch)] = float(value)
    return found


def write_end(paths: TrialPaths, outcome: Outcome) -> None:
    """Flush all of the trial's files to disk before trial.json records its end."""
    sync(paths.history)
    if outcome.divergence is not None:
        write_json(paths.divergence, outcome.divergence.to_json())
    if outcome.error is not None:
        atomic_write_text(paths.error, outcome.error)
    end = {"status": outcome.status, "cause": outcome.cause}
    write_json(paths.trial, read_json(paths.trial, dict) | end)
    sync_folder(paths.folder)


def write_test(paths: TrialPaths, scores: Iterable[CaseScore]) -> None:
    """Record the test scores of the trial's best weights."""
    write_json(paths.test, {"cases": [finite_fields(score) for score in scores]})


def write_real_validation(paths: TrialPaths, found: RealValidation) -> None:
    """Record the real validation of the trial's best weights."""
    values = finite_fields(found)
    if not found.groups:
        del values["groups"]
    write_json(paths.real_validation, values)


def add_file(paths: TrialPaths, name: str, content: bytes) -> str:
    """Put a file of a user beside the trial's own. Returns its name.

    Args:
        name: without a folder. If there is such a file already, or the trial may write one, the new
            file gets a number.

    Raises:
        StorageFailed: the disk is full or the folder is gone.
    """
    own = {one.name for one in vars(TrialPaths).values() if isinstance(one, FileName)}
    plain = Path(name)
    for kept in chain([name], (f"{plain.stem}-{n}{plain.suffix}" for n in count(2))):
        path = paths.folder / kept
        if kept.casefold() in own or os.path.lexists(path):
            continue
        with writing(path), suppress(FileExistsError), path.open("xb") as file:
            try:
                file.write(content)
            except BaseException:
                path.unlink()
                raise
            return kept
    raise AssertionError("one of the names is free")


def discard(paths: TrialPaths, *, best: bool) -> None:
    """Delete files of an ended trial that were only needed to resume it.

    Files for the diagnosis of a divergence stay, and so does ``best.pt`` unless ``best``.
    """
    delete(paths.last_checkpoint)
    delete(paths.previous_checkpoint)
    if best:
        delete(paths.best_checkpoint)
    drop_temporary(paths.folder)
