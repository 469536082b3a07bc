"""Who is good at what: Dice, outlines and epochs together."""

from __future__ import annotations

import plotly.graph_objects as go

from sweep.analysis.exhibit import Exhibit
from sweep.analysis.results import Results
from sweep.analysis.select import pareto, unpruned
from sweep.analysis.style import EVEN_DECIMALS, FAINT, INK, LIGHT_TO_DARK, finished, thinned
from sweep.analysis.words import dice, listed
from sweep.record import Status

NAMED = 5


def pareto_front(results: Results) -> Exhibit:
    """Dice, HD95 and epochs together."""
    found = pareto(results.frame)
    ended = unpruned(results.frame)
    measured = "hd95" in ended and bool(ended["hd95"].notna().any())
    return Exhibit(
        name="pareto",
        title="Dice, outlines and epochs together",
        finding=_finding(results, list(found["trial_id"]), measured=measured),
        reading=(
            "Large, outlined: trials that no other one beats, with at least their Dice, at most "
            "their HD95 and at most their epochs. Pruned trials are among the others: their epochs "
            "are few because the scheduler stopped them. The darker, the more epochs. Both are of "
            "the best epoch of one run: differences as small as those between seeds say nothing."
        ),
        figure=_figure(results, set(found["trial_id"])) if measured and len(found) else None,
    )


def _finding(results: Results, names: list[str], *, measured: bool) -> str:
    if not results.ranked:
        return "No trial has a result."
    eligible = sum(record.status is not Status.PRUNED for record in results.ranked)
    if not eligible:
        return "Every trial with a result was pruned: none trained as long as it would have."
    if not measured:
        return "HD95 was not measured: Dice and epochs alone are in the ranking."
    leader = results.frame[results.frame["trial_id"].isin(names)]
    best = leader.sort_values("hd95").iloc[0]
    shown = listed(names) if len(names) <= NAMED else f"{names[0]} and {len(names) - 1} more"
    return (
        f"Unpruned trials that no other beats in Dice, HD95 and epochs at once ({len(names)} of "
        f"{eligible}): {shown}. {best['trial_id']} has the best outlines: HD95 "
        f"{best['hd95']:.2f} pixels at Dice {dice(float(best['val_dice']))}."
    )


def _figure(results: Results, front: set[str]) -> go.Figure:
    rows = results.frame[results.frame["val_dice"].notna() & results.frame["hd95"].notna()]
    others = thinned([row for row in rows.to_dict("records") if row["trial_id"] not in front])
    best = [row for row in rows.to_dict("records") if row["trial_id"] in front]
    epochs = [int(row["epochs"]) for row in rows.to_dict("records")]
    figure = go.Figure()
    for name, part, size, width in (("others", others, 7, 0), ("not beaten", best, 13, 2)):
        figure.add_scatter(
            x=[row["hd95"] for row in part],
            y=[row["val_dice"] for row in part],
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
            hovertemplate="%{text}<br>HD95 %{x:.2f}, Dice %{y:.4f}<extra></extra>",
        )
    figure.update_xaxes(title="HD95 (pixels)")
    figure.update_yaxes(title="validation Dice", tickformatstops=EVEN_DECIMALS)
    return finished(figure, height=420)
