"""Evaluate the finalists once, at the end of a sweep, more thoroughly than after an epoch."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sweep.analysis.ranking.finalists import finalists
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.store.layout import TrialPaths
from sweep.store.store import Store
from sweep.vocabulary.errors import ResultsError
from sweep.vocabulary.record import TrialRecord

if TYPE_CHECKING:
    from sweep.trial.kinds.kind import Evaluate, FinalScore


@dataclass(frozen=True, slots=True)
class Weights:
    """The weights that represent a configuration.

    Args:
        run: the run that trained them, a replicate or the trial itself.
        paths: its files, on this machine.
    """

    run: TrialRecord
    paths: TrialPaths

    @property
    def dice(self) -> float:
        """Best validation Dice of the run."""
        assert self.run.best is not None
        assert self.run.best.val_dice is not None
        return self.run.best.val_dice

    def __str__(self) -> str:
        replicate = self.run.replicate
        what = (
            "the run of the search"
            if replicate is None
            else f"the best of its replicates, of seed {replicate.seed} and fold {replicate.fold},"
            " which best.yaml does not train"
        )
        objective, value = self.run.objective, self.run.value
        assert value is not None, "a run without a value has no weights here"
        return f"{self.run.trial_id}, {what}: {objective.label} {objective.text(value)}"


def best_weights(store: Store, runs: Iterable[TrialRecord]) -> Weights | None:
    """The weights of the first run that has any.

    None if no weights were kept: no run has a result, or somebody has deleted them.

    Args:
        runs: of one configuration, the best first (`sweep.analysis.ranking.finalists.runs_of`).
    """
    for run in runs:
        paths = store.with_best_weights(run.trial_id)
        if paths.best_checkpoint.exists():
            return Weights(run, paths)
    return None


def evaluate_each(
    candidates: Iterable[tuple[str, Iterable[TrialRecord]]],
    evaluate: Evaluate,
    store: Store,
    warn: Callable[[str], None],
    *,
    done: str,
    busy: Callable[[Weights], AbstractContextManager[object]] = nullcontext,
) -> Iterator[tuple[str, Weights, FinalScore]]:
    """Evaluate candidates one by one, so that each score can be recorded immediately.

    Args:
        candidates: names of trials, each with the runs for `best_weights`.
        evaluate: the function of their kind of trainer.
        store: the results folder.
        warn: called for candidates whose weights are missing or damaged.
        done: what is done with them, in a sentence: "tested".
        busy: entered while one is evaluated.
    """
    from sweep.spec.load import load_trial

    for name, runs in candidates:
        weights = best_weights(store, runs)
        if weights is None:
            warn(f"{name} is not {done}: its weights were not kept")
            continue
        try:
            with busy(weights):
                score = evaluate(load_trial(weights.paths.config), weights.paths)
        except ResultsError as damaged:
            warn(f"{name} is not {done}: {damaged}")
            continue
        yield name, weights, score


def evaluate_finalists(spec: SweepSpec, store: Store, warn: Callable[[str], None]) -> None:
    """Evaluate the finalists that have not been evaluated on the test split. Record each run.

    Recorded runs are not evaluated again, so an interrupted evaluation can be resumed.

    Args:
        spec: of a sweep that has ended.
        store: its results folder.
        warn: called for runs whose weights are missing or damaged.
    Raises:
        SweepFailed: results cannot be written.
    """
    runs = [(run.trial_id, [run]) for run in untested(spec, store.records())]
    if not spec.data.test or not runs:
        return
    from sweep.trial.kinds.kind_table import kind_of

    if (evaluate := kind_of(spec).test) is not None:
        for name, _, score in evaluate_each(runs, evaluate, store, warn, done="tested"):
            store.record_test(name, score.cases)


def untested(spec: SweepSpec, records: Iterable[TrialRecord]) -> Iterator[TrialRecord]:
    """The runs of the finalists to test: their replicates, or the trial itself without any."""
    records = list(records)
    replicates = defaultdict[str, list[TrialRecord]](list)
    for record in records:
        if record.replicate is not None and record.status.has_result:
            replicates[record.replicate.of].append(record)
    for finalist in finalists(spec, records):
        for run in replicates[finalist.trial_id] or [finalist]:
            if not run.test:
                yield run
