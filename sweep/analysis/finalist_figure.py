"""The finalists with the intervals of their means."""

from __future__ import annotations

import plotly.graph_objects as go

from sweep.analysis.confirmation import Confirmation
from sweep.analysis.exhibit import Exhibit
from sweep.analysis.results import Results
from sweep.analysis.style import INK, finished
from sweep.analysis.verdict import on_test_split, selection_bias, verdict, warnings
from sweep.objective import Objective


def confirmed_finalists(results: Results) -> Exhibit:
    """The leaders on further seeds."""
    found, objective = results.confirmation, results.objective
    diverged = "none" if objective.worst is None else f"{objective.turned(objective.worst):g}"
    return Exhibit(
        name="finalists",
        title="The leaders on further seeds",
        finding=_finding(results),
        reading=(
            f"Dots: best {objective.label} of each replicate, of a diverged one {diverged}. "
            "Diamonds: their "
            "mean with its 95 % interval (Student's t). Crosses: the run of the search, which "
            "chose the finalists and so does not count. All ran on the same seeds and folds, so a "
            "difference can be sure although intervals overlap: two finalists share a letter where "
            "a paired t-test, adjusted by Holm, cannot tell them apart."
        ),
        figure=_figure(found, objective) if found else None,
    )


def _finding(results: Results) -> str:
    found, tested = results.confirmation, results.held_out
    told = (
        "No leader was trained on further seeds, which confirm: {top: 5, seeds: 5} does."
        if found is None
        else " ".join([verdict(found), selection_bias(found), *warnings(found)])
    )
    return f"{told} {on_test_split(tested)}" if tested is not None else told


def _figure(found: Confirmation, objective: Objective) -> go.Figure:
    turned = objective.turned
    names = [f"{one.trial_id} ({one.group})" for one in found.finalists]
    figure = go.Figure()
    points = [
        (name, turned(score))
        for name, one in zip(names, found.finalists, strict=True)
        for score in one.scores.values()
    ]
    figure.add_scatter(
        x=[value for _, value in points],
        y=[name for name, _ in points],
        name="replicate",
        mode="markers",
        marker={"symbol": "circle-open", "size": 7, "color": "#5c6b78"},
        hovertemplate=f"%{{y}}: %{{x:{objective.d3}}}<extra></extra>",
    )
    searched = [one.record.value for one in found.finalists]
    figure.add_scatter(
        x=searched,
        y=names,
        name="in the search",
        mode="markers",
        marker={"symbol": "x-thin-open", "size": 9, "color": "#767676", "line": {"width": 2}},
        hovertemplate=f"%{{y}}: %{{x:{objective.d3}}} in the search<extra></extra>",
    )
    means = [turned(one.mean) for one in found.finalists]
    ends = [objective.interval(one.low, one.high) for one in found.finalists]
    figure.add_scatter(
        x=means,
        y=names,
        name="mean, 95 %",
        mode="markers",
        marker={"symbol": "diamond", "size": 11, "color": INK},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": [_or_zero(high - mean) for mean, (_, high) in zip(means, ends, strict=True)],
            "arrayminus": [
                _or_zero(mean - low) for mean, (low, _) in zip(means, ends, strict=True)
            ],
            "color": INK,
            "thickness": 2,
        },
        text=[f"{objective.text(low)} to {objective.text(high)}" for low, high in ends],
        hovertemplate=f"%{{y}}: mean %{{x:{objective.d3}}}, %{{text}}<extra></extra>",
    )
    figure.update_xaxes(title=objective.label)
    figure.update_yaxes(autorange="reversed", type="category")
    return finished(figure, height=140 + 44 * len(names))


def _or_zero(length: float) -> float:
    return 0.0 if length != length else length  # NaN: a mean of one value has no interval
