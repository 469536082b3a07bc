"""After a sweep: export the winner's weights to the trainer's own tools and validate finalists."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

from sweep.vocabulary.errors import SweepError

if TYPE_CHECKING:
    from sweep.analysis.ranking.ranking_frame import Ranking
    from sweep.console.sweep_view import View
    from sweep.spec.search.sweep_spec import SweepSpec
    from sweep.store.store import Store
    from sweep.trial.kinds.kind import Evaluate


def hand_over(
    spec: SweepSpec, store: Store, ranking: Ranking, view: View, *, uri: str | None = None
) -> None:
    """Print where the winner's weights are, export them for its trainer's tools, and validate.

    A failure here is printed and does not affect the results of the sweep.

    Args:
        store: the results.
        ranking: the ranking of all trials.
        uri: where the results are, if not on this machine. Then no finalist is validated here:
            that takes a GPU, which this machine may not have.
    """
    from sweep.analysis.ranking.finalists import runs_of
    from sweep.engine.session.evaluate_finalists import best_weights
    from sweep.spec.load import load_trial
    from sweep.trial.kinds.kind_table import kind_of

    if ranking.winner is None:
        return
    try:
        weights = best_weights(store, runs_of(ranking.records, ranking.winner))
        if weights is None:
            view.say(f"Weights: none of {ranking.winner} were kept")
            return
        file = weights.paths.best_checkpoint
        where = f"{uri}/{file.relative_to(store.layout.folder).as_posix()}" if uri else file
        view.say(f"Weights: {where}  ({weights})")
        kind, model = kind_of(spec), store.layout.nnunet_model
        if kind.tools is not None:
            with view.working(f"Exporting the winner to {kind.tools.name}"):
                kind.tools.hand_over(load_trial(weights.paths.config), weights.paths, model)
            view.say(f"Model:   {f'{uri}/{model.name}' if uri else model}")
        if kind.validate is not None and uri is None:
            _validate(spec, store, ranking, view, kind.validate)
    except SweepError as error:
        view.warn([str(error)])


def _validate(
    spec: SweepSpec, store: Store, ranking: Ranking, view: View, evaluate: Evaluate
) -> None:
    """Validate the finalists on whole cases and write ``nnunet_validation.csv``."""
    from sweep.analysis.ranking.finalists import runs_of
    from sweep.engine.session.evaluate_finalists import evaluate_each
    from sweep.store.files import atomic_write_text
    from sweep.vocabulary.record import Status

    finalists = spec.confirm.top if spec.confirm else 1
    with_result = [Status(status).has_result for status in ranking.frame["status"]]
    leaders = ranking.frame[with_result].head(finalists)
    ranks = dict(zip(leaders["trial_id"], leaders["rank"], strict=True))
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["rank", "trial_id", "val_dice", "real_dice", "run"])
    for name, weights, (dice, _) in evaluate_each(
        ((name, runs_of(ranking.records, name)) for name in ranks),
        evaluate,
        store,
        view.say,
        done="validated",
        busy=lambda of: view.working(f"nnU-Net validates {of.run.trial_id} on whole cases"),
    ):
        table.writerow([ranks[name], name, weights.dice, dice, weights.run.trial_id])
        atomic_write_text(store.layout.nnunet_validation, text.getvalue())
        found = "nothing to measure" if dice is None else f"{dice:.4f}"
        view.say(
            f"Real validation Dice of {weights.run.trial_id}: {found}"
            f" (pseudo Dice {weights.dice:.4f})",
        )
