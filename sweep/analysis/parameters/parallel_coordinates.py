"""All parameters of all trials at once.

`optuna.visualization.plot_parallel_coordinate` leaves out diverged trials, and those that lack a
parameter. Here both have their own place on the axis.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from sweep.analysis.figures import figure_style as style
from sweep.analysis.figures.figure import ReportFigure
from sweep.analysis.figures.sweep_results import Results
from sweep.analysis.parameter_axes import even_ticks
from sweep.spec.words.phrases import counted
from sweep.spec.words.short_names import short_names, words
from sweep.vocabulary.record import Status, TrialRecord

MOST_LINES = 300
NO_EFFECT = -0.12
"""Where lines cross the axis of a parameter that has no effect in their trials."""
BEST_SHARE = 0.25
LEAST_TRIALS = 20
"""Trials below which there is no finding: two or three best trials always agree on a value."""
LONGEST_LABEL = 10
"""Letters of a name that stand in one line: a dozen axes leave no room for more."""
HALO = ", ".join(["0 0 3px #ffffff"] * 8)
"""Shadow of the ticks, so that they stay readable behind lines."""


def parallel_coordinates(results: Results) -> ReportFigure:
    """One line per trial through the axes of all varied parameters and of the objective."""
    trials = [record for record in results.inside if record.status is not Status.FAILED]
    shown = style.thinned(trials, MOST_LINES)
    without = ""
    if any(record.trial_id not in results.comparable for record in shown):
        without = "Those that end at “none” diverged, or have no such value. "
    return ReportFigure(
        name="parallel",
        title="All parameters at once",
        finding=_finding(results),
        reading=(
            f"Each line is a trial: the stronger its colour, the {results.objective.better} its "
            f"{results.objective.short}. {results.compared_words} {without}"
            "Drag along an axis to keep only the lines that pass there."
            + (f" {len(shown)} of {len(trials)} are drawn." if len(shown) < len(trials) else "")
        ),
        figure=_figure(results, shown) if _is_enough(results) else None,
    )


def _is_enough(results: Results) -> bool:
    """Whether there can be a pattern. In fewer lines readers see patterns that are not there."""
    return len(results.compared) >= LEAST_TRIALS and bool(results.varied)


def _finding(results: Results) -> str:
    if not _is_enough(results):
        trials, short = counted(len(results.compared), "trial"), results.objective.short
        return f"{trials} with a comparable {short}: too few for a pattern."
    measured = [one for one in results.compared if one.trial_id not in results.expected]
    best = measured[: round(BEST_SHARE * len(results.compared))]
    if len(best) < BEST_SHARE * LEAST_TRIALS:
        return f"{counted(len(best), 'trial')} not pruned: too few to say what the best have alike."
    varied = [name for name in results.varied if len(results.acting(best, name)) == len(best)]
    if not varied:
        return "The best trials have no parameter in common that acts in all of them."
    places = {name: [results.position(name, record) for record in best] for name in varied}
    name = min(varied, key=lambda key: max(places[key]) - min(places[key]))
    ordered = sorted(best, key=lambda record: results.position(name, record))
    low, high = (words(record.parameters[name]) for record in (ordered[0], ordered[-1]))
    where = f"{low} in all of them" if low == high else f"{low} to {high}"
    names = {record.trial_id for record in best}
    rest = [record for record in results.compared if record.trial_id not in names]
    others = results.acting(rest, name)
    start, end = min(places[name]), max(places[name])
    inside = sum(start <= results.position(name, record) <= end for record in others)
    return (
        f"The best {len(best)} of {len(results.compared)} trials"
        f"{', pruned ones apart' if results.expected else ''} "
        f"({results.objective.short} from "
        f"{results.objective.text(results.comparable_values[best[-1].trial_id])}) agree most on "
        f"{name}: {where}, where {inside} of the {len(others)} others lie too."
    )


def _in_two_lines(name: str) -> str:
    """A long name, broken after the dot or underscore that is nearest to its middle.

    >>> _in_two_lines("weights.compactness"), _in_two_lines("lr")
    ('weights.<br>compactness', 'lr')
    """
    ends = [match.end() for match in re.finditer(r"[._]", name)]
    if len(name) <= LONGEST_LABEL or not ends:
        return name
    at = min(ends, key=lambda end: abs(end - len(name) / 2))
    return f"{name[:at]}<br>{name[at:]}"


def _figure(results: Results, shown: Sequence[TrialRecord]) -> go.Figure:
    short = short_names(results.parameters)
    objective = results.objective
    reached = results.comparable_values.values()
    low, high, edge = min(reached), max(reached), results.edge(0.15)
    values = [results.comparable_values.get(record.trial_id, edge) for record in shown]
    dimensions: list[dict[str, Any]] = []
    for name in results.varied:
        axis, acting = results.axes[name], {r.trial_id for r in results.acting(shown, name)}
        at = [results.position(name, r) if r.trial_id in acting else NO_EFFECT for r in shown]
        no_effect = [(NO_EFFECT, "no effect")] * (len(acting) < len(shown))
        bounds = [min(axis.span[0], *at), axis.span[1]]
        own = {"label": _in_two_lines(short[name]), "values": at, "range": bounds}
        dimensions.append(own | style.ticks([*no_effect, *axis.ticks]))
    # The axis is drawn from the first to the last tick, so its ends have ticks too.
    texts = {low: "", high: ""} | dict(even_ticks(low, high))
    texts |= {edge: "none"} if edge in values else {}
    note = ""
    if any(record.trial_id in results.expected for record in shown):
        note = "<br>(pruned: expected)"
    dimensions.append(
        {
            "label": f"{objective.heading}{note}",
            "values": values,
            "range": [min(low, edge), max(high, edge)],
            **style.ticks(sorted(texts.items(), key=lambda tick: objective.turned(tick[0]))),
        }
    )
    figure = go.Figure(
        go.Parcoords(
            ids=[record.trial_id for record in shown],
            dimensions=dimensions,
            line={
                "color": [*map(objective.turned, values)],
                "colorscale": style.LIGHT_TO_DARK,
                "cmin": objective.turned(edge),
                "cmax": max(map(objective.turned, reached)),
            },
            labelfont={"size": 12},
            tickfont={"size": 12, "shadow": HALO},
        )
    )
    style.finished(figure, height=420, legend=False)
    return figure.update_layout(margin={"t": 80, "l": 64, "r": 96, "b": 32})
