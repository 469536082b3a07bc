"""The objective over two parameters: those that matter most for it, where that is known.

`optuna.visualization.plot_contour` interpolates between the trials: noise becomes a landscape, and
places without any trial are filled too.
"""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from sweep.analysis.divergence_rates import Floats
from sweep.analysis.figures import figure_style as style
from sweep.analysis.figures.figure import ReportFigure
from sweep.analysis.figures.sweep_results import Results
from sweep.analysis.parameters.importance import by_importance, importance_for_dice, order_words
from sweep.spec.words.short_names import short_names
from sweep.vocabulary.objective import Objective
from sweep.vocabulary.record import TrialRecord

BANDWIDTH = 0.12
"""Of the kernel, as a share of each axis."""
LEAST_WEIGHT = 0.5
"""Trials' worth of evidence near a place, below which nothing is drawn there."""
GRID = np.linspace(0.0, 1.0, 41)
"""Positions at which the estimate is computed, on both axes."""
LEAST_TRIALS = 8
MOST_MARKS = 300
"""Trials that are marked on the map."""


def smoothed(x: Floats, y: Floats, values: Floats) -> tuple[Floats, Floats]:
    """Nadaraya-Watson estimate with a Gaussian kernel, on `GRID` × `GRID`.

    Args:
        x, y: positions of the trials, `[N]`.
        values: what they reached, `[N]`.

    Returns:
        Kernel-weighted mean, `[GRID, GRID]` (y, x), NaN where too little is known; and the weight
        in trials' worth of evidence, the same shape.

    Source: Nadaraya, "On Estimating Regression", 1964.
    """
    near_x, near_y = (
        np.exp(-0.5 * ((GRID[:, None] - places[None, :]) / BANDWIDTH) ** 2)  # [GRID, N]
        for places in (x, y)
    )
    weight = near_y @ near_x.T  # [GRID, GRID]
    total = (near_y * values) @ near_x.T
    mean = np.full_like(weight, np.nan)
    np.divide(total, weight, out=mean, where=weight >= LEAST_WEIGHT)
    return mean, weight


def dice_contour(results: Results) -> ReportFigure:
    """The objective, smoothed, over the first two of `by_importance`, with its trials."""
    names = by_importance(results)[:2]
    records = results.acting(results.compared, *names)
    finding = (
        f"Needs two parameters that vary and {LEAST_TRIALS} trials with a comparable "
        f"{results.objective.short}; there are "
        f"{len(results.varied)} and {len(results.compared)}."
    )
    figure = None
    if len(names) == 2 and len(records) >= LEAST_TRIALS:
        figure, finding = _figure(results, names, records)
    return ReportFigure(
        name="contour",
        title=f"{results.objective.opening} over two parameters",
        finding=finding,
        reading=(
            f"The first two parameters, {order_words(importance_for_dice(results))}. "
            f"{results.compared_words} Drawn is a mean of the trials around each place, weighted "
            "by a Gaussian kernel of 12 % of each axis; empty where less than half a trial's worth "
            "of evidence is near. It smooths over all other parameters, so a peak between trials "
            "is a guess, and the ranking, not this map, says what was reached."
        ),
        figure=figure,
    )


def _figure(
    results: Results, names: list[str], records: list[TrialRecord]
) -> tuple[go.Figure, str]:
    objective = results.objective
    x, y = (np.array([results.position(name, record) for record in records]) for name in names)
    values = np.array([results.comparable_values[record.trial_id] for record in records])
    mean, weight = smoothed(x, y, values)
    expected = ", of pruned trials expected" if results.expected else ""
    seen = style.frame(values, values[: len(values) // 4 + 1])  # the best are the first
    low, high = seen or (None, None)
    figure = go.Figure(
        go.Contour(
            zmin=low,
            zmax=high,
            x=GRID,
            y=GRID,
            z=[[None if np.isnan(v) else float(f"{v:.7g}") for v in row] for row in mean],
            colorscale=style.LIGHT_TO_DARK,
            reversescale=objective.mode == "min",  # the better, the darker
            line={"width": 0.8, "color": style.INK},
            # Written along the bar: above it, it left a phone's map no room for its own ticks.
            colorbar={
                "title": {"text": f"{objective.short}{expected}", "side": "right"},
                "thickness": 12,
            },
            hovertemplate=f"smoothed {objective.short} %{{z:{objective.d3}}}<extra></extra>",
        )
    )
    texts = [
        f"{record.trial_id}: {objective.short} {objective.text(value)}"
        f"{' expected, not measured' if record.trial_id in results.expected else ''}"
        for record, value in zip(records, values, strict=True)
    ]
    shown = style.thinned(list(zip(x, y, texts, strict=True)), MOST_MARKS)
    ids = [record.trial_id for record in style.thinned(records, MOST_MARKS)]
    look = {"size": 7, "color": "#ffffff", "line": style.OUTLINE}
    figure.add_trace(style.marks(shown, look, ids=ids))
    short = short_names(results.parameters)
    for update, name in zip((figure.update_xaxes, figure.update_yaxes), names, strict=True):
        axis = results.axes[name]
        update(title=short[name], **style.ticks(axis.ticks), range=axis.span)
    finding = _finding(mean, weight, names, objective)
    return style.finished(figure, height=460, legend=False), finding


def _finding(mean: Floats, weight: Floats, names: list[str], objective: Objective) -> str:
    if np.isnan(mean).all():
        return "The trials lie too far apart for a smoothed picture."
    best = np.nanargmax if objective.mode == "max" else np.nanargmin
    evidence = float(weight[np.unravel_index(best(mean), mean.shape)])
    rests = (
        f"at its {objective.highest} it rests on {evidence:.1f} trials' worth of evidence"
        if evidence >= 1
        else f"less than one trial lies near its {objective.highest} place: it is a guess"
    )
    low, high = float(np.nanmin(mean)), float(np.nanmax(mean))
    return (
        f"Over {names[0]} and {names[1]} the smoothed {objective.short} goes from "
        f"{objective.text(low)} to {objective.text(high)}; {rests}."
    )
