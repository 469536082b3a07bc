"""All parameters of all trials at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from sweep.analysis.axes import even_words, round_numbers, short_names, words
from sweep.analysis.comparable import COMPARED
from sweep.analysis.exhibit import Exhibit
from sweep.analysis.results import Results
from sweep.analysis.style import LIGHT_TO_DARK, finished, thinned
from sweep.analysis.words import dice
from sweep.record import Status, TrialRecord

MOST_LINES = 300
BEST_SHARE = 0.25
LEAST_TRIALS = 8


def parallel_coordinates(results: Results) -> Exhibit:
    """One line a trial through the axes of all varied parameters and its Dice."""
    names = results.varied
    trials = [record for record in results.inside if record.status is not Status.FAILED]
    shown = thinned(trials, MOST_LINES)
    return Exhibit(
        name="parallel",
        title="All parameters at once",
        finding=_finding(results),
        reading=(
            "Each line is a trial: the darker, the higher its Dice. "
            + COMPARED
            + " Those that end at “none” diverged, or have no such Dice. Drag along an axis to "
            "keep only the lines that pass there."
            + (f" {len(shown)} of {len(trials)} are drawn." if len(shown) < len(trials) else "")
        ),
        figure=_figure(results, names, shown) if names and results.compared else None,
    )


def _finding(results: Results) -> str:
    best = results.compared[: max(1, round(BEST_SHARE * len(results.compared)))]
    if len(results.compared) < LEAST_TRIALS or not results.varied:
        return f"{len(results.compared)} trials with a result: too few for a pattern."
    spans = {name: _span(results, name, best) for name in results.varied}
    name = min(spans, key=lambda key: spans[key])
    values = sorted((record.parameters[name] for record in best), key=results.axes[name].position)
    low, high = words(values[0]), words(values[-1])
    where = f"{low} in all of them" if low == high else f"{low} to {high}"
    places = [results.axes[name].position(value) for value in values]
    others = [
        results.axes[name].position(record.parameters[name])
        for record in results.compared[len(best) :]
    ]
    inside = sum(places[0] <= place <= places[-1] for place in others)
    return (
        f"The best {len(best)} of {len(results.compared)} trials (Dice from "
        f"{dice(results.comparable[best[-1].trial_id])}) agree most on {name}: {where}, "
        f"where {inside} of the {len(others)} others lie too."
    )


def _span(results: Results, name: str, records: Sequence[TrialRecord]) -> float:
    places = [results.axes[name].position(record.parameters[name]) for record in records]
    return max(places) - min(places)


def _figure(results: Results, names: Sequence[str], shown: Sequence[TrialRecord]) -> go.Figure:
    short = short_names(results.parameters)
    reached = [results.comparable[record.trial_id] for record in results.compared]
    low, high = min(reached), max(reached)
    floor = low - 0.15 * max(high - low, 1e-3)
    values = [results.comparable.get(record.trial_id, floor) for record in shown]
    dimensions: list[dict[str, Any]] = [
        {
            "label": short[name],
            "values": [results.axes[name].position(r.parameters[name]) for r in shown],
            "tickvals": [position for position, _ in results.axes[name].ticks],
            "ticktext": [text for _, text in results.axes[name].ticks],
            "range": results.axes[name].span,
        }
        for name in names
    ]
    ticks = round_numbers(low, high)
    dimensions.append(
        {
            "label": "val Dice",
            "values": values,
            "range": [floor, high],
            "tickvals": [floor, *ticks],
            "ticktext": ["none", *even_words(ticks)],
        }
    )
    figure = go.Figure(
        go.Parcoords(
            dimensions=dimensions,
            line={"color": values, "colorscale": LIGHT_TO_DARK, "cmin": floor, "cmax": high},
            labelfont={"size": 12},
        )
    )
    finished(figure, height=420, legend=False)
    return figure.update_layout(margin={"t": 64, "l": 64, "r": 64, "b": 32})
