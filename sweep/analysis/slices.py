"""Validation Dice over each parameter alone."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import plotly.graph_objects as go
from plotly.subplots import make_subplots
from scipy.stats import spearmanr

from sweep.analysis.axes import JITTER, Axis, even_words, round_numbers, short_names, words
from sweep.analysis.comparable import COMPARED
from sweep.analysis.exhibit import Exhibit
from sweep.analysis.importance import by_importance
from sweep.analysis.results import Results
from sweep.analysis.style import INK, LOOKS, MOST_POINTS, finished, thinned
from sweep.analysis.words import status
from sweep.record import ParameterValue, Status, TrialRecord

MOST_SLICES = 9
COLUMNS = 3
ROW, GAP, HEAD_AND_FOOT = 260, 88, 104
"""Pixels of a row of panels with the gap below it, of that gap, and of the figure's margins."""
LEAST_TRIALS = 5
"""Ranked trials below which no correlation is told."""


def slices(results: Results) -> Exhibit:
    """Best validation Dice over each varied parameter; diverged trials below."""
    names = by_importance(results)[:MOST_SLICES]
    return Exhibit(
        name="slices",
        title="Dice over each parameter",
        finding=_finding(results),
        reading=(
            "The Dice of each trial over one parameter, all others as they came; the most "
            "important first. "
            + COMPARED
            + " ✕ at the foot: trials that diverged there. A searcher that learns puts its trials "
            "where it has seen good ones, so density is no evidence."
        ),
        figure=_figure(results, names) if names and results.compared else None,
    )


def correlations(results: Results) -> dict[str, tuple[float, float]]:
    """Spearman's ρ of each varied parameter with the comparable Dice and its two-sided p-value.

    Constant parameters, and those whose values have no order, are left out.
    """
    found = {}
    dice = [results.comparable[record.trial_id] for record in results.compared]
    for name in results.varied:
        values = [record.parameters[name] for record in results.compared]
        if len({repr(value) for value in values}) < 2 or any(
            not isinstance(value, int | float) for value in values
        ):
            continue
        places = [results.axes[name].position(value) for value in values]
        if len(values) >= LEAST_TRIALS and len(set(dice)) > 1:
            test = spearmanr(places, dice)
            found[name] = float(test.statistic), float(test.pvalue)
    return found


def _finding(results: Results) -> str:
    found = correlations(results)
    if not found:
        return "Too few trials with a result to tell a trend."
    name = max(found, key=lambda key: abs(found[key][0]))
    rho, p = found[name]
    corrected = min(1.0, p * len(found))
    verdict = "a trend" if corrected < 0.05 else "no more than chance would show"
    direction = "rises" if rho > 0 else "falls"
    return (
        f"Strongest trend: Dice {direction} with {name} (Spearman's ρ = {rho:+.2f}".replace(
            "-", "−"
        )
        + f" over {len(results.compared)} trials, p = {corrected:.2g} corrected for "
        f"{len(found)} parameters): {verdict}."
    )


def _figure(results: Results, names: Sequence[str]) -> go.Figure:
    columns = min(COLUMNS, len(names))
    rows = -(-len(names) // columns)
    short = short_names(results.parameters)
    figure = make_subplots(
        rows=rows, cols=columns, shared_yaxes=True, horizontal_spacing=0.04,
        vertical_spacing=GAP / (ROW * rows),
    )  # fmt: skip
    dice = [results.comparable[record.trial_id] for record in results.compared]
    low, high = min(dice), max(dice)
    floor = low - 0.12 * max(high - low, 0.01)
    shown = [
        record
        for record in results.inside
        if record.status is Status.DIVERGED or record.trial_id in results.comparable
    ]
    groups = {
        state: thinned([record for record in shown if record.status is state], MOST_POINTS)
        for state in (Status.PRUNED, Status.EARLY_STOPPED, Status.COMPLETED, Status.DIVERGED)
    }
    for n, name in enumerate(names):
        place = {"row": n // columns + 1, "col": n % columns + 1}
        axis = results.axes[name]
        for state, records in groups.items():
            if records:
                y = [results.comparable.get(record.trial_id, floor) for record in records]
                figure.add_trace(_dots(axis, state, records, y, first=n == 0), **place)
        figure.update_xaxes(
            title=short[name],
            tickvals=[position for position, _ in axis.ticks],
            ticktext=[text for _, text in axis.ticks],
            range=axis.span,
            **place,
        )
    ticks = round_numbers(low, high)
    margin = 0.06 * (high - floor)
    figure.update_yaxes(
        range=[floor - margin, high + margin],
        tickvals=[floor, *ticks],
        ticktext=["diverged", *even_words(ticks)],
    )
    for row in range(1, rows + 1):
        figure.update_yaxes(title="val Dice, comparable", row=row, col=1)
    return finished(figure, height=HEAD_AND_FOOT + ROW * rows)


def _places(axis: Axis, values: Sequence[ParameterValue]) -> list[float]:
    """Positions; where many share few values, spread around each so that all are seen."""
    places = [axis.position(value) for value in values]
    distinct = sorted(set(places))
    if len(distinct) < 2 or len(places) < 4 * len(distinct):
        return places
    gap = min(b - a for a, b in pairwise(distinct))
    width = min(0.5 * gap, 2 * JITTER)
    return [p + width * ((n * 0.618034) % 1.0 - 0.5) for n, p in enumerate(places)]


def _dots(
    axis: Axis, state: Status, records: Sequence[TrialRecord], y: list[float], *, first: bool
) -> go.Scatter:
    look = LOOKS[state]
    diverged = state is Status.DIVERGED
    values = [record.parameters[axis.name] for record in records]
    return go.Scatter(
        x=_places(axis, values),
        y=y,
        text=[f"{r.trial_id}: {words(v)}" for r, v in zip(records, values, strict=True)],
        mode="markers",
        name=status(state),
        legendgroup=state.value,
        showlegend=first,
        marker={
            "color": look.color,
            "symbol": look.symbol,
            "size": 7 if len(records) < 200 else 4,
            "opacity": 0.9 if len(records) < 200 else 0.5,
            "line": {"width": 1.5 if diverged else 0.5, "color": look.color if diverged else INK},
        },
        hovertemplate="%{text}" + ("" if diverged else ", Dice %{y:.4f}") + "<extra></extra>",
    )
