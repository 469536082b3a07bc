"""The finalists with the intervals of their means."""

from __future__ import annotations

import math
from collections.abc import Sequence

import plotly.graph_objects as go

from sweep.analysis.confirm.conclusions import on_test_split, reservations, verdict
from sweep.analysis.confirm.confirmation import Confirmation, Finalist
from sweep.analysis.confirm.paired_comparison import LEAST_UNITS, folds_of
from sweep.analysis.figures import figure_style as style
from sweep.analysis.figures.figure import ReportFigure
from sweep.analysis.figures.sweep_results import Results
from sweep.vocabulary.objective import Objective


def confirmed_finalists(results: Results) -> ReportFigure:
    """The leaders on further seeds."""
    found, tested = results.confirmation, results.held_out
    objective = results.objective if found is None else found.objective
    finding = "No leader was trained on further seeds, which confirm: {top: 5, seeds: 5} does."
    crosses = "Crosses: the run of the search, which chose the finalists and so does not count. "
    if found is not None:
        finding = f"{verdict(found)} {reservations(found)}"
        crosses = "" if found.finalists[0].is_real else crosses
    return ReportFigure(
        name="finalists",
        title="The leaders on further seeds",
        finding=f"{finding} {on_test_split(tested)}" if tested is not None else finding,
        reading=(
            f"Rings: best {objective.label} of each replicate; one that diverged has none. "
            f"Thin lines join those of one {_block_words(found)}: where the lines run side by "
            "side, seeds explain the spread of a row, and finalists are compared pair by pair. "
            "Diamonds: their mean with its 95 % interval (Student's t, from "
            f"{LEAST_UNITS} seeds or folds on; that of the first allows for its being the best of"
            f" all). {crosses}A difference of pairs "
            "can be certain although intervals overlap: two finalists share a letter where they "
            "cannot be told apart. Of several folds each counts once, with the mean over its seeds."
        ),
        figure=_figure(found, objective) if found else None,
    )


def _figure(found: Confirmation, objective: Objective) -> go.Figure:
    names = [_label(one) for one in found.finalists]
    figure = go.Figure(_replicates(found, names, objective))
    if not found.finalists[0].is_real:  # the search has another Dice
        figure.add_scatter(
            x=[one.record.value for one in found.finalists],
            y=names,
            name="in the search",
            mode="markers",
            marker={"symbol": "x-thin-open", "size": 9, "color": "#767676", "line": {"width": 2}},
            hovertemplate=f"%{{y}}: %{{x:{objective.d3}}} in the search<extra></extra>",
        )
    means = [objective.turned(one.mean) if one.scores else None for one in found.finalists]
    ends = [objective.interval(one.low, one.high) for one in found.finalists]
    lengths = [  # below and above the mean; 0 without a mean or an interval
        (0.0, 0.0) if mean is None or math.isnan(low) else (mean - low, high - mean)
        for mean, (low, high) in zip(means, ends, strict=True)
    ]
    figure.add_scatter(
        x=means,
        y=names,
        name="mean, 95 %",
        mode="markers",
        marker={"symbol": "diamond", "size": 11, "color": style.INK},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": [above for _, above in lengths],
            "arrayminus": [below for below, _ in lengths],
            "color": style.INK,
            "thickness": 2,
        },
        text=[
            "no interval" if math.isnan(low) else f"{objective.text(low)} to {objective.text(high)}"
            for low, high in ends
        ],
        hovertemplate=f"%{{y}}: mean %{{x:{objective.d3}}}, %{{text}}<extra></extra>",
    )
    return style.in_rows(figure, len(names), objective.label)


def _block_words(found: Confirmation | None) -> str:
    folds = folds_of(one.scores for one in found.finalists) if found else set()
    return "seed and fold" if len(folds) > 1 else "seed"


def _replicates(found: Confirmation, names: Sequence[str], objective: Objective) -> go.Scatter:
    """A ring per replicate, and a line per block through the finalists."""
    lines = []
    for seed, fold in sorted({block for one in found.finalists for block in one.scores}):
        scores = [one.scores.get((seed, fold)) for one in found.finalists]
        values = [None if score is None else objective.turned(score) for score in scores]
        on_fold = f", fold {fold}" if found.has_folds else ""
        lines.append((values, names, f"seed {seed}{on_fold}"))
    return style.rings(
        lines,
        name=f"replicate, joined by {_block_words(found)}",
        hovertemplate=f"%{{y}} %{{text}}: %{{x:{objective.d3}}}<extra></extra>",
    )


def _label(one: Finalist) -> str:
    diverged = f"{one.diverged} diverged" * bool(one.diverged)
    dropped = "" if one.dropped is None else f"dropped after {one.dropped.after}"
    known = ", ".join(filter(None, [one.group, diverged, dropped]))
    return f"{one.trial_id} ({known})" if known else one.trial_id
