"""Whether other metrics rank the trials as the objective does."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from sweep.analysis.figures import figure_style as style
from sweep.analysis.figures.figure import ReportFigure
from sweep.analysis.figures.sweep_results import Results
from sweep.analysis.report_words import listed
from sweep.analysis.resampling.rank_bootstrap import kendall, ranks
from sweep.spec.words.phrases import counted
from sweep.vocabulary.objective import BETTER, VAL_DICE, Objective
from sweep.vocabulary.record import TrialRecord

METRICS = (VAL_DICE, "nsd", "hd95")
LEAST_TRIALS = 5
"""Trials below which τ has too few values to say anything: of four trials there are 6 pairs."""
MOST_LINES = 60
"""Trials that are drawn, evenly over the ranking."""


def metric_agreement(results: Results) -> ReportFigure:
    """Whether the metrics agree on the order."""
    metrics, records = _measured(results)
    scores = {one.metric: _scores(one, records) for one in metrics}
    is_telling = len(metrics) > 1 and len(records) >= LEAST_TRIALS
    return ReportFigure(
        name="metric-agreement",
        title="Do the metrics agree on the order?",
        finding=_finding(metrics, records, scores) if is_telling else _nothing(metrics, records),
        reading=(
            "Each line is a trial, with its rank by each metric in its best epoch (the best at the"
            " top). Kendall's τ is the share of pairs of trials that two metrics order alike, less"
            " the share that they order differently: 1 is the same order, 0 none. The best epoch"
            f" was chosen by {results.objective.label}, which the other metrics had no part in."
            " With the leaders alone τ would be lower, because they differ less."
        ),
        figure=_figure(metrics, records, scores) if is_telling else None,
    )


def _measured(results: Results) -> tuple[list[Objective], list[TrialRecord]]:
    """The metrics that were measured, and the trials that have all of them."""
    own = results.objective
    names = dict.fromkeys([own.metric, *METRICS])
    known = [Objective(n, "min" if BETTER.get(n) == "min" else "max", own.dice) for n in names]
    metrics = [
        Objective(own.metric, own.mode, own.dice) if one.metric == own.metric else one
        for one in known
    ]
    ranked = results.ranked
    shown = [
        one
        for one in metrics
        if 2 * sum(_value(one, record) is not None for record in ranked) > len(ranked)
    ]
    return shown, [r for r in ranked if all(_value(one, r) is not None for one in shown)]


def _value(metric: Objective, record: TrialRecord) -> float | None:
    return None if record.best is None else metric.value(record.best)


def _scores(metric: Objective, records: Sequence[TrialRecord]) -> NDArray[np.float64]:
    values = [_value(metric, record) for record in records]
    return np.array([metric.turned(value) for value in values if value is not None])


def _nothing(metrics: Sequence[Objective], records: Sequence[TrialRecord]) -> str:
    if len(metrics) < 2:
        return "Only one metric was measured: `evaluation.metrics` adds NSD and HD95."
    return (
        f"{counted(len(records), 'trial')} with {listed([one.short for one in metrics])} are too"
        f" few to compare their orders: it takes {LEAST_TRIALS}."
    )


def _finding(
    metrics: Sequence[Objective],
    records: Sequence[TrialRecord],
    scores: dict[str, NDArray[np.float64]],
) -> str:
    pairs = []
    for one, other in combinations(metrics, 2):
        tau = kendall(scores[one.metric], scores[other.metric])
        if not np.isnan(tau):
            pairs.append(f"{one.short} and {other.short} {tau:.2f}".replace("-", "−"))
    leaders = {one.short: records[int(scores[one.metric].argmax())].trial_id for one in metrics}
    agreed = len({*leaders.values()}) == 1
    first = (
        f"{next(iter(leaders.values()))} is first by each of them."
        if agreed
        else f"First is {listed([f'{who} by {name}' for name, who in leaders.items()])}."
    )
    return f"Kendall's τ over {len(records)} trials: {', '.join(pairs)}. {first}"


def _figure(
    metrics: Sequence[Objective],
    records: Sequence[TrialRecord],
    scores: dict[str, NDArray[np.float64]],
) -> go.Figure:
    places = {one.metric: ranks(scores[one.metric]) for one in metrics}
    names = [one.short for one in metrics]
    figure = go.Figure()
    for number in style.thinned(range(len(records)), MOST_LINES):
        trial = records[number].trial_id
        is_leader = any(places[one.metric][number] == 1 for one in metrics)
        figure.add_scatter(
            x=names,
            y=[int(places[one.metric][number]) for one in metrics],
            text=[one.text(value) for one in metrics if (value := _value(one, records[number]))
                  is not None],
            meta={"trial": trial},
            name=trial,
            mode="lines+markers",
            line={"width": 2.5 if is_leader else 1, "color": style.INK if is_leader else "#a9b4be"},
            marker={"size": 8 if is_leader else 5},
            hovertemplate=f"{trial}: rank %{{y}} by %{{x}} (%{{text}})<extra></extra>",
        )  # fmt: skip
    figure.update_xaxes(type="category")
    figure.update_yaxes(autorange="reversed", title="rank")
    return style.finished(figure, height=420, legend=False)
