"""The objective over two parameters: those that matter most for it, where that is known.

`optuna.visualization.plot_contour` interpolates between the trials: noise becomes a landscape, and
nothing stays white where there is no trial.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from sweep.analysis.figures.figure import ReportFigure
from sweep.analysis.figures.figure_style import INK, LIGHT_TO_DARK, finished, marks, thinned, ticks
from sweep.analysis.figures.sweep_results import Results
from sweep.analysis.parameter_axes import short_names
from sweep.analysis.parameters.importance import by_importance, importance_for_dice, order_words
from sweep.vocabulary.objective import Objective

Floats = NDArray[np.float64]

BANDWIDTH = 0.12
"""Of the kernel, as a share of each axis."""
LEAST_WEIGHT = 0.5
"""Trials' worth of evidence near a place, below which nothing is drawn there."""
GRID = 41
LEAST_TRIALS = 8


@dataclass(frozen=True, slots=True)
class Surface:
    """A smoothed value over two axes.

    Args:
        x, y: positions of the grid, `[GRID]` each.
        mean: kernel-weighted mean, `[GRID, GRID]` (y, x); NaN where too little is known.
        weight: trials' worth of evidence, the same shape.
    """

    x: Floats
    y: Floats
    mean: Floats
    weight: Floats


def smoothed(x: Floats, y: Floats, values: Floats) -> Surface:
    """Nadaraya-Watson estimate with a Gaussian kernel.

    Args:
        x, y: positions of the trials, `[N]`.
        values: what they reached, `[N]`.

    Source: Nadaraya, "On Estimating Regression", 1964.
    """
    grid = np.linspace(0.0, 1.0, GRID)
    near_x = np.exp(-0.5 * ((grid[:, None] - x[None, :]) / BANDWIDTH) ** 2)  # [GRID, N]
    near_y = np.exp(-0.5 * ((grid[:, None] - y[None, :]) / BANDWIDTH) ** 2)  # [GRID, N]
    weight = near_y @ near_x.T  # [GRID, GRID]
    total = (near_y * values) @ near_x.T
    mean = np.full_like(weight, np.nan)
    np.divide(total, weight, out=mean, where=weight >= LEAST_WEIGHT)
    return Surface(grid, grid, mean, weight)


def dice_contour(results: Results) -> ReportFigure:
    """The objective, smoothed, over the first two of `by_importance`, with its trials."""
    names = by_importance(results)[:2]
    drawn = results.acting(results.compared, *names)
    drawable = len(names) == 2 and len(drawn) >= LEAST_TRIALS
    figure, finding = _figure(results, names) if drawable else (None, _too_little(results))
    return ReportFigure(
        name="contour",
        title=f"{results.objective.short} over two parameters",
        finding=finding,
        reading=(
            f"The first two parameters, {order_words(importance_for_dice(results))}. "
            f"{results.compared_words} Drawn is a mean of the trials around each place, weighted "
            "by a Gaussian kernel of 12 % of each axis; white where less than half a trial's worth "
            "of evidence is near. It smooths over all other parameters, so a peak between trials "
            "is a guess, and the ranking, not this map, says what was reached."
        ),
        figure=figure,
    )


def _too_little(results: Results) -> str:
    return (
        f"Needs two parameters that vary and {LEAST_TRIALS} trials with a result; there are "
        f"{len(results.varied)} and {len(results.compared)}."
    )


def _figure(results: Results, names: list[str]) -> tuple[go.Figure, str]:
    x_axis, y_axis = (results.axes[name] for name in names)
    records = results.acting(results.compared, *names)
    x, y = (np.array([results.position(name, record) for record in records]) for name in names)
    values = np.array([results.comparable_values[record.trial_id] for record in records])
    surface, objective = smoothed(x, y, values), results.objective
    figure = go.Figure(
        go.Contour(
            x=surface.x,
            y=surface.y,
            z=[[None if np.isnan(v) else float(f"{v:.7g}") for v in row] for row in surface.mean],
            colorscale=LIGHT_TO_DARK,
            reversescale=objective.mode == "min",  # the better, the darker
            line={"width": 0.8, "color": INK},
            colorbar={"title": _title(results), "thickness": 12},
            hovertemplate=f"smoothed {objective.short} %{{z:{objective.d3}}}<extra></extra>",
        )
    )
    texts = [
        f"{record.trial_id}: {objective.short} {objective.text(value)}"
        for record, value in zip(records, values, strict=True)
    ]
    shown = thinned(list(zip(x, y, texts, strict=True)), 300)
    look = {"size": 7, "color": "#ffffff", "line": {"color": INK, "width": 1}}
    figure.add_trace(marks(shown, look))
    short = short_names(results.parameters)
    for update, axis in ((figure.update_xaxes, x_axis), (figure.update_yaxes, y_axis)):
        update(title=short[axis.name], **ticks(axis.ticks), range=axis.span)
    return finished(figure, height=460, legend=False), _finding(surface, names, objective)


def _title(results: Results) -> str:
    extrapolated = ",<br>of pruned trials<br>extrapolated" if results.extrapolated else ""
    return f"{results.objective.short}{extrapolated}"


def _finding(surface: Surface, names: list[str], objective: Objective) -> str:
    if np.isnan(surface.mean).all():
        return "The trials lie too far apart for a smoothed picture."
    high, low = np.nanmax(surface.mean), np.nanmin(surface.mean)
    best = np.nanargmax if objective.mode == "max" else np.nanargmin
    at = np.unravel_index(best(surface.mean), surface.mean.shape)
    text, weight = objective.text, float(surface.weight[at])
    rests = (
        f"at its {objective.highest} it rests on {weight:.1f} trials' worth of evidence"
        if weight >= 1
        else f"less than one trial lies near its {objective.highest} place: it is a guess"
    )
    return (
        f"Over {names[0]} and {names[1]} the smoothed {objective.short} goes from "
        f"{text(float(low))} to {text(float(high))}; {rests}."
    )
