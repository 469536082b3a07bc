"""After a sweep: tell where the winner's weights are, and export them for its trainer's tools."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from sweep.vocabulary.errors import SweepError

if TYPE_CHECKING:
    from sweep.analysis.ranking.ranking_frame import Ranking
    from sweep.console.sweep_view import View
    from sweep.spec.search.sweep_spec import SweepSpec
    from sweep.store.store import Store


def hand_over(
    spec: SweepSpec, store: Store, ranking: Ranking, view: View, *, uri: str | None = None
) -> None:
    """Print where the winner's weights are, and export them for its trainer's tools.

    A failure here is printed and does not affect the results of the sweep.

    Args:
        store: the results.
        ranking: the ranking of all trials.
        uri: where the results are, if not on this machine.
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
        where = (
            f"{uri}/{file.relative_to(store.layout.folder).as_posix()}"
            if uri
            else shlex.quote(str(file))
        )
        view.say(f"Weights: {where}  ({weights})")
        kind, model = kind_of(spec), store.layout.nnunet_model
        if kind.tools is not None:
            with view.working(f"Exporting the winner to {kind.tools.name}"):
                kind.tools.hand_over(load_trial(weights.paths.config), weights.paths, model)
            view.say(f"Model:   {f'{uri}/{model.name}' if uri else shlex.quote(str(model))}")
    except SweepError as error:
        view.warn([str(error)])
