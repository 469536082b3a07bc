"""What follows a sweep: the winner's weights, and for nnU-Net what its own tools make of them."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sweep.vocabulary.errors import SweepError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sweep.analysis.ranking.ranking_frame import Ranking
    from sweep.console.sweep_view import View
    from sweep.spec.search.sweep_spec import SweepSpec
    from sweep.store.layout import TrialPaths
    from sweep.store.store import Store
    from sweep.vocabulary.record import TrialRecord


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
    from sweep.analysis.ranking.finalists import runs_of

    for run in runs_of(records, trial_id):
        paths = store.with_best_weights(run.trial_id)
        if paths.best_checkpoint.exists():
            return Weights(run, paths)
    return None


def hand_over(
    spec: SweepSpec, store: Store, ranking: Ranking, view: View, *, uri: str | None = None
) -> None:
    """Say where the winner's weights are; of nnU-Net write them as it reads them, and validate.

    What fails here is told and spoils no result of the sweep.

    Args:
        store: of the results.
        ranking: of all trials.
        uri: where the results lie, where that is not on this machine; then no finalist is
            validated here: that takes a GPU's time, and this machine may have none.
    """
    from sweep.spec.load import load_trial
    from sweep.trial.kinds import hand_over

    if ranking.winner is None:
        return
    try:
        weights = best_weights(store, ranking.records, ranking.winner)
        if weights is None:
            view.say(f"Weights: none of {ranking.winner} were kept")
            return
        file = weights.paths.best_checkpoint
        where = f"{uri}/{file.relative_to(store.layout.folder).as_posix()}" if uri else file
        view.say(f"Weights: {where}  ({weights})")
        if spec.trainer.kind != "nnunet":
            return
        with view.working("Handing the winner over to nnU-Net"):
            model = hand_over(load_trial(weights.paths.config), weights.paths, store.layout)
        view.say(f"Model:   {f'{uri}/{model.name}' if uri and model else model}")
        for line in _validated(spec, store, ranking, view) if uri is None else ():
            view.say(line)
    except SweepError as error:
        view.warn([str(error)])


def _validated(spec: SweepSpec, store: Store, ranking: Ranking, view: View) -> Iterator[str]:
    """Validate the finalists by nnU-Net's real validation, into ``nnunet_validation.csv``."""
    from sweep.spec.load import load_trial
    from sweep.store.files import atomic_write_text
    from sweep.trial.kinds import validate
    from sweep.vocabulary.record import Status

    finalists = spec.confirm.top if spec.confirm else 1
    with_result = [Status(status).has_result for status in ranking.frame["status"]]
    leaders = ranking.frame[with_result].head(finalists)
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["rank", "trial_id", "val_dice", "real_dice", "run"])
    for row in leaders.to_dict("records"):
        name = str(row["trial_id"])
        weights = best_weights(store, ranking.records, name)
        if weights is None:
            yield f"{name} is not validated: its weights were not kept"
            continue
        with view.working(f"nnU-Net validates {weights.run.trial_id} on whole cases"):
            dice = validate(load_trial(weights.paths.config), weights.paths)
        table.writerow([row["rank"], name, weights.dice, dice, weights.run.trial_id])
        atomic_write_text(store.layout.nnunet_validation, text.getvalue())
        found = "nothing to measure" if dice is None else f"{dice:.4f}"
        yield (
            f"Real validation Dice of {weights.run.trial_id}: {found}"
            f" (pseudo Dice {weights.dice:.4f})"
        )
