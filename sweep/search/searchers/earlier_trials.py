"""Earlier sweeps that a searcher learns from before its first proposal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from sweep.spec.load import load_trial
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.spec.space.linked_space import lies_in
from sweep.spec.tree.setting_tree import Finding
from sweep.spec.words.phrases import counted
from sweep.store.layout import Layout
from sweep.store.read_results import read_records
from sweep.vocabulary.errors import InputError, ResultsError
from sweep.vocabulary.objective import DICE
from sweep.vocabulary.record import Status, TrialRecord, searched


@dataclass(frozen=True, slots=True)
class EarlierSweep:
    """What a searcher can learn from an earlier sweep.

    Args:
        usable: its trials inside this space, with the parameters of this space.
        outside: number of trials outside this space.
        silent: number of trials that say nothing about their parameters: failed, unfinished, or
            without a value of this sweep's objective.
    """

    usable: tuple[TrialRecord, ...]
    outside: int
    silent: int


def read_earlier_sweep(spec: SweepSpec, folder: str) -> EarlierSweep:
    """Read the results folder of an earlier sweep.

    A setting that is searched here and was fixed there has the value that it was trained with. The
    trials are judged by this sweep's objective, also if the earlier sweep had another one.

    Raises:
        ResultsError: ``folder`` is not a results folder, or is broken.
    """
    try:
        records = read_records(Path(folder), whole=True)
    except OSError as error:  # not a valid name
        raise ResultsError(f"cannot read {folder}: {error.strerror}") from error
    # Without replicates: they have the parameters of their trial, and another seed.
    trials = [replace(record, objective=spec.judged_by) for record in searched(records)]
    with_result = [
        record
        for record in trials
        if record.status is Status.DIVERGED
        or (record.status.has_result and record.best is not None)
    ]
    translated = [_in_terms_of(spec, record, Layout(Path(folder))) for record in with_result]
    usable = tuple(record for record in translated if record is not None)
    return EarlierSweep(usable, len(with_result) - len(usable), len(trials) - len(with_result))


def read_warm_start(spec: SweepSpec) -> list[TrialRecord]:
    """The usable trials of all earlier sweeps, in order; errors as of `read_earlier_sweep`."""
    folders = spec.warm_start.results if spec.warm_start else ()
    return [record for folder in folders for record in read_earlier_sweep(spec, folder).usable]


def check_warm_start(spec: SweepSpec, warn: Callable[[str], None]) -> Iterator[Finding]:
    """Folders without usable results. Calls ``warn`` with a sentence if trials are skipped."""
    for index, folder in enumerate(spec.warm_start.results if spec.warm_start else ()):
        path = ("warm_start", "results", index)
        try:
            earlier = read_earlier_sweep(spec, folder)
        except ResultsError as error:
            yield Finding(path, f"{error}; name the results folder of an earlier sweep")
            continue
        result = "a result" if spec.judged_by == DICE else f"a value of {spec.judged_by.metric}"
        passed = f"{earlier.outside} outside this space, {earlier.silent} without {result}"
        if not earlier.usable:
            yield Finding(path, f"no trial of {folder} has usable results for this space: {passed}")
        elif earlier.outside or earlier.silent:
            trials = counted(len(earlier.usable), "trial")
            warn(f"`warm_start`: the searcher learns from {trials} of {folder}; skipped: {passed}")


def _in_terms_of(spec: SweepSpec, record: TrialRecord, layout: Layout) -> TrialRecord | None:
    """The trial with the parameters of this space; None if it is outside."""
    if record.parameters.keys() >= spec.drawn.keys():
        parameters = spec.as_drawn(record.parameters)
    else:
        try:
            settings = load_trial(layout.trial(record.trial_id).config)
            parameters = spec.parameters_of(settings)
        except (InputError, LookupError, TypeError):  # a setting is missing or old
            return None
    inside = lies_in(spec.drawn, parameters)
    return replace(record, parameters=spec.to_train(parameters)) if inside else None
