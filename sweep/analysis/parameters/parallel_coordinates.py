"""All parameters of all trials at once.

`optuna.visualization.plot_parallel_coordinate` leaves out diverged trials, and those that lack a
parameter: here both have a place of their own on the axis.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from sweep.analysis.figures.figure import ReportFigure
from sweep.analysis.figures.figure_style import LIGHT_TO_DARK, finished, thinned, ticks
from sweep.analysis.figures.sweep_results import Results
from sweep.analysis.parameter_axes import even_words, round_numbers, short_names, words
from sweep.vocabulary.record import Status, TrialRecord

MOST_LINES = 300
NO_EFFECT = -0.12
"""Where lines cross the axis of a parameter that acts on nothing in their trials."""
BEST_SHARE = 0.25
LEAST_TRIALS = 20
"""Trials below which nothing is said of the best quarter: two or three always agree on a value."""
HALO = ", ".join(["0 0 3px #ffffff"] * 8)
"""Shadow of the ticks: lines would strike them through."""


def parallel_coordinates(results: Results) -> ReportFigure:
    """One line a trial through the axes of all varied parameters and what it reached."""
    names = results.varied
    trials = [record for record in results.inside if record.status is not Status.FAILED]
    shown = thinned(trials, MOST_LINES)
    return ReportFigure(
        name="parallel",
        title="All parameters at once",
        finding=_finding(results),
        reading=(
            f"Each line is a trial: the darker, the {results.objective.better} its "
            f"{results.objective.short}. {results.compared_words} {_without_words(results, shown)}"
            "Drag along an axis to keep only the lines that pass there."
            + (f" {len(shown)} of {len(trials)} are drawn." if len(shown) < len(trials) else "")
        ),
        figure=_figure(results, names, shown) if _is_enough(results) else None,
    )


def _is_enough(results: Results) -> bool:
    """Whether there can be a pattern: of fewer lines a reader sees one that is none."""
    return len(results.compared) >= LEAST_TRIALS and bool(results.varied)


def _without_words(results: Results, shown: Sequence[TrialRecord]) -> str:
    if all(record.trial_id in results.comparable for record in shown):
        return ""
    return "Those that end at “none” diverged, or have no such value. "


def _finding(results: Results) -> str:
    best = results.compared[: max(1, round(BEST_SHARE * len(results.compared)))]
    if not _is_enough(results):
        return f"{len(results.compared)} trials with a result: too few for a pattern."
    varied = [name for name in results.varied if len(results.acting(best, name)) == len(best)]
    if not varied:
        return "The best trials have no parameter in common that acts in all of them."
    spans = {name: _span(results, name, best) for name in varied}
    name = min(spans, key=lambda key: spans[key])
    values = sorted((record.parameters[name] for record in best), key=results.axes[name].position)
    low, high = words(values[0]), words(values[-1])
    where = f"{low} in all of them" if low == high else f"{low} to {high}"
    places = [results.axes[name].position(value) for value in values]
    others = [
        results.position(name, r) for r in results.acting(results.compared[len(best) :], name)
    ]
    inside = sum(places[0] <= place <= places[-1] for place in others)
    return (
        f"The best {len(best)} of {len(results.compared)} trials "
        f"({results.objective.short} from "
        f"{results.objective.text(results.comparable_values[best[-1].trial_id])}) agree most on "
        f"{name}: {where}, where {inside} of the {len(others)} others lie too."
    )


def _span(results: Results, name: str, records: Sequence[TrialRecord]) -> float:
    places = [results.position(name, record) for record in records]
    return max(places) - min(places)


def _place(results: Results, name: str, record: TrialRecord) -> float:
    """Where a line crosses an axis: below it where the parameter acts on nothing in the trial."""
    if not results.acting([record], name):
        return NO_EFFECT
    return results.position(name, record)


def ticks_of(results: Results, name: str, shown: Sequence[TrialRecord]) -> list[tuple[float, str]]:
    """The ticks of an axis, with one for trials in which the parameter acts on nothing."""
    all_act = len(results.acting(shown, name)) == len(shown)
    return [*([] if all_act else [(NO_EFFECT, "no effect")]), *results.axes[name].ticks]


def _figure(results: Results, names: Sequence[str], shown: Sequence[TrialRecord]) -> go.Figure:
    short = short_names(results.parameters)
    objective = results.objective
    reached = [results.comparable_values[record.trial_id] for record in results.compared]
    low, high = min(reached), max(reached)
    edge = results.edge(0.15)
    values = [results.comparable_values.get(record.trial_id, edge) for record in shown]
    scores = [objective.turned(value) for value in values]
    dimensions: list[dict[str, Any]] = []
    for name in names:
        at, (first, last) = [_place(results, name, r) for r in shown], results.axes[name].span
        own = {"label": short[name], "values": at, "range": [min(first, *at), last]}
        dimensions.append(own | ticks(ticks_of(results, name, shown)))
    numbers = round_numbers(low, high)
    # The axis is drawn from the first to the last tick, so its ends have ticks too.
    marks = {low: "", high: ""} | dict(zip(numbers, even_words(numbers), strict=True))
    marks |= {edge: "none"} if edge in values else {}
    in_order = sorted(marks.items(), key=lambda mark: objective.turned(mark[0]))
    dimensions.append(
        {
            "label": _title(results, shown),
            "values": values,
            "range": [min(low, edge), max(high, edge)],
            **ticks(in_order),
        }
    )
    figure = go.Figure(
        go.Parcoords(
            dimensions=dimensions,
            line={
                "color": scores,
                "colorscale": LIGHT_TO_DARK,
                "cmin": objective.turned(edge),
                "cmax": max(map(objective.turned, reached)),
            },
            labelfont={"size": 12},
            tickfont={"size": 12, "shadow": HALO},
        )
    )
    finished(figure, height=420, legend=False)
    return figure.update_layout(margin={"t": 80, "l": 64, "r": 96, "b": 32})


def _title(results: Results, shown: Sequence[TrialRecord]) -> str:
    extrapolated = any(record.trial_id in results.extrapolated for record in shown)
    note = "<br>(pruned: extrapolated)" if extrapolated else ""
    return f"{results.objective.heading}{note}"
