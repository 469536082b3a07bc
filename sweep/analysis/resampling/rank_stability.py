"""Whether other cases would have ranked the trials in the same way: blob plots of ranks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from sweep.analysis.confirm.conclusions import of_subjects
from sweep.analysis.confirm.test_scores import LEAST_CASES, LEAST_GROUPS
from sweep.analysis.figures import figure_style as style
from sweep.analysis.figures.figure import ReportFigure
from sweep.analysis.figures.sweep_results import Results
from sweep.analysis.report_words import correlation, percent, some
from sweep.analysis.resampling.case_scores import (
    CaseScores,
    scores_on_test,
    scores_on_validation,
)
from sweep.analysis.resampling.rank_bootstrap import DRAWS, LEVEL, RankBootstrap
from sweep.spec.words.phrases import counted
from sweep.vocabulary.objective import VAL_DICE, Objective

LARGEST = 34
"""Diameter of the circle of a rank that a trial always has, in pixels."""
LEAST_WIDTH = 4
"""Width of a panel with few trials, in trials."""

READING = (
    f"Cases are drawn with replacement {DRAWS:,} times, and trials ranked by their mean {{metric}}"
    " over each draw; where `data.groups` groups the cases, whole groups are drawn. The area of a"
    " circle is the share of draws with that rank; the cross is the"
    " median rank, the line the ranks of 95 % of the draws (Wiesenfarth et al., 2021). This shows"
    " what other cases of the same kind might change, not what another seed would. A share is no"
    " probability of being the best: of two equal trials, one stays first in three of four draws on"
    f" average. In simulation, equal trials reached {percent(LEVEL)} in at most 6 % of the samples"
    " of 20 cases or more where scores are overlaps from 0 to 1, and in about 7 % where they are"
    " distances and some structures are missed. The validation cases chose these trials and their"
    " best epochs, so there the order looks steadier than it is; the test cases chose nothing."
)


def rank_stability(results: Results) -> ReportFigure:
    """Whether other cases would rank the same."""
    judged = results.objective.metric
    metric = "dice" if judged == VAL_DICE else judged  # its name in the tables of cases
    tables = (scores_on_test(results), scores_on_validation(results))
    found = [one for one in tables if one is not None and metric in one.scores]
    telling = [one for one in found if one.is_telling]
    drawn = [RankBootstrap(one.scores[metric], groups=one.groups or None) for one in telling]
    sentences = [_finding(one, ranks) for one, ranks in zip(telling, drawn, strict=True)]
    return ReportFigure(
        name="rank-stability",
        title="Would other cases rank the same?",
        finding=" ".join(sentences) or _nothing(found, results.objective),
        reading=READING.format(metric=results.objective.short),
        figure=_figure(telling, drawn) if telling else None,
    )


def _nothing(found: Sequence[CaseScores], objective: Objective) -> str:
    if not found:
        return (
            f"Nothing to resample: that takes two trials with {objective.short} for each case"
            " (cases.csv, or the test split)."
        )
    largest = max(found, key=lambda one: one.cases)
    if largest.cases >= LEAST_CASES and largest.has_too_few_groups:
        return (
            f"{counted(largest.group_count, 'group')} of {largest.split} cases are too few to"
            f" resample: it takes {LEAST_GROUPS}."
        )
    return (
        f"{counted(largest.cases, f'{largest.split} case')} are too few to resample: it takes"
        f" {LEAST_CASES}."
    )


def _finding(of: CaseScores, found: RankBootstrap) -> str:
    first = int(found.means.argmax())
    share = float((found.ranks[:, first] == 1).mean())
    low, high = found.interval(first)
    chose = "" if of.split == "test" else ", which chose these trials"
    # Trials that differ only in a setting without effect are equal, and share each place.
    alike = (found.ranks == found.ranks[:, [first]]).all(axis=0)
    equal = [trial for trial, is_equal in zip(of.trials, alike, strict=True) if is_equal]
    are, their = ("are together", "their") if len(equal) > 1 else ("is", "its")
    sentence = f"In {percent(share)} of the draws from {of.words}{chose}, {some(equal)} {are} first"
    is_few = 0 < of.group_count < LEAST_CASES
    if share >= LEVEL and not is_few:
        sentence += f": {their} place is steady"
    elif high > low:
        sentence += f" (ranks {low} to {high} in 95 %)"
    if len(of.trials) > 2:
        tau = float(np.nanmean(found.taus)) if not np.isnan(found.taus).all() else None
        if tau is not None:
            ends = np.nanquantile(found.taus, [0.025, 0.975])
            sentence += (
                f"; Kendall's τ between the ranking of all cases and that of a draw is "
                f"{correlation(tau)} on average (95 %: {' to '.join(map(correlation, ends))})"
            )
    left = f" Left out: {counted(of.left_out, 'case')} without a value of each."
    grouped = of_subjects(of.names, of.group_count)
    if is_few:
        grouped = (
            f"{of.group_count} groups are too few to call a place steady: it takes {LEAST_CASES}."
        )
    return f"{sentence}.{left if of.left_out else ''}{f' {grouped}' if grouped else ''}"


def _figure(tables: Sequence[CaseScores], drawn: Sequence[RankBootstrap]) -> go.Figure:
    widths = [max(LEAST_WIDTH, len(one.trials)) for one in tables]
    figure = make_subplots(rows=1, cols=len(tables), column_widths=widths)
    for column, (table, found) in enumerate(zip(tables, drawn, strict=True), start=1):
        for trace in _blobs(table, found):
            figure.add_trace(trace.update(showlegend=column == 1), row=1, col=column)
        figure.update_xaxes(type="category", title=table.words, row=1, col=column)
        ranks = len(table.trials)
        figure.update_yaxes(
            range=[ranks + 0.6, 0.4], dtick=1, title="rank" if column == 1 else None, col=column
        )
    most = max(len(one.trials) for one in tables)
    return style.finished(figure, height=200 + 38 * most)


def _blobs(table: CaseScores, found: RankBootstrap) -> list[go.Scatter]:
    """Circles, lines of 95 % and crosses of one table.

    Circles have no ``ids``: plotly draws one point for each id, and a trial has several.
    """
    places = [
        (trial, rank + 1, float(share))
        for trial, row in zip(table.trials, found.frequencies, strict=True)
        for rank, share in enumerate(row)
        if share > 0
    ]
    ends = [found.interval(n) for n in range(len(table.trials))]
    lines = style.joined(
        ([trial, trial], [low, high], trial)
        for trial, (low, high) in zip(table.trials, ends, strict=True)
    )
    return [
        go.Scatter(
            x=[trial for trial, _, _ in places],
            y=[rank for _, rank, _ in places],
            name="share of draws",
            mode="markers",
            marker={
                "size": [LARGEST * share**0.5 for _, _, share in places],
                "color": "#9cc0dd",
                "line": {"width": 0},
                "opacity": 1,
            },
            text=[percent(share) for _, _, share in places],
            hovertemplate="%{x}: rank %{y} in %{text} of the draws<extra></extra>",
        ),
        go.Scatter(
            **lines,
            name="95 % of draws",
            mode="lines",
            line={"width": 1.5, "color": style.INK},
            hoverinfo="skip",
        ),
        go.Scatter(
            x=list(table.trials),
            y=np.median(found.ranks, axis=0).tolist(),
            ids=list(table.trials),
            name="median rank",
            mode="markers",
            marker={"symbol": "x-thin", "size": 9, "line": {"width": 2, "color": style.INK}},
            hovertemplate="%{x}: median rank %{y}<extra></extra>",
        ),
    ]
