"""Earlier sweeps that a searcher learns from before its first proposal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from sweep.spec.load import load_trial
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.spec.settings.setting_tree import Finding
from sweep.spec.words.phrases import counted
from sweep.store.layout import Layout
from sweep.store.read_results import read_records
from sweep.vocabulary.errors import InputError, ResultsError
from sweep.vocabulary.objective import DICE
from sweep.vocabulary.record import ParameterValue, Status, TrialRecord, searched


@dataclass(frozen=True, slots=True)
class EarlierTrial:
    """What an earlier sweep has to say.

    Args:
        told: its trials whose parameters lie in this space, with these parameters.
        outside: how many have others.
        silent: how many say nothing of theirs: failed, unfinished, or without a value of what this
            sweep judges by.
    """

    told: tuple[TrialRecord, ...]
    outside: int
    silent: int


def read_lesson(spec: SweepSpec, folder: str) -> EarlierTrial:
    """Look at the results folder of an earlier sweep.

    A setting that is searched here and was fixed there has the value that it was trained with. A
    sweep that was judged by another metric is read by this one's, where it measured that.

    Raises:
        ResultsError: ``folder`` is no results folder, or is broken.
    """
    try:
        records = read_records(Path(folder))
    except OSError as error:  # a name that is none
        raise ResultsError(f"cannot read {folder}: {error.strerror}") from error
    # A replicate says what its trial said, under another seed.
    trials = [replace(record, objective=spec.judged_by) for record in searched(records)]
    speaking = [record for record in trials if _speaks(record)]
    translated = [_in_terms_of(spec, record, Layout(Path(folder))) for record in speaking]
    told = tuple(record for record in translated if record is not None)
    return EarlierTrial(told, len(speaking) - len(told), len(trials) - len(speaking))


def read_warm_start(spec: SweepSpec) -> list[TrialRecord]:
    """The trials of all earlier sweeps that the searcher is told, in order; raises as above."""
    folders = spec.warm_start.results if spec.warm_start else ()
    return [record for folder in folders for record in read_lesson(spec, folder).told]


def check_warm_start(spec: SweepSpec, tell: Callable[[str], None]) -> Iterator[Finding]:
    """Folders that are none or teach nothing; ``tell`` is told where trials are passed over."""
    for index, folder in enumerate(spec.warm_start.results if spec.warm_start else ()):
        path = ("warm_start", "results", index)
        try:
            lesson = read_lesson(spec, folder)
        except ResultsError as error:
            yield Finding(path, f"{error}; name the results folder of an earlier sweep")
            continue
        result = "a result" if spec.judged_by == DICE else f"a value of {spec.judged_by.metric}"
        passed = f"{lesson.outside} outside this space, {lesson.silent} without {result}"
        if not lesson.told:
            yield Finding(path, f"no trial of {folder} teaches anything here: {passed}")
        elif lesson.outside or lesson.silent:
            told = counted(len(lesson.told), "trial")
            tell(f"`warm_start`: the searcher is told {told} of {folder}; passed over: {passed}")


def best_of(earlier: Iterable[TrialRecord], count: int) -> list[dict[str, ParameterValue]]:
    """The ``count`` best configurations by the objective, the best first, each once.

    Of equal ones the first comes first.
    """
    results = [(score, record) for record in earlier if (score := record.score) is not None]
    distinct: dict[str, dict[str, ParameterValue]] = {}
    for _, record in sorted(results, key=lambda pair: pair[0], reverse=True):
        distinct.setdefault(repr(record.parameters), dict(record.parameters))
    return list(distinct.values())[:count]


def _speaks(record: TrialRecord) -> bool:
    return record.status is Status.DIVERGED or (
        record.status.has_result and record.best is not None
    )


def _in_terms_of(spec: SweepSpec, record: TrialRecord, layout: Layout) -> TrialRecord | None:
    """The trial with the parameters of this space; None where it lies outside."""
    if record.parameters.keys() >= spec.drawn.keys():
        parameters = spec.as_drawn(record.parameters)
    else:
        try:
            settings = load_trial(layout.trial(record.trial_id).config)
            parameters = spec.parameters_of(settings)
        except (InputError, LookupError, TypeError):  # it has no such setting, or one of old
            return None
    inside = all(kind.contains(parameters[key]) for key, kind in spec.drawn.items())
    return replace(record, parameters=spec.to_train(parameters)) if inside else None
