"""Evaluate the finalists once, more thoroughly than in an epoch, after everything else."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sweep.analysis.ranking.finalists import finalists, runs_of
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.store.layout import TrialPaths
from sweep.store.store import Store
from sweep.vocabulary.errors import ResultsError
from sweep.vocabulary.record import TrialRecord

if TYPE_CHECKING:
    from sweep.trial.kinds.kind import Evaluate, FinalScore

Candidates = Iterable[tuple[str, Iterable[TrialRecord]]]
"""Names of trials, each with the runs whose weights may stand for it, the best first."""


@dataclass(frozen=True, slots=True)
class Weights:
    """The weights that stand for a configuration.

    Args:
        run: the run that they are of, a replicate or the trial itself.
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
        assert value is not None, "without one it stands for nothing"
        return f"{self.run.trial_id}, {what}: {objective.label} {objective.text(value)}"


def best_weights(store: Store, records: Iterable[TrialRecord], trial_id: str) -> Weights | None:
    """The weights that stand for a configuration, see `sweep.analysis.ranking.finalists.runs_of`.

    None where none were kept: none of its runs has a result, or somebody has deleted them.
    """
    return _first_kept(store, runs_of(records, trial_id))


def _first_kept(store: Store, runs: Iterable[TrialRecord]) -> Weights | None:
    for run in runs:
        paths = store.with_best_weights(run.trial_id)
        if paths.best_checkpoint.exists():
            return Weights(run, paths)
    return None


def evaluate_each(
    candidates: Candidates,
    evaluate: Evaluate,
    store: Store,
    tell: Callable[[str], None],
    *,
    done: str,
    busy: Callable[[Weights], AbstractContextManager[object]] = nullcontext,
) -> Iterator[tuple[str, Weights, FinalScore]]:
    """Evaluate candidates one by one, so that each score can be recorded immediately.

    Args:
        evaluate: by what their kind of trainer has for that.
        store: the results folder.
        tell: called for candidates whose weights are missing or damaged.
        done: what is done with them, in a sentence: "tested".
        busy: open while one is evaluated.
    """
    from sweep.spec.load import load_trial

    for name, runs in candidates:
        weights = _first_kept(store, runs)
        if weights is None:
            tell(f"{name} is not {done}: its weights were not kept")
            continue
        try:
            with busy(weights):
                score = evaluate(load_trial(weights.paths.config), weights.paths)
        except ResultsError as damaged:
            tell(f"{name} is not {done}: {damaged}")
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
    """The runs of the finalists to test: replicates, or else the search's own."""
    records = list(records)
    of: dict[str, list[TrialRecord]] = {}
    for record in records:
        if record.replicate is not None and record.status.has_result:
            of.setdefault(record.replicate.of, []).append(record)
    for finalist in finalists(spec, records):
        for run in of.get(finalist.trial_id, [finalist]):
            if not run.test:
                yield run
