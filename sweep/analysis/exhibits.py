"""The figures of a report, in their order. A page and a notebook show the same."""

from __future__ import annotations

from collections.abc import Callable

from sweep.analysis.budget import budget_by_status
from sweep.analysis.contour import dice_contour
from sweep.analysis.curves import learning_curves
from sweep.analysis.exhibit import Exhibit
from sweep.analysis.finalist_figure import confirmed_finalists
from sweep.analysis.importance import dice_importance, divergence_importance
from sweep.analysis.parallel import parallel_coordinates
from sweep.analysis.pareto import pareto_front
from sweep.analysis.patience import patience_tradeoff
from sweep.analysis.results import Results
from sweep.analysis.slices import slices
from sweep.analysis.stability import stability_map
from sweep.analysis.timeline import divergence_timeline

EXHIBITS: tuple[Callable[[Results], Exhibit], ...] = (
    confirmed_finalists,
    learning_curves,
    stability_map,
    divergence_timeline,
    divergence_importance,
    dice_importance,
    slices,
    dice_contour,
    parallel_coordinates,
    patience_tradeoff,
    pareto_front,
    budget_by_status,
)


def exhibits_of(results: Results) -> list[Exhibit]:
    """What concerns a sweep: no finalists where none were trained again or tested."""
    has_finalists = results.confirmation is not None or results.held_out is not None
    return [show(results) for show in EXHIBITS if has_finalists or show is not confirmed_finalists]
