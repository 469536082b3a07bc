"""Each trial as data: what its own view, comparisons and groups are drawn from."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sweep.analysis import report_words as words
from sweep.analysis.figures.sweep_results import Results
from sweep.analysis.provenance_facts import Start, starts
from sweep.spec.words.short_names import words as value_words
from sweep.store.layout import Layout
from sweep.store.trial_files import read_machine
from sweep.vocabulary.class_scores import OWN_METRICS
from sweep.vocabulary.record import TrialRecord
from sweep.vocabulary.strict_json import finite_or_none

MOST_CURVE_EPOCHS = 40_000
"""Epochs of which the page holds every measured value; of more only the objective is there."""
MOST_READ = 200
"""Trials whose files beside their history are read: the first of the ranking, then the others."""
DIGITS = 5
"""Significant digits of the values of curves."""

Curves = dict[str, list[float | None]]


def page_trials(results: Results) -> dict[str, dict[str, Any]]:
    """Every trial by its id, in the order of the ranking, then the unfinished and the replicates.

    Each has ``status``, ``parameters``, ``curves`` (name → a value for each epoch from 0; ``value``
    is the objective, the terms of the loss are ``terms/NAME``, and what the process used is
    ``machine/NAME``), ``switch_on`` (an epoch), and where it is known ``cause``, ``diagnosis``,
    ``warnings``, ``notes``, ``cases``, ``test``, ``runs`` (from provenance.json), ``pictures``
    (`TrialPictures`), ``files`` and ``command``.

    Raises:
        ResultsError: a file of a trial is broken.
    """
    unfinished = [record for record in results.records if not record.status.is_final]
    records = [*results.ended, *unfinished, *results.replicates]
    found, epochs = {}, 0
    for place, record in enumerate(records):
        epochs += len(record.history)
        in_full = epochs <= MOST_CURVE_EPOCHS
        found[record.trial_id] = _trial(results, record, in_full=in_full)
        if place < MOST_READ:
            found[record.trial_id] |= _files(results, record.trial_id)
            if in_full:
                found[record.trial_id]["curves"] |= _machine(results, record)
    for name, drawn in results.pictures.items():  # wherever they rank
        found[name]["pictures"] = asdict(drawn)
    return found


def _trial(results: Results, record: TrialRecord, *, in_full: bool) -> dict[str, Any]:
    best, paths = record.best, Layout(results.folder).trial(record.trial_id)
    curves = {"value": _rounded(record.values)}
    found: dict[str, Any] = {
        "number": record.number,
        "status": record.status.value,
        "status_words": words.status(record.status),
        "has_result": record.status.has_result,
        "parameters": {name: value_words(v) for name, v in record.parameters.items()},
        "value": record.value,
        "best_epoch": None if best is None else best.epoch,
        "epochs": len(record.history),
        "seconds": round(record.seconds, 1),
        "switch_on": results.switch_on(record),
        "curves": (curves | _curves(record)) if in_full else curves,
        "in_full": in_full,
        "command": f"python -m sweep.train {shlex.quote(results.named(paths.config))}",
        "folder": results.named(paths.folder),
    }
    optional: dict[str, Any] = {
        "preset": record.preset,
        "cause": record.outcome.cause if record.outcome else "",
        "error": record.outcome.error if record.outcome else None,
        "diagnosis": _diagnosis(record, results.named(paths.folder)),
        "warnings": list(record.warnings),
        "notes": [asdict(note) for note in results.notes.get(record.trial_id, ())],
        "test": [[one.case, one.dice, one.hd95] for one in record.test],
        "shared_epochs": len(record.shared_seconds),
    }
    if record.replicate is not None:
        optional["replicate"] = asdict(record.replicate)
    return found | {name: value for name, value in optional.items() if value}


def _curves(record: TrialRecord) -> Curves:
    """Every measured value but the objective; names without any value are left out."""
    history = tuple(record.history)
    names = ("val_dice", "train_loss", "grad_norm", "learning_rate")
    measured = {name: [getattr(epoch, name) for epoch in history] for name in names}
    for group in ("terms", "metrics"):
        of_epochs = [getattr(epoch, group) for epoch in history]
        for name in dict.fromkeys(name for values in of_epochs for name in values):
            measured[f"{group}/{name}"] = [values.get(name) for values in of_epochs]
    found = {name: _rounded(values) for name, values in measured.items()}
    return {name: values for name, values in found.items() if any(v is not None for v in values)}


def _machine(results: Results, record: TrialRecord) -> Curves:
    """What the process used in each epoch; None in those that another trial trained."""
    used = read_machine(Layout(results.folder).trial(record.trial_id))
    epochs = range(len(record.history))
    return {f"machine/{name}": [*map(values.get, epochs)] for name, values in used.items()}


def _rounded(values: Iterable[float | None]) -> list[float | None]:
    finite = map(finite_or_none, values)
    return [None if value is None else float(f"{value:.{DIGITS}g}") for value in finite]


def _diagnosis(record: TrialRecord, folder: str) -> dict[str, Any] | None:
    verdict = record.outcome.divergence if record.outcome else None
    if verdict is None:
        return None
    found: dict[str, Any] = {
        "message": verdict.message,
        "where": verdict.where,
        "term": verdict.term,
        "terms": dict(verdict.terms),
    }
    if (known := verdict.diagnosis) is not None:
        found |= {"likely_cause": known.likely_cause, "advice": known.advice}
        found |= {"cases": list(known.cases), "recent": [one.to_json() for one in known.recent]}
        if known.replayable:
            found |= {"command": known.command(folder), "tries": bool(known.change)}
    return found


def _files(results: Results, trial_id: str) -> dict[str, Any]:
    """What the files of a trial beside its history tell."""
    paths = Layout(results.folder).trial(trial_id)
    found: dict[str, Any] = {}
    if cases := results.cases(trial_id):
        metrics = [
            name for name in OWN_METRICS if any(one.value(name) is not None for one in cases)
        ]
        found["case_metrics"] = metrics
        found["cases"] = [
            [one.case, one.label, *_rounded(map(one.value, metrics))] for one in cases
        ]
    if runs := starts(paths):
        found["runs"] = [*map(_run, runs)]
    if paths.folder.is_dir():
        files = (path for path in paths.folder.iterdir() if path.is_file())
        found["files"] = sorted(path.name for path in files if not path.name.startswith("."))
    return found


def _run(start: Start) -> dict[str, str]:
    """One start of a trial in a few words, as far as they are known."""
    code = start.code
    known: dict[str, object] = {
        "started": start.started,
        "from epoch": start.first_epoch,
        "on": start.machine.device,
        "host": start.machine.hostname,
        "medical-sweep": " ".join(filter(None, [code.version, (code.commit or "")[:10]])),
        **start.versions,
        **{Path(file).name: text[:8] for file, text in start.own_files.items()},
    }
    return {name: str(value) for name, value in known.items() if value not in (None, "")}
