"""After a sweep: tell where the winner's weights are, export them for its trainer's tools, and draw
the segmentations of the finalists."""

from __future__ import annotations

import shlex
from collections.abc import Collection
from typing import TYPE_CHECKING

from sweep.vocabulary.errors import SweepError

if TYPE_CHECKING:
    from sweep.analysis.ranking.ranking_frame import Ranking
    from sweep.console.sweep_view import View
    from sweep.engine.session.executor import Each
    from sweep.spec.search.sweep_spec import SweepSpec
    from sweep.store.store import Store
    from sweep.tracking.tracker import Tracker


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
    from sweep.report.takeaway.winner_use import nnunet_predict_command, predict_command
    from sweep.spec.load import load_trial
    from sweep.store.at_uri.local_results import named
    from sweep.trial.kinds.kind_table import kind_of

    if ranking.winner is None:
        return
    try:
        weights = best_weights(store, runs_of(ranking.records, ranking.winner))
        if weights is None:
            view.say(f"Weights: none of {ranking.winner} were kept")
            return
        folder = store.layout.folder
        where = named(folder, uri, weights.paths.best_checkpoint)
        view.say(f"Weights: {shlex.quote(where)}  ({weights})")
        kind, model = kind_of(spec), store.layout.nnunet_model
        if not isinstance(kind.predictor, str):
            view.say(f"Predict: {predict_command(named(folder, uri))}")
        if kind.tools is not None:
            with view.working(f"Exporting the winner to {kind.tools.name}"):
                kind.tools.hand_over(load_trial(weights.paths.config), weights.paths, model)
            view.say(f"Model:   {shlex.quote(named(folder, uri, model))}")
            if uri is None:
                view.say(f"Predict: {nnunet_predict_command(model.absolute())}")
    except SweepError as error:
        view.warn(str(error))


def draw(
    spec: SweepSpec,
    store: Store,
    ranking: Ranking,
    view: View,
    trackers: Collection[Tracker] = (),
    each: Each | None = None,
    *,
    uri: str | None = None,
) -> None:
    """Draw the segmentations of the finalists, and pass them to the trackers.

    Neither a failure of any kind, such as a GPU without memory, nor Ctrl-C affects the results of
    the sweep or how its command ends.
    """
    from sweep.engine.session.draw_finalists import draw_finalists
    from sweep.machine.interrupted import forget_interruption
    from sweep.store.at_uri.local_results import as_given
    from sweep.store.pictures.composed_picture import titled_pngs

    try:
        drawn = draw_finalists(spec, store, ranking.winner, view.warn, view.working, each)
        for name in drawn if trackers else ():
            pictures = titled_pngs(store.layout.trial(name))
            for tracker in trackers:
                tracker.pictures_drawn(name, pictures)
    except SweepError as error:
        view.warn(f"not all pictures are drawn: {error}")
    except Exception as error:  # noqa: BLE001 - of torch, a data plug-in, …: all results are written
        view.warn(f"not all pictures are drawn: {type(error).__name__}: {error}")
    except KeyboardInterrupt:
        forget_interruption()
        place = shlex.quote(as_given(store.layout.folder, uri))
        view.say(f"Not all pictures are drawn. Draw them with: python -m sweep.pictures {place}")
