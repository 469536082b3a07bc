"""The figures of a report in order, for the page and for the notebook."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sweep.analysis.figures.budget_figure import budget_by_status
from sweep.analysis.figures.divergence_timeline import divergence_timeline
from sweep.analysis.figures.figure import ReportFigure
from sweep.analysis.figures.finalist_intervals import confirmed_finalists
from sweep.analysis.figures.learning_curves import learning_curves
from sweep.analysis.figures.pareto import pareto_front
from sweep.analysis.figures.patience_figure import patience_tradeoff
from sweep.analysis.figures.runs_on_folds import runs_on_folds
from sweep.analysis.figures.sweep_results import Results
from sweep.analysis.figures.timeline import timeline
from sweep.analysis.parameters.importance import dice_importance, divergence_importance
from sweep.analysis.parameters.parallel_coordinates import parallel_coordinates
from sweep.analysis.parameters.slices import slices
from sweep.analysis.parameters.stability_maps import stability_map
from sweep.analysis.resampling.expected_best import expected_best
from sweep.analysis.resampling.metric_agreement import metric_agreement
from sweep.analysis.resampling.rank_stability import rank_stability

DrawFigure = Callable[[Results], ReportFigure]

REPORT_FIGURES: tuple[DrawFigure, ...] = (
    confirmed_finalists,
    runs_on_folds,
    rank_stability,
    learning_curves,
    stability_map,
    divergence_timeline,
    divergence_importance,
    dice_importance,
    slices,
    parallel_coordinates,
    patience_tradeoff,
    expected_best,
    pareto_front,
    metric_agreement,
    budget_by_status,
    timeline,
)


def figures_of(results: Results, own: Sequence[DrawFigure] = ()) -> list[ReportFigure]:
    """The figures of a sweep; those of replicates only if there are any to show.

    Args:
        own: figures that its user programmed; they come last.
    """
    is_shown: dict[DrawFigure, bool] = {
        confirmed_finalists: results.confirmation is not None or results.held_out is not None,
        runs_on_folds: any(record.has_further_runs for record in results.records),
    }
    shown = [show for show in REPORT_FIGURES if is_shown.get(show, True)]
    return [show(results) for show in (*shown, *own)]
