"""Who is good at what: the objective, Dice or outlines, and epochs together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from sweep.analysis.exhibit import Exhibit
from sweep.analysis.results import Results
from sweep.analysis.select import goals_of, pareto, unpruned
from sweep.analysis.style import EVEN_DECIMALS, FAINT, INK, LIGHT_TO_DARK, finished, thinned
from sweep.analysis.words import listed
from sweep.objective import Objective
from sweep.record import Status

HD95 = "hd95"
NAMED = 5


def pareto_front(results: Results) -> Exhibit:
    """The objective, Dice or HD95, and epochs together."""
    found = pareto(results.frame, results.objective)
    goals = _goals(results)
    aims = [f"at {'least' if goal.mode == 'max' else 'most'} their {goal.short}" for goal in goals]
    titles = ["outlines" if goal.metric == HD95 else goal.short for goal in goals]
    return Exhibit(
        name="pareto",
        title=f"{listed([*titles, 'epochs'])} together",
        finding=_finding(results, goals, list(found["trial_id"])),
        reading=(
            f"Large, outlined: trials that no other one beats, with {', '.join(aims)} and at most "
            "their epochs. Pruned trials are among the others: their epochs are few because the "
            "scheduler stopped them. The darker, the more epochs. Both are of the best epoch of "
            "one run: differences as small as those between seeds say nothing."
        ),
        figure=_figure(results, goals, set(found["trial_id"]))
        if goals[1:] and len(found)
        else None,
    )


def _goals(results: Results) -> list[Objective]:
    """What trials are to be good at beside few epochs, the sweep's own objective first."""
    measured = goals_of(unpruned(results.frame), results.objective)
    return [Objective(n, "max" if more else "min") for n, more in measured.items() if n != "epochs"]


def _finding(results: Results, goals: Sequence[Objective], names: list[str]) -> str:
    if not results.ranked:
        return "No trial has a result."
    eligible = sum(record.status is not Status.PRUNED for record in results.ranked)
    if not eligible:
        return "Every trial with a result was pruned: none trained as long as it would have."
    if len(goals) < 2:
        short = results.objective.short
        return f"HD95 was not measured: {short} and epochs alone are in the ranking."
    first, second, *_ = goals
    leader = results.frame[results.frame["trial_id"].isin(names)]
    best = leader.sort_values(second.metric, ascending=second.mode == "min").iloc[0]
    words = f"the best {'outlines: ' if second.metric == HD95 else ''}{second.short}"
    shown = listed(names) if len(names) <= NAMED else f"{names[0]} and {len(names) - 1} more"
    at_once = listed([*(goal.short for goal in goals), "epochs"])
    return (
        f"Unpruned trials that no other beats in {at_once} at once ({len(names)} of "
        f"{eligible}): {shown}. {best['trial_id']} has {words} "
        f"{_value(results, second, best)} at {first.short} {_value(results, first, best)}."
    )


def _value(results: Results, goal: Objective, row: Any) -> str:
    value = float(row[goal.metric])
    return f"{value:.2f}{_unit(results, ' pixels')}" if goal.metric == HD95 else goal.text(value)


def _unit(results: Results, words: str) -> str:
    """In which our own trainer measures distances; of another one nobody knows."""
    return words if results.spec.trainer.kind == "monai" else ""


def _figure(results: Results, goals: Sequence[Objective], front: set[str]) -> go.Figure:
    first, second, *_ = goals
    up, across = first.metric, second.metric
    rows = results.frame[results.frame[up].notna() & results.frame[across].notna()]
    others = thinned([row for row in rows.to_dict("records") if row["trial_id"] not in front])
    best = [row for row in rows.to_dict("records") if row["trial_id"] in front]
    epochs = [int(row["epochs"]) for row in rows.to_dict("records")]
    figure = go.Figure()
    for name, part, size, width in (("others", others, 7, 0), ("not beaten", best, 13, 2)):
        figure.add_scatter(
            x=[row[across] for row in part],
            y=[row[up] for row in part],
            name=name,
            mode="markers",
            marker={
                "symbol": "diamond" if width else "circle",
                "size": size,
                "color": [row["epochs"] for row in part],
                "colorscale": LIGHT_TO_DARK,
                "cmin": min(epochs),
                "cmax": max(epochs),
                "showscale": bool(width),
                "colorbar": {"title": "epochs", "thickness": 12},
                "line": {"color": INK if width else FAINT, "width": width or 1},
            },
            text=[f"{row['trial_id']}: {row['epochs']} epochs" for row in part],
            hovertemplate=f"%{{text}}<br>{second.short} %{{x:.4~g}}, {first.short} "
            f"%{{y:{first.d3}}}<extra></extra>",
        )
    figure.update_xaxes(title=_axis(results, second))
    figure.update_yaxes(title=_axis(results, first), tickformatstops=EVEN_DECIMALS)
    return finished(figure, height=420)


def _axis(results: Results, goal: Objective) -> str:
    return f"HD95{_unit(results, ' (pixels)')}" if goal.metric == HD95 else goal.label
