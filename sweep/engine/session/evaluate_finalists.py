"""Evaluate the finalists once, at the end of a sweep, more thoroughly than after an epoch."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sweep.analysis.ranking.finalists import finalists
from sweep.engine.session.executor import Each, in_turn, nothing
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.store.layout import TrialPaths
from sweep.store.store import Store
from sweep.vocabulary.errors import ResultsError, SweepError
from sweep.vocabulary.record import TrialRecord, representing

How = Literal["test", "validate"]
"""On the test split, or on the validation cases as whole images."""

Show = Callable[[str], object]
"""Takes what is evaluated, for people who wait."""


@dataclass(frozen=True, slots=True)
class Weights:
    """The weights that represent a configuration.

    Args:
        run: the run that trained them, a replicate or the trial itself.
        paths: its files, on this machine.
        runs: all runs of the configuration that might have.
    """

    run: TrialRecord
    paths: TrialPaths
    runs: Sequence[TrialRecord] = ()

    @property
    def dice(self) -> float:
        """Best validation Dice of the run."""
        assert self.run.best is not None
        assert self.run.best.val_dice is not None
        return self.run.best.val_dice

    def __str__(self) -> str:
        objective, value = self.run.objective, self.run.value
        assert value is not None, "a run without a value has no weights here"
        real = None if self.run.real is None else self.run.real.dice
        chosen = "" if real is None else f", real validation Dice {objective.text(real)}"
        which = f", {self._what}" if len(self.runs) > 1 else ""
        return f"{self.run.trial_id}{which}: {objective.label} {objective.text(value)}{chosen}"

    @property
    def _what(self) -> str:
        """Which of the runs it is. Those of other folds were not compared with it by value."""
        replicate = self.run.replicate
        if replicate is None:
            further = sum(bool(r.replicate and r.replicate.in_search) for r in self.runs)
            of = f" on the sweep's own fold and seed, the first of {1 + further} runs"
            return f"the run of the search{of if further else ''}"
        kept = f"of seed {replicate.seed} and fold {replicate.fold}, which best.yaml does not train"
        if replicate.in_search:
            return f"a replicate in the search, {kept}"
        others = {run.replicate.fold for run in self.runs if run.replicate} - {replicate.fold}
        on_it = " on this fold; other folds are harder or easier" if others else ""
        return f"the best of its replicates{on_it}, {kept}"


def best_weights(store: Store, runs: Iterable[TrialRecord]) -> Weights | None:
    """The weights of the first run that has any.

    None if no weights were kept: no run has a result, or somebody has deleted them.

    Args:
        runs: of one configuration, the best first (`sweep.analysis.ranking.finalists.runs_of`).
    """
    runs = list(runs)
    for run in runs:
        paths = store.with_best_weights(run.trial_id)
        if paths.best_checkpoint.exists():
            return Weights(run, paths, runs)
    return None


def evaluate_finalists(
    spec: SweepSpec,
    store: Store,
    warn: Callable[[str], None],
    show: Show = nothing,
    each: Each | None = None,
) -> None:
    """Evaluate the finalists that have not been evaluated on the test split. Record each run.

    Recorded runs are not evaluated again, so an interrupted evaluation can be resumed.

    Args:
        spec: of a sweep that has ended.
        store: its results folder.
        warn: called for runs whose weights are missing or damaged.
        show: called with the run that is waited for, and how many have ended: ``t0003, 2 of 5``.
        each: calls a function where trials are trained; None: here.
    Raises:
        SweepFailed: results cannot be written.
    """
    from sweep.trial.kinds.kind_table import kind_of

    if not spec.has_test_cases or kind_of(spec).test is None:
        return
    runs = untested(spec, store.records())
    for name, found in _evaluated(spec, runs, "test", each or in_turn(store), store, show):
        if isinstance(found, ResultsError):
            warn(f"{name} is not tested: {found}")
        elif isinstance(found, SweepError):
            raise found
        else:
            store.record_test(name, found)


def validate_finalists(
    spec: SweepSpec,
    store: Store,
    warn: Callable[[str], None],
    show: Show = nothing,
    each: Each | None = None,
) -> None:
    """Validate the finalists on whole cases, where their kind of trainer can. Record each run.

    A run that cannot be validated is told and left out.

    Args:
        spec, store, show, each: as in `evaluate_finalists`.
        warn: called for these runs, with the reason.
    """
    from sweep.trial.kinds.kind_table import kind_of

    if kind_of(spec).validate is None:
        return
    runs = [run for run in finalist_runs(spec, store.records()) if run.real is None]
    for name, found in _evaluated(spec, runs, "validate", each or in_turn(store), store, show):
        if isinstance(found, SweepError):
            warn(f"{name} is not validated on whole cases: {found}")
        else:
            store.record_real_validation(name, found)


def _evaluated(
    spec: SweepSpec, runs: Iterable[TrialRecord], how: How, each: Each, store: Store, show: Show
) -> Iterator[tuple[str, Any]]:
    """Each run with what its evaluation found or a `SweepError`, once it has ended."""
    names = list[str]()
    for run in runs:
        if store.has(store.layout.trial(run.trial_id).best_checkpoint):
            names.append(run.trial_id)
        else:
            yield run.trial_id, ResultsError("its weights were not kept")
    waiting = [*names]
    found = each(evaluate_run, [[name] for name in names], spec.trainer.kind, how)
    for count in range(1, len(names) + 1):
        show(f"{waiting[0]}, {count} of {len(names)}")
        number, result = next(found)
        waiting.remove(names[number])
        yield names[number], result


def evaluate_run(trials: Sequence[TrialPaths], kind: str, how: How) -> Any:
    """What a kind of trainer finds with the best weights of one trial.

    Raises:
        ResultsError: they are damaged.
    """
    from sweep.spec.load import load_trial
    from sweep.trial.kinds.kind_table import KINDS

    (paths,) = trials
    evaluate = {"test": KINDS[kind].test, "validate": KINDS[kind].validate}[how]
    assert evaluate is not None, "the caller has asked"
    return evaluate(load_trial(paths.config), paths)


def untested(spec: SweepSpec, records: Iterable[TrialRecord]) -> list[TrialRecord]:
    """The runs of the finalists that were not tested yet."""
    return [run for run in finalist_runs(spec, records) if not run.test]


def finalist_runs(spec: SweepSpec, records: Iterable[TrialRecord]) -> Iterator[TrialRecord]:
    """The runs that stand for the finalists: their replicates, or the trial itself without any.

    Those of the search stand for it together with the trial.
    """
    records = list(records)
    replicates = defaultdict[str, list[TrialRecord]](list)
    for record in records:
        if record.replicate is not None and record.status.has_result:
            replicates[record.replicate.of].append(record)
    for finalist in finalists(spec, records):
        yield from representing([finalist, *replicates[finalist.trial_id]])
