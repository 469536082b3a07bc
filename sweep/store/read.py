"""Reading a results folder: without a lock, while a sweep runs, after a crash, when it is empty."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from sweep.errors import ResultsError
from sweep.record import Divergence, EpochMetrics, Outcome, Status, TrialRecord
from sweep.store.files import read_json, read_jsonl, read_text, reading
from sweep.store.layout import Layout, TrialPaths, trial_number


def read_records(folder: Path) -> list[TrialRecord]:
    """All trials that were started, by number; of a history the epochs that are complete.

    Raises:
        ResultsError: ``folder`` is no results folder, or a file in it is broken.
    """
    layout = Layout(folder)
    require_results(layout)
    if not layout.trials.exists():
        return []
    with reading(layout.trials):
        names = [entry.name for entry in layout.trials.iterdir()]
    # A folder without trial.json was being made when the sweep was killed: nothing ran in it yet.
    started = [name for name in names if _is_trial_id(name) and layout.trial(name).trial.exists()]
    return [_read_trial(name, layout.trial(name)) for name in sorted(started, key=trial_number)]


def read_sweep(folder: Path) -> Mapping[str, Any]:
    """The effective spec as plain values.

    Raises:
        ResultsError: ``folder`` is no results folder, or its sweep.yaml is broken.
    """
    layout = Layout(folder)
    require_results(layout)
    try:
        values = YAML(typ="safe", pure=True).load(read_text(layout.sweep_yaml))
    except (YAMLError, ValueError, RecursionError) as error:
        raise ResultsError(f"{layout.sweep_yaml}: broken, {error}") from error
    if not isinstance(values, dict):
        raise ResultsError(f"{layout.sweep_yaml}: broken, must be a mapping")
    return values


def read_parameter_names(folder: Path) -> list[str]:
    """Dotted names of the searched parameters, in the order of the sweep file; raises as above."""
    space = read_sweep(folder).get("space") or {}
    if not isinstance(space, dict):
        raise ResultsError(f"{Layout(folder).sweep_yaml}: broken, `space` must be a mapping")
    return [str(name) for name in space]


def require_results(layout: Layout) -> None:
    """Raises `ResultsError` where the folder is not a results folder."""
    folder = layout.folder
    if layout.sweep_yaml.is_file():
        return
    if not folder.exists():
        raise ResultsError(f"{folder} does not exist")
    what = f"it has no {layout.sweep_yaml.name}" if folder.is_dir() else "it is a file"
    raise ResultsError(f"{folder} is not a results folder: {what}")


def _is_trial_id(name: str) -> bool:
    try:
        trial_number(name)
    except ValueError:
        return False
    return True


def _read_trial(trial_id: str, paths: TrialPaths) -> TrialRecord:
    # trial.json before the history: a trial that has ended then shows every epoch it had.
    record = read_json(paths.trial, lambda values: _parse_trial(trial_id, values, paths))
    return replace(record, history=_read_history(paths.history))


def _parse_trial(trial_id: str, values: Mapping[str, Any], paths: TrialPaths) -> TrialRecord:
    """All but the history."""
    return TrialRecord(
        trial_id=trial_id,
        number=trial_number(trial_id),
        parameters=dict(values["parameters"]),
        outcome=_parse_outcome(values, paths),
        preset=values.get("preset"),
    )


def _parse_outcome(values: Mapping[str, Any], paths: TrialPaths) -> Outcome | None:
    status = Status(values["status"])
    if not status.is_final:
        return None
    return Outcome(
        status=status,
        cause=str(values["cause"]),
        divergence=read_json(paths.divergence, Divergence.from_json)
        if status is Status.DIVERGED and paths.divergence.exists()
        else None,
        error=read_text(paths.error) if paths.error.exists() else None,
    )


def _read_history(path: Path) -> tuple[EpochMetrics, ...]:
    history: list[EpochMetrics] = []

    def parse(line: Mapping[str, Any]) -> EpochMetrics:
        metrics = EpochMetrics.from_json(line)
        if metrics.epoch > len(history):
            raise ValueError(f"epoch {len(history)} is missing")
        return metrics

    for metrics in read_jsonl(path, parse):
        if metrics.epoch == len(history):  # else it was written twice around a crash
            history.append(metrics)
    return tuple(history)
