"""Read a results folder without a lock: during a sweep, after a crash, or when it is empty."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Container, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from sweep.machine.user_paths import not_there
from sweep.spec.reading.yaml_document import parse_document
from sweep.spec.settings.trainer_settings import traits_of
from sweep.spec.words.phrases import did_you_mean, near_miss
from sweep.store.files import (
    JsonLines,
    blaming,
    read_record,
    read_text,
    reading,
)
from sweep.store.layout import (
    TRIAL_ID,
    FileName,
    Layout,
    TrialPaths,
    trial_id,
    trial_place,
)
from sweep.vocabulary.class_scores import DistanceUnit
from sweep.vocabulary.epoch_metrics import EpochColumns, EpochMetrics, StoredHistory
from sweep.vocabulary.errors import InputError, Mistake, ResultsError
from sweep.vocabulary.objective import VAL_DICE, DiceOf, Objective
from sweep.vocabulary.record import (
    CaseScore,
    Divergence,
    Enqueued,
    Outcome,
    ParameterValue,
    RealValidation,
    Replicate,
    Status,
    TrialRecord,
)

MANY = 1000
"""Trials from which on a sweep's epochs are not kept in memory."""
AT_ONCE = 30
"""Histories that are read, then parsed, then compared: a processor does many of the same steps in
three quarters of the time of one history after the other."""
MOST_BYTES_OF_A_SWEEP = 2**20
"""Largest size of a sweep.yaml, which has all defaults filled in."""


def read_records(
    folder: Path, objective: Objective | None = None, *, whole: bool = False
) -> list[TrialRecord]:
    """All started trials, by number, each followed by its replicates.

    Histories contain the complete epochs.

    Args:
        folder: the results folder.
        objective: their objective, if known; None: that of the sweep.yaml.
        whole: keep all epochs in memory. Without it, a sweep of `MANY` trials has a
            `StoredHistory` for each.

    Raises:
        ResultsError: ``folder`` is not a results folder, or a file in it is broken.
    """
    layout = Layout(folder)
    require_results(layout)
    names, trials = trial_folders(layout), os.fspath(layout.trials)
    objective = objective or read_objective(folder)
    in_race = _readable_sweep(folder).get("replicate") is not None
    # One kind of file after the other: trial by trial takes a third longer.
    # trial.json before all others, so that an ended trial has all its epochs and files.
    started = [
        (name, place, file)
        for name in names
        if (file := _read_trial_file(place := f"{trials}{os.sep}{name}")) is not None
    ]
    listed = [_names(place) for _, place, _ in started]
    paths = [_in(place, TrialPaths.history) for _, place, _ in started]
    are_stored = len(names) >= MANY and not whole
    histories: list[Sequence[EpochMetrics]] = [
        *(_stored_histories(paths, objective) if are_stored else map(_history_in, paths))
    ]
    return [
        _record(
            *one, objective, inside, history=history, in_race=in_race, **_scores(one[1], inside)
        )
        for one, inside, history in zip(started, listed, histories, strict=True)
    ]


def instead_of(trial_id: str, known: Sequence[str]) -> str:
    """The end of a message about a trial that does not exist: what there is.

    Args:
        trial_id: that was asked for.
        known: ids of all trials, by number.
    """
    if not TRIAL_ID.fullmatch(trial_id) and (meant := near_miss(trial_id, known)):
        return did_you_mean(meant)
    return f"; it has {known[0]} to {known[-1]}" if known else "; it has none yet"


def trial_folders(layout: Layout) -> list[str]:
    """Ids of the trials with a folder, by number.

    Raises:
        ResultsError: the folder cannot be listed, or a trial's folder is a link.
    """
    if not os.path.lexists(layout.trials):
        return []
    with reading(layout.trials), os.scandir(layout.trials) as entries:
        found = [entry for entry in entries if TRIAL_ID.fullmatch(entry.name)]
    require_no_link(layout.trials, *(Path(entry.path) for entry in found if entry.is_symlink()))
    return sorted((entry.name for entry in found if entry.is_dir()), key=trial_place)


def require_no_link(*paths: Path) -> None:
    """Raise `ResultsError` if a path may lead out of the results folder."""
    for path in paths:
        if path.is_symlink():
            raise ResultsError(f"{path}: broken, it is a link and may lead out of the folder")


def read_sweep(folder: Path) -> Mapping[str, Any]:
    """The effective spec as plain values.

    Raises:
        ResultsError: ``folder`` is not a results folder, or its sweep.yaml is broken.
    """
    layout = Layout(folder)
    require_results(layout)
    file = str(layout.sweep_yaml)
    try:
        return deepcopy(_values_of(read_text(layout.sweep_yaml, MOST_BYTES_OF_A_SWEEP), file))
    except InputError as error:
        first = error.mistakes[0]
        place = f"{file}:{first.line}" if first.line else file
        raise ResultsError(f"{place}: broken, {first.message}") from error


@lru_cache(maxsize=4)
def _values_of(text: str, file: str) -> Mapping[str, Any]:
    """What a sweep.yaml with this text holds. A command asks several times, and it takes 20 ms."""
    document = parse_document(text, file)
    if document.mistakes:
        raise InputError(document.mistakes)
    return document.values


def read_parameter_names(folder: Path) -> list[str]:
    """Dotted names of the searched parameters, in the order of the sweep file; raises as above."""
    space = read_sweep(folder).get("space") or {}
    if not isinstance(space, dict):
        raise ResultsError(f"{Layout(folder).sweep_yaml}: broken, `space` must be a mapping")
    return list(space)


def read_objective(folder: Path) -> Objective:
    """The objective of a sweep.

    A sweep.yaml that cannot be read at all is reported by code that needs more of it.

    Raises:
        ResultsError: it names no metric and mode.
    """
    values = _readable_sweep(folder)
    try:
        found, dice = Objective.of(values.get("objective")), _dice_of(values.get("trainer"))
        return replace(
            found, dice=dice, others=tuple(replace(one, dice=dice) for one in found.others)
        )
    except ValueError as error:
        raise ResultsError(f"{Layout(folder).sweep_yaml}: broken, {error}") from error


def _readable_sweep(folder: Path) -> Mapping[str, Any]:
    """`read_sweep`; nothing where it cannot be read at all."""
    try:
        return read_sweep(folder)
    except ResultsError:
        return {}


def _dice_of(trainer: Any) -> DiceOf:
    return traits_of(trainer.get("kind") if isinstance(trainer, Mapping) else None).dice


def require_results(layout: Layout) -> None:
    """Raise `ResultsError` if the folder is not a results folder."""
    folder = layout.folder
    if layout.sweep_yaml.is_file():
        return
    if not folder.exists():
        raise ResultsError(f"{folder} {not_there(folder)}")
    what = f"it has no {layout.sweep_yaml.name}" if folder.is_dir() else "it is a file"
    raise ResultsError(f"{folder} is not a results folder: {what}")


def read_facts(trial_id: str, paths: TrialPaths, objective: Objective) -> TrialRecord:
    """Everything recorded about a trial except its history; raises as above.

    Args:
        objective: the objective of its sweep.
    """
    folder = os.fspath(paths.folder)
    file = read_record(_in(folder, TrialPaths.trial), _TrialFile)
    return _record(trial_id, folder, file, objective, _names(folder))


def edits_of_run(run: TrialPaths) -> list[Mistake]:
    """What was edited by hand of the settings of a sweep's trial: see `edits`.

    Nothing is known of a run outside a sweep, or of one of a version with other settings.

    Raises:
        ResultsError: its trial.json is broken.
    """
    from sweep.spec.load import load_sweep
    from sweep.spec.session_changes import edits

    folder = run.folder.absolute()
    sweep = Layout(folder.parent.parent)
    if not (TRIAL_ID.fullmatch(folder.name) and sweep.sweep_yaml.is_file() and run.trial.is_file()):
        return []
    try:
        spec = load_sweep(sweep.sweep_yaml)
        return edits(run.config, spec, read_facts(folder.name, run, spec.judged_by))
    except InputError:
        return []


def digest_of_weights(run: TrialPaths) -> str:
    """A digest of ``best.pt``; raises `ResultsError` if it cannot be read."""
    with reading(run.best_checkpoint), run.best_checkpoint.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def _in(folder: str, file: FileName) -> str:
    """A file of a trial as text: a `Path` takes as long to make as a small file to read."""
    return f"{folder}{os.sep}{file.name}"


def _names(folder: str) -> Container[str]:
    """The files of a trial, by one look at its folder instead of one for each."""
    with reading(folder):
        return os.listdir(folder)  # noqa: PTH208  # paths of `Path` take longer


def _record(
    trial_id: str,
    folder: str,
    file: _TrialFile,
    objective: Objective,
    names: Container[str],
    **more: Any,
) -> TrialRecord:
    number, nth = trial_place(trial_id)
    replicate = None
    if nth:
        with blaming(_in(folder, TrialPaths.trial)):
            replicate = _replicate(number, file)
    return TrialRecord(
        trial_id=trial_id,
        number=number,
        parameters=file.parameters,
        outcome=_outcome(file, folder, names) if file.status.is_final else None,
        objective=objective,
        preset=file.preset,
        replicate=replicate,
        enqueued=Enqueued(file.request, file.enqueued_by) if file.request else None,
        **more,
    )


def _read_trial_file(folder: str) -> _TrialFile | None:
    """None where the sweep was killed before trial.json was there: nothing ran in the folder."""
    path = _in(folder, TrialPaths.trial)
    try:
        file, name = read_record(path, _TrialFile), folder.rpartition(os.sep)[2]
    except ResultsError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            return None
        raise
    if file.trial_id not in ("", name):
        raise ResultsError(
            f"{path}: broken, it is that of {file.trial_id}: its folder was copied or renamed; move"
            " a copy out of the results folder, or give it its name again"
        )
    return file


def _scores(folder: str, names: Container[str]) -> dict[str, Any]:
    """What was measured of a finalist beside its history, by the names of a record's fields."""
    found: dict[str, Any] = {}
    if TrialPaths.test.name in names:
        found["test"] = read_record(_in(folder, TrialPaths.test), _TestFile).cases
    if TrialPaths.real_validation.name in names:
        found["real"] = read_record(_in(folder, TrialPaths.real_validation), RealValidation)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class _Compared:
    """What comparisons of trials need of an epoch, as in `EpochMetrics`. To read no more of a line
    takes half the time. The rest of it is checked when the epoch is read again."""

    epoch: int
    val_dice: float | None
    steps: int = 0
    seconds: float = 0.0
    distance_unit: DistanceUnit | None = None
    warnings: tuple[str, ...] = ()
    shared: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Measured(_Compared):
    metrics: Mapping[str, float | None] = field(default_factory=dict)


def _stored_histories(paths: Sequence[str], objective: Objective) -> Iterator[StoredHistory]:
    metrics = [one.metric for one in objective.each if not one.is_cost and one.metric != VAL_DICE]
    kind = _Measured if metrics else _Compared
    for start in range(0, len(paths), AT_ONCE):
        lines = [JsonLines.read(path) for path in paths[start : start + AT_ONCE]]
        epochs = [_epochs_in(one, kind) for one in lines]
        columns = [EpochColumns.of(found, metrics) for found, _ in epochs]
        for one, (_, places), own in zip(lines, epochs, columns, strict=True):
            history = StoredHistory(own, partial(_read_again, one.path, own))
            best = objective.best_place(history, objective.scores(history))
            if best is not None:
                [whole] = one.fields(EpochMetrics, places[best])
                history.best = EpochMetrics(**whole)
            yield history


def _read_again(path: Path | str, columns: EpochColumns) -> tuple[EpochMetrics, ...]:
    history = _history_in(path)[: len(columns.val_dice)]  # more may have come since
    if tuple([epoch.val_dice for epoch in history]) != columns.val_dice:
        raise ResultsError(f"{path} was changed in the meantime: read it again")
    return history


def _history_in(path: Path | str) -> tuple[EpochMetrics, ...]:
    """The complete epochs; raises `ResultsError` where a line is broken, or an epoch is missing."""
    epochs, _ = _epochs_in(JsonLines.read(path), EpochMetrics)
    return tuple([EpochMetrics(**epoch) for epoch in epochs])


def _epochs_in(lines: JsonLines, kind: type) -> tuple[list[dict[str, Any]], Sequence[int]]:
    """The fields of each epoch, of those of ``kind``, and the number of its line, from 0."""
    found = lines.fields(kind)
    if [line["epoch"] for line in found] == [*range(len(found))]:
        return found, range(len(found))
    places: list[int] = []
    for number, line in enumerate(found):
        if line["epoch"] > len(places):
            place = f"{lines.path}:{number + 1}"
            raise ResultsError(f"{place}: broken, epoch {len(places)} is missing")
        if line["epoch"] == len(places):  # else it was written twice around a crash
            places.append(number)
    return [found[place] for place in places], places


@dataclass(frozen=True, slots=True, kw_only=True)
class _TrialFile:
    """Content of trial.json."""

    parameters: dict[str, ParameterValue]
    status: Status
    trial_id: str = ""
    cause: str = ""
    preset: str | None = None
    seed: int | None = None
    fold: int | None = None
    in_search: bool = False
    request: str = ""
    enqueued_by: str = ""


def _replicate(number: int, file: _TrialFile) -> Replicate:
    if file.seed is None or file.fold is None:
        raise ValueError("a replicate needs its `seed` and `fold`")
    return Replicate(trial_id(number), file.seed, file.fold, file.in_search)


@dataclass(frozen=True, slots=True, kw_only=True)
class _TestFile:
    """Content of test.json."""

    cases: tuple[CaseScore, ...]


def _outcome(file: _TrialFile, folder: str, names: Container[str]) -> Outcome:
    divergence = error = None
    if file.status is Status.DIVERGED and TrialPaths.divergence.name in names:
        divergence = read_record(_in(folder, TrialPaths.divergence), Divergence)
    if TrialPaths.error.name in names:
        error = read_text(_in(folder, TrialPaths.error))
    return Outcome(status=file.status, cause=file.cause, divergence=divergence, error=error)
