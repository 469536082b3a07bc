"""The finalists on the test split: once, when everything else is over, and Ray has gone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from sweep.analysis.ranking.finalists import finalists
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.store.store import Store
from sweep.vocabulary.errors import ResultsError
from sweep.vocabulary.record import TrialRecord


def evaluate_finalists(spec: SweepSpec, store: Store, warn: Callable[[str], None]) -> None:
    """Evaluate what of the finalists was not yet, and record it at once, run by run.

    What is recorded is never evaluated again, so an interrupted evaluation goes on.

    Args:
        spec: of a sweep that has ended.
        store: its results folder.
        warn: is told of runs whose weights are not there, or damaged.
    Raises:
        SweepFailed: results cannot be written.
    """
    runs = list(untested(spec, store.records()))
    if not spec.data.test or not runs:
        return
    # Only now: whoever tests nothing loads no torch here.
    from sweep.data.prepared.prepare import prepare
    from sweep.spec.load import load_trial
    from sweep.trial.checkpoints import Checkpoints
    from sweep.trial.kinds import KINDS

    for record in runs:
        paths = store.with_best_weights(record.trial_id)
        try:
            weights = Checkpoints(paths.folder).load_best()
        except ResultsError as damaged:
            warn(f"{record.trial_id} is not tested: {damaged}")
            continue
        if weights is None:
            warn(f"{record.trial_id} is not tested: its weights were not kept")
            continue
        config = load_trial(paths.config)
        evaluate = KINDS[config.trainer.kind].evaluate
        if evaluate is not None:
            store.record_test(record.trial_id, evaluate(config, weights, prepare(config.data)))


def untested(spec: SweepSpec, records: Iterable[TrialRecord]) -> Iterator[TrialRecord]:
    """The runs of the finalists that are to be tested: replicates, or else the search's own."""
    records = list(records)
    of: dict[str, list[TrialRecord]] = {}
    for record in records:
        if record.replicate is not None and record.status.has_result:
            of.setdefault(record.replicate.of, []).append(record)
    for finalist in finalists(spec, records):
        for run in of.get(finalist.trial_id, [finalist]):
            if not run.test:
                yield run
