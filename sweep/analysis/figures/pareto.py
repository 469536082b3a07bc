"""The trade-off between the objective, Dice or outlines, and epochs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import plotly.graph_objects as go

from sweep.analysis.figures import figure_style as style
from sweep.analysis.figures.figure import ReportFigure
from sweep.analysis.figures.sweep_results import Results
from sweep.analysis.ranking.row_selection import goals_of, pareto, unpruned
from sweep.analysis.report_words import listed, some
from sweep.vocabulary.objective import Objective
from sweep.vocabulary.record import Status, distance_unit_of

if TYPE_CHECKING:
    import pandas as pd

HD95 = "hd95"
LABELLED = 3
"""Trials that one label names; of more it names the first and gives the number of the others."""
NEAR = (0.16, 0.09)
"""Shares of the shown stretch of both axes, across and up, within which trials have one common
label, as their own would overlap; on a phone the figure is that narrow."""


def pareto_front(results: Results) -> ReportFigure:
    """The objective, Dice or HD95, and epochs together."""
    front = pareto(results.table, results.objective)["trial_id"]
    several = bool(results.objective.others)
    rows = results.table if several else unpruned(results.table)
    measured = goals_of(rows, results.objective)
    goals = [Objective(n, "max" if more else "min") for n, more in measured.items()]
    if not several:  # epochs are shown by the darkness, and have words of their own
        goals = [goal for goal in goals if goal.metric != "epochs"]
    axes = [goal.metric for goal in goals[:2]]
    aimed = results.objective.each if several else goals
    aims = [f"at {'least' if goal.mode == 'max' else 'most'} their {goal.short}" for goal in aimed]
    aims += [] if several else ["at most their epochs"]
    first, *others = aimed or [results.objective]
    titles = ["Outlines" if first.metric == HD95 else first.opening]
    titles += ["outlines" if goal.metric == HD95 else goal.short for goal in others]
    diagonal = ""
    if _unit(results) and HD95 in [goal.metric for goal in goals]:
        diagonal = (
            " HD95: where a structure is present in only one of prediction and reference, the "
            "case counts with the image's diagonal, so a large HD95 may come from such cases "
            "rather than from outlines."
        )
    return ReportFigure(
        name="pareto",
        title=f"{listed(titles if several else [*titles, 'epochs'])} together",
        finding=_finding(results, goals, front),
        reading=(
            f"Large, with their names: trials that no other one beats, with {listed(aims)}. "
            f"{_about_pruned(results)}The stronger the colour, the more epochs. "
            f"{'All metrics' if several else 'Both'} are of the best "
            f"epoch of one run: differences as small as those between seeds say nothing.{diagonal}"
            f"{_outside(results, goals, set(front))}"
        ),
        figure=_figure(results, goals, set(front))
        if goals[1:] and front and len(results.frame.dropna(subset=axes)) > 1
        else None,
    )


def _about_pruned(results: Results) -> str:
    if results.objective.others and not results.objective.has_cost:
        return ""
    return (
        "Pruned trials are among the others: their epochs are few because the scheduler stopped"
        " them. "
    )


def _finding(results: Results, goals: Sequence[Objective], names: Sequence[str]) -> str:
    if not results.ranked:
        return "No trial has a result."
    objective = results.objective
    counts_pruned = bool(objective.others) and not objective.has_cost
    eligible = sum(counts_pruned or r.status is not Status.PRUNED for r in results.ranked)
    if not eligible:
        return "Every trial with a result was pruned: none trained as long as it would have."
    if len(goals) < 2:
        if objective.others:
            return "Of the objectives, fewer than two were measured."
        return f"HD95 was not measured: {objective.short} and epochs alone are in the ranking."
    first, second, *_ = goals
    leader = results.frame[results.frame["trial_id"].isin(names)]
    best = leader.sort_values(second.metric, ascending=second.mode == "min").iloc[0]
    shorts = [goal.short for goal in goals]
    at_once = listed(shorts if objective.others else [*shorts, "epochs"])
    kind = "trial" if counts_pruned else "unpruned trial"
    return (
        f"{_unbeaten(names, eligible, at_once, kind)} {best['trial_id']} has the {second.highest} "
        f"{second.short}, {_value(results, second, best)}, at {first.short} "
        f"{_value(results, first, best)}."
    )


def _unbeaten(names: Sequence[str], eligible: int, at_once: str, kind: str) -> str:
    if eligible == 1:
        return f"{names[0]} is the only {kind}: there is none to compare it with."
    if len(names) == eligible:
        return f"None of the {eligible} {kind}s beats another in {at_once} at once."
    return (
        f"{kind.capitalize()}s that no other beats in {at_once} at once"
        f" ({len(names)} of {eligible}): {some(names)}."
    )


def _value(results: Results, goal: Objective, row: Any) -> str:
    value = float(row[goal.metric])
    return f"{value:.2f} {_unit(results)}".rstrip() if goal.metric == HD95 else goal.text(value)


def _unit(results: Results) -> str:
    """The unit of HD95 where our own evaluation measures it: of other trainers it is not known."""
    own = "evaluation" in results.spec.trainer.traits.reads
    return distance_unit_of(results.records) or ("pixels" if own else "")


def _figure(results: Results, goals: Sequence[Objective], front: set[str]) -> go.Figure:
    first, second, *_ = goals
    up, across = first.metric, second.metric
    frame = results.frame.dropna(subset=[up, across])
    rows = frame.to_dict("records")
    others = style.thinned([row for row in rows if row["trial_id"] not in front])
    best = [row for row in rows if row["trial_id"] in front]
    epochs = [int(row["epochs"]) for row in rows]
    figure = go.Figure()
    shown = [_frame(frame, front, axis) for axis in (across, up)]
    for name, part, size, width in (("others", others, 7, 0), ("not beaten", best, 13, 2)):
        figure.add_scatter(
            x=[row[across] for row in part],
            y=[row[up] for row in part],
            ids=[row["trial_id"] for row in part],
            name=name,
            mode="markers+text" if width else "markers",
            text=_labels(part, frame, (across, up), shown) if width else None,
            textposition="bottom center" if first.mode == "max" else "top center",
            cliponaxis=False,
            marker={
                "symbol": "diamond" if width else "circle",
                "size": size,
                "color": [row["epochs"] for row in part],
                "colorscale": style.LIGHT_TO_DARK,
                "cmin": min(epochs),
                "cmax": max(epochs),
                "showscale": bool(width),
                "colorbar": {"title": "epochs", "thickness": 12},
                "line": {"color": style.INK if width else style.FAINT, "width": width or 1},
            },
            customdata=[f"{row['trial_id']}: {row['epochs']} epochs" for row in part],
            hovertemplate=f"%{{customdata}}<br>{second.short} %{{x:.4~g}}, {first.short} "
            f"%{{y:{first.d3}}}<extra></extra>",
        )
    outlines = f"HD95 ({_unit(results)})" if _unit(results) else "HD95"
    titles = [outlines if goal.metric == HD95 else goal.label for goal in (second, first)]
    figure.update_xaxes(title=titles[0], range=shown[0])
    figure.update_yaxes(title=titles[1], tickformatstops=style.EVEN_DECIMALS, range=shown[1])
    return style.finished(figure, height=420)


def _frame(frame: pd.DataFrame, front: set[str], axis: str) -> list[float] | None:
    """The stretch of an axis with those that are not beaten and most of the others."""
    return style.frame(frame[axis], frame[axis][frame["trial_id"].isin(front)])


def _outside(results: Results, goals: Sequence[Objective], front: set[str]) -> str:
    """How many trials lie outside the figure's frame."""
    if len(goals) < 2:
        return ""
    axes = [goal.metric for goal in goals[:2]]
    frame = results.frame.dropna(subset=axes)
    parts = (style.outside(frame[axis], _frame(frame, front, axis), "trial") for axis in axes)
    return "".join(f" {goals[n].short}: {part}".rstrip() for n, part in enumerate(parts) if part)


def _labels(
    part: Sequence[Any],
    frame: pd.DataFrame,
    axes: tuple[str, str],
    shown: Sequence[Sequence[float] | None],
) -> list[str]:
    """A label per trial: of trials that lie close together the first has the names of all.

    Args:
        part: rows of the trials.
        frame: rows of all that are drawn.
        axes: columns, across and up.
        shown: the stretches of the axes that are shown; None: all.
    """
    ends = [
        stretch or (float(frame[axis].min()), float(frame[axis].max()))
        for axis, stretch in zip(axes, shown, strict=True)
    ]
    widths = [near * abs(end[1] - end[0]) for near, end in zip(NEAR, ends, strict=True)]
    groups: list[list[Any]] = []
    for row in part:
        for group in groups:
            distances = [abs(group[0][axis] - row[axis]) for axis in axes]
            if all(d <= width for d, width in zip(distances, widths, strict=True)):
                group.append(row)
                break
        else:
            groups.append([row])
    found = {}
    for group in groups:
        first, *more = (row["trial_id"] for row in group)
        others = more if len(group) <= LABELLED else [f"and {len(more)} more"]
        found[first] = "<br>".join([first, *others])
    return [found.get(row["trial_id"], "") for row in part]
