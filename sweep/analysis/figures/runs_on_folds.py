"""The leaders of a search with replicates, run by run."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from sweep.analysis.figures import figure_style as style
from sweep.analysis.figures.figure import ReportFigure
from sweep.analysis.figures.sweep_results import Results
from sweep.analysis.ranking.finalists import place
from sweep.analysis.report_words import some
from sweep.spec.search.replicate_plan import search_blocks
from sweep.spec.words.phrases import counted
from sweep.vocabulary.record import TrialRecord

MOST = 12
"""Trials that are shown."""


def runs_on_folds(results: Results) -> ReportFigure:
    """The runs of the leaders on each fold and seed of the search, and their mean."""
    # By the mean of these runs, also where a confirmation has another order.
    every = sorted((one for one in results.ranked if one.has_further_runs), key=place)
    shown = every[:MOST]
    whole = [one for one in shown if len(one.replicated) == len(shown[0].replicated)]
    finding = "No trial was trained on a further fold, which replicate: {folds: 3} does."
    if shown:
        first, objective = shown[0], results.objective
        assert first.mean_score is not None
        mean = objective.text(objective.turned(first.mean_score))
        as_many = sum(len(r.replicated) == len(first.replicated) for r in results.ranked)
        have = "has" if as_many == 1 else "have"
        finding = (
            f"{first.trial_id} is first, with a mean of {mean} over"
            f" {counted(1 + len(first.replicated), 'run')}. {as_many} of"
            f" {counted(len(results.ranked), 'trial')} with a result {have} as many."
        )
        if lost := [run for one in every for run in one.diverged_runs]:
            finding += f" Diverged on a further fold or seed: {some(lost)}."
    return ReportFigure(
        name="runs",
        title="The leaders on further folds",
        finding=finding,
        reading=(
            "Rings: best value of each run; thin lines join those of one fold and seed. Where the"
            " lines run side by side, folds explain the spread of a row. Diamonds: the mean over"
            " all runs with a result. A row without a diamond has fewer of them than the first, and"
            " its mean is not compared with the others. A run that diverged has no ring; the name"
            " of its row says so."
        ),
        figure=_figure(results, shown, whole) if shown else None,
    )


def _figure(
    results: Results, shown: Sequence[TrialRecord], whole: Sequence[TrialRecord]
) -> go.Figure:
    objective = results.objective
    names = [
        f"{one.trial_id} ({lost} diverged)" if (lost := len(one.diverged_runs)) else one.trial_id
        for one in shown
    ]
    lines = []
    for run, (seed, fold) in enumerate(search_blocks(results.spec)):
        scores = [(one.score, *one.replicated)[run : run + 1] for one in shown]
        values = [
            objective.turned(score[0]) if score and score[0] is not None else None
            for score in scores
        ]
        on_fold = "" if results.spec.trainer.traits.is_own_loop else f", fold {fold}"
        lines.append((values, names, f"seed {seed}{on_fold}"))
    hover = f"%{{y}}, %{{text}}: %{{x:{objective.d3}}}<extra></extra>"
    figure = go.Figure(style.rings(lines, name="run, joined by fold and seed", hovertemplate=hover))
    means = [mean for one in whole if (mean := one.mean_score) is not None]
    figure.add_scatter(
        x=[objective.turned(mean) for mean in means],
        y=names[: len(whole)],
        ids=[one.trial_id for one in whole],
        name="mean",
        mode="markers",
        marker={"symbol": "diamond", "size": 11, "color": style.INK},
        hovertemplate=f"%{{y}}: mean %{{x:{objective.d3}}}<extra></extra>",
    )
    return style.in_rows(figure, len(names), objective.label)
