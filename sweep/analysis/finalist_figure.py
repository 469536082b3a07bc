"""The finalists with the intervals of their means."""

from __future__ import annotations

import plotly.graph_objects as go

from sweep.analysis.confirmation import Confirmation, Finalist
from sweep.analysis.contest import LEAST_UNITS
from sweep.analysis.exhibit import Exhibit
from sweep.analysis.results import Results
from sweep.analysis.style import INK, finished
from sweep.analysis.verdict import on_test_split, selection_bias, verdict, warnings
from sweep.analysis.words import dice


def confirmed_finalists(results: Results) -> Exhibit:
    """The leaders on further seeds."""
    found = results.confirmation
    return Exhibit(
        name="finalists",
        title="The leaders on further seeds",
        finding=_finding(results),
        reading=(
            "Dots: best validation Dice of each replicate; one that diverged has none. Diamonds: "
            f"their mean with its 95 % interval (Student's t, from {LEAST_UNITS} seeds or folds "
            "on). Crosses: the run of the search, which chose the finalists and so does not "
            "count. All ran on the same seeds and folds, so a difference can be sure although "
            "intervals overlap: two finalists share a letter where they cannot be told apart. Of "
            "several folds each counts once, with the mean over its seeds."
        ),
        figure=_figure(found) if found else None,
    )


def _finding(results: Results) -> str:
    found, tested = results.confirmation, results.held_out
    told = (
        "No leader was trained on further seeds, which confirm: {top: 5, seeds: 5} does."
        if found is None
        else " ".join([verdict(found), selection_bias(found), *warnings(found)])
    )
    return f"{told} {on_test_split(tested)}" if tested is not None else told


def _figure(found: Confirmation) -> go.Figure:
    names = [_label(one) for one in found.finalists]
    figure = go.Figure()
    points = [
        (name, value)
        for name, one in zip(names, found.finalists, strict=True)
        for value in one.scores.values()
    ]
    figure.add_scatter(
        x=[value for _, value in points],
        y=[name for name, _ in points],
        name="replicate",
        mode="markers",
        marker={"symbol": "circle-open", "size": 7, "color": "#5c6b78"},
        hovertemplate="%{y}: %{x:.4f}<extra></extra>",
    )
    searched = [one.record.best.val_dice if one.record.best else None for one in found.finalists]
    figure.add_scatter(
        x=searched,
        y=names,
        name="in the search",
        mode="markers",
        marker={"symbol": "x-thin-open", "size": 9, "color": "#767676", "line": {"width": 2}},
        hovertemplate="%{y}: %{x:.4f} in the search<extra></extra>",
    )
    means = [one.mean if one.scores else None for one in found.finalists]
    figure.add_scatter(
        x=means,
        y=names,
        name="mean, 95 %",
        mode="markers",
        marker={"symbol": "diamond", "size": 11, "color": INK},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": [_or_zero(one.high - one.mean) for one in found.finalists],
            "arrayminus": [_or_zero(one.mean - one.low) for one in found.finalists],
            "color": INK,
            "thickness": 2,
        },
        text=[_interval(one) for one in found.finalists],
        hovertemplate="%{y}: mean %{x:.4f}, %{text}<extra></extra>",
    )
    figure.update_xaxes(title="validation Dice")
    figure.update_yaxes(autorange="reversed", type="category")
    return finished(figure, height=140 + 44 * len(names))


def _label(one: Finalist) -> str:
    known = [
        *([one.group] if one.group else []),
        *([f"{one.diverged} diverged"] if one.diverged else []),
    ]
    return f"{one.trial_id} ({', '.join(known)})" if known else one.trial_id


def _interval(one: Finalist) -> str:
    if one.low != one.low:  # NaN
        return "too few for an interval"
    return f"{dice(one.low)} to {dice(one.high)}"


def _or_zero(length: float) -> float:
    return 0.0 if length != length else length  # NaN: there is no interval
