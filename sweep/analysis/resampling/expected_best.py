"""The best that a random search of n trials may be expected to find."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from sweep.analysis.figures import figure_style as style
from sweep.analysis.figures.figure import ReportFigure
from sweep.analysis.figures.sweep_results import Results
from sweep.spec.words.phrases import counted

LEAST_TRIALS = 8
"""Random trials below which nothing is said."""
MOST_SIZES = 200
"""Numbers of trials at which the curve is computed."""
BAND = (0.1, 0.9)
"""Quantiles of the band."""


def expected_best(results: Results) -> ReportFigure:
    """What fewer trials would have found."""
    scores = _random_scores(results)
    why = _why_not(results, scores)
    return ReportFigure(
        name="expected-best",
        title="What fewer trials would have found",
        finding=why or _finding(results, scores),
        reading=(
            "The mean best of n of these trials, over all ways to choose n of them (Dodge et al.,"
            " 2019, Show Your Work; the unbiased estimate of Tang et al., 2020). The band holds the"
            " best of four in five choices, and in simulation that of another search of n trials in"
            " about half (n half of the trials) to two thirds (a quarter). It ends at half of the"
            " trials, since larger choices share most of their trials. A pruned trial counts with"
            " what it had reached, one without a result as the worst of the others; a scheduler"
            " prunes fewer of fewer trials, so what they find is a little better. Only trials that"
            " the random searcher proposed count. Comparisons of methods should name the number of"
            " trials, because the best value rises with it. These are the values that"
            " trials were chosen by."
        ),
        figure=None if why else _figure(results, scores),
    )


def expected_maximum(scores: Sequence[float], sizes: Sequence[int]) -> NDArray[np.float64]:
    """Mean of the maximum over all subsets of n scores, for each n of ``sizes``.

    ``Σ_i x(i) · C(i − 1, n − 1) / C(N, n)`` with the scores in rising order.

    Source: Tang et al. 2020, Showing Your Work Doesn't Always Work, ACL.
    """
    ordered = np.sort(np.asarray(scores, dtype=np.float64))
    found: NDArray[np.float64] = _shares(len(ordered), sizes) @ ordered
    return found


def quantiles_of_maximum(
    scores: Sequence[float], sizes: Sequence[int], share: float
) -> NDArray[np.float64]:
    """A quantile of the maximum over all subsets of n scores, for each n of ``sizes``."""
    ordered = np.sort(np.asarray(scores, dtype=np.float64))
    below = np.cumsum(_shares(len(ordered), sizes), axis=1) < share - 1e-9
    found: NDArray[np.float64] = ordered[np.minimum(below.sum(axis=1), len(ordered) - 1)]
    return found


def _shares(total: int, sizes: Sequence[int]) -> NDArray[np.float64]:
    """Share of the subsets of n whose largest is the i-th of ``total`` in rising order, ``[sizes,
    total]``."""
    from scipy.special import gammaln

    factorial = gammaln(np.arange(total + 1) + 1)  # logarithms
    n, i = np.asarray(sizes)[:, None], np.arange(1, total + 1)
    rest = np.maximum(i - n, 0)  # where i < n there is no such subset
    logs = factorial[i - 1] - factorial[n - 1] - factorial[rest]
    logs -= factorial[total] - factorial[n] - factorial[total - n]
    return np.where(i >= n, np.exp(np.minimum(logs, 0.0)), 0.0)


def _random_scores(results: Results) -> list[float]:
    """Scores of the trials that the searcher drew; those without a result as the worst."""
    drawn = [r for r in results.ended if r.preset is None and r.enqueued is None]
    known = [results.scores[r.trial_id] for r in drawn if r.trial_id in results.scores]
    worst = min(known, default=0.0)
    return [results.scores.get(r.trial_id, worst) for r in drawn] if known else []


def _why_not(results: Results, scores: Sequence[float]) -> str:
    searcher = results.spec.searcher
    if searcher.name != "random":
        return (
            f"This is known only of random search. The trials of `{searcher.label}` depend on each"
            " other, so a choice of n of them is not what a search of n trials would have tried."
        )
    if results.spec.warm_start is not None:
        return "Not told for a sweep that took configurations over from earlier ones."
    if any(kind.prior is not None for kind in results.spec.drawn.values()):
        return "Not told for a sweep with a `prior`, by which its first trials were drawn."
    if len(scores) < LEAST_TRIALS:
        return (
            f"{counted(len(scores), 'random trial')} are too few to say what fewer would have"
            f" found: it takes {LEAST_TRIALS}."
        )
    return ""


def _finding(results: Results, scores: Sequence[float]) -> str:
    objective, half = results.objective, len(scores) // 2
    best = expected_maximum(scores, [1, half, len(scores)])
    text = [objective.text(objective.turned(float(value))) for value in best]
    return (
        f"Of {len(scores)} random trials, one has a mean {objective.label} of {text[0]}, the best"
        f" of {half} {text[1]} on average, and the best of all {text[2]}."
    )


def _figure(results: Results, scores: Sequence[float]) -> go.Figure:
    objective = results.objective
    sizes = style.thinned(range(1, len(scores) + 1), MOST_SIZES)
    half = [n for n in sizes if 2 * n <= len(scores)]
    low, high, mean = (
        [objective.turned(float(value)) for value in values]
        for values in (
            *(quantiles_of_maximum(scores, half, share) for share in BAND),
            expected_maximum(scores, sizes),
        )
    )
    figure = go.Figure()
    figure.add_scatter(
        x=[*half, *half[::-1]],
        y=[*low, *high[::-1]],
        name="four of five choices",
        mode="lines",
        line={"width": 0},
        fill="toself",
        fillcolor="#d7e4ef",
        hoverinfo="skip",
    )
    figure.add_scatter(
        x=list(sizes),
        y=mean,
        name="expected best",
        mode="lines",
        line={"width": 2.5, "color": "#08306b"},
        hovertemplate=f"best of %{{x}}: %{{y:{objective.d3}}} on average<extra></extra>",
    )
    figure.update_xaxes(title="random trials")
    figure.update_yaxes(title=f"best {objective.label}")
    return style.finished(figure, height=380)
