"""Whether other metrics rank the trials as the objective does."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from sweep.analysis.figures import figure_style as style
from sweep.analysis.figures.figure import ReportFigure
from sweep.analysis.figures.sweep_results import Results
from sweep.analysis.report_words import correlation, listed
from sweep.analysis.resampling.rank_bootstrap import ranks
from sweep.spec.words.phrases import counted
from sweep.vocabulary.objective import BETTER, VAL_DICE, Objective
from sweep.vocabulary.record import Status

if TYPE_CHECKING:
    import pandas as pd

METRICS = (VAL_DICE, "nsd", "hd95")
LEAST_TRIALS = 5
"""Trials below which τ has too few values to say anything: of four trials there are 6 pairs.

Trials that are equal in all metrics count once. They are the same run up to its best epoch.
"""
MOST_LINES = 60
"""Trials that are drawn, evenly over the ranking."""


def metric_agreement(results: Results) -> ReportFigure:
    """Whether the metrics agree on the order."""
    metrics, rows = _measured(results)
    trials = [str(trial) for trial in rows["trial_id"]]
    scores = {one.metric: _scores(one, rows) for one in metrics}
    different = len({*zip(*scores.values(), strict=True)})
    is_telling = len(metrics) > 1 and different >= LEAST_TRIALS
    # They are behind in all metrics, because they had fewer epochs.
    pruned = int((rows["status"] == Status.PRUNED.value).sum())
    raises = f" {counted(pruned, 'trial')} of these were pruned, which raises τ." if pruned else ""
    return ReportFigure(
        name="metric-agreement",
        title="Do the metrics agree on the order?",
        finding=_finding(metrics, trials, scores) if is_telling else _nothing(metrics, different),
        reading=(
            "Each line is a trial, with its rank by each metric in its best epoch (the best at the"
            " top). Kendall's τ is the share of pairs of trials that two metrics order alike, less"
            " the share that they order differently, of the pairs that are not equal (τ-b): 1 is"
            f" the same order, 0 none. The best epoch was chosen by {results.objective.label},"
            " which the other metrics had no part in."
            f"{raises} With the leaders alone τ would be lower, because they differ"
            " less."
        ),
        figure=_figure(metrics, trials, scores) if is_telling else None,
    )


def _measured(results: Results) -> tuple[list[Objective], pd.DataFrame]:
    """The metrics that most trials have, and the rows of the ranking that have all of them."""
    own, frame = results.objective, results.frame
    known = {own.metric: Objective(own.metric, own.mode, own.dice)}
    for name in METRICS:
        known.setdefault(name, Objective(name, BETTER[name], own.dice))
    ranked = frame[frame["best_epoch"].notna()]
    metrics = [
        one for name, one in known.items() if name in ranked and ranked[name].notna().mean() > 0.5
    ]
    return metrics, ranked.dropna(subset=[one.metric for one in metrics])


def _scores(metric: Objective, rows: pd.DataFrame) -> NDArray[np.float64]:
    values = rows[metric.metric].to_numpy(dtype=np.float64)
    return values if metric.mode == "max" else -values


def _nothing(metrics: Sequence[Objective], count: int) -> str:
    if not metrics:
        return "No trial has a result."
    if len(metrics) < 2:
        return "Only one metric was measured: `evaluation.metrics` adds NSD and HD95."
    return (
        f"{counted(count, 'trial')} with different {listed([one.short for one in metrics])} are"
        f" too few to compare their orders: it takes {LEAST_TRIALS}."
    )


def _finding(
    metrics: Sequence[Objective],
    trials: Sequence[str],
    scores: dict[str, NDArray[np.float64]],
) -> str:
    from scipy.stats import kendalltau

    pairs = []
    for one, other in combinations(metrics, 2):
        tau = float(kendalltau(scores[one.metric], scores[other.metric]).statistic)
        if not np.isnan(tau):
            pairs.append(f"{one.short} and {other.short} {correlation(tau)}")
    leaders = {one.short: trials[int(scores[one.metric].argmax())] for one in metrics}
    agreed = len({*leaders.values()}) == 1
    first = (
        f"{next(iter(leaders.values()))} is first by each of them."
        if agreed
        else f"First is {listed([f'{who} by {name}' for name, who in leaders.items()])}."
    )
    if not pairs:
        return f"All {len(trials)} trials have the same value of a metric, so orders cannot differ."
    return f"Kendall's τ over {len(trials)} trials: {', '.join(pairs)}. {first}"


def _figure(
    metrics: Sequence[Objective],
    trials: Sequence[str],
    scores: dict[str, NDArray[np.float64]],
) -> go.Figure:
    places = {one.metric: ranks(scores[one.metric]) for one in metrics}
    names = [one.short for one in metrics]
    figure = go.Figure()
    for number in style.thinned(range(len(trials)), MOST_LINES):
        trial = trials[number]
        is_leader = any(places[one.metric][number] == 1 for one in metrics)
        figure.add_scatter(
            x=names,
            y=[int(places[one.metric][number]) for one in metrics],
            text=[one.text(one.turned(float(scores[one.metric][number]))) for one in metrics],
            meta={"trial": trial},
            name=trial,
            mode="lines+markers",
            line={"width": 2.5 if is_leader else 1, "color": style.INK if is_leader else "#a9b4be"},
            marker={"size": 8 if is_leader else 5},
            hovertemplate=f"{trial}: rank %{{y}} by %{{x}} (%{{text}})<extra></extra>",
        )
    figure.update_xaxes(type="category")
    last = max(int(place.max()) for place in places.values())
    figure.update_yaxes(range=[last + 0.5, 0.5], tick0=1, dtick=-(-last // 10), title="rank")
    return style.finished(figure, height=420, legend=False)
