"""Statistics of finalists that were measured on the same seeds and folds, or on the same cases.

All of them compare what was paired: two configurations on one seed and fold share the data and the
order of it, so their difference varies less than either value. Means are assumed to be normal, as
the five or ten replicates that anybody can afford let no rank test decide: with n = 5 pairs the
Wilcoxon test cannot go below p = 0.0625.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

Table = NDArray[np.float64]

DRAWS = 20_000
"""Of every Monte Carlo estimate: its standard error is at most 0.0036."""
DECIMALS = 12
"""Differences below are rounding, and not there."""


def mean_interval(values: Sequence[float], level: float = 0.95) -> tuple[float, float]:
    """``mean ± t(n − 1) · s / √n``, the interval of Student's t; NaN for fewer than two.

    Args:
        values: one a replicate.
        level: share of such intervals that hold the mean, for normal values.
    """
    from scipy.stats import t

    n = len(values)
    if n < 2:
        return math.nan, math.nan
    mean, spread = float(np.mean(values)), float(np.std(values, ddof=1))
    margin = float(t.ppf((1 + level) / 2, n - 1)) * spread / math.sqrt(n)
    return mean - margin, mean + margin


def paired_p(differences: Sequence[float]) -> float:
    """Two-sided p of Student's paired t-test; 1 for fewer than two pairs.

    Differences that are all the same and not 0 have p = 0.
    """
    from scipy.stats import ttest_1samp

    rounded = np.round(np.asarray(differences, dtype=np.float64), DECIMALS)
    if len(rounded) < 2 or not rounded.any():
        return 1.0
    if np.ptp(rounded) == 0:
        return 0.0
    return float(ttest_1samp(rounded, 0.0).pvalue)


def holm(p: Sequence[float]) -> list[float]:
    """p-values adjusted for their number, by Holm: ``max over j ≤ i of min(1, (m − j) · p(j))``.

    Source: Holm 1979, A simple sequentially rejective multiple test procedure, Scand. J. Stat. 6.
    """
    order = sorted(range(len(p)), key=lambda index: p[index])
    adjusted, largest = [0.0] * len(p), 0.0
    for place, index in enumerate(order):
        largest = max(largest, min(1.0, (len(p) - place) * p[index]))
        adjusted[index] = largest
    return adjusted


def probability_best(table: Table, draws: int = DRAWS, seed: int = 0) -> list[float]:
    """Probability of each configuration that its mean is the highest of all.

    Posterior of the means under a flat prior on them and a prior ∝ 1/σ on the spread:
    ``x̄ + C g / √(n (n − 1)) / √(χ²(n − 1) / (n − 1))`` with g ~ N(0, 1) for each block and C the
    centred table. Each difference of two means then has the t distribution that its paired test
    stands on, so of two configurations the better one has ``1 − p / 2``, p of `paired_p`.

    Args:
        table: ``[blocks, configurations]``, at least two blocks, without gaps.
        draws, seed: of the Monte Carlo estimate; the same seed gives the same numbers.

    Returns:
        One a configuration, their sum 1; ties share.
    """
    n, count = table.shape
    if count == 1:
        return [1.0]
    rng = np.random.default_rng(seed)
    centred = table - table.mean(axis=0)
    scale = np.sqrt(rng.chisquare(n - 1, size=(draws, 1)) / (n - 1))
    noise = rng.standard_normal((draws, n)) @ centred / math.sqrt(n * (n - 1))
    means = np.round(table.mean(axis=0) + noise / scale, DECIMALS)  # [draws, configurations]
    first = means == means.max(axis=1, keepdims=True)
    shares = (first / first.sum(axis=1, keepdims=True)).mean(axis=0)
    return [float(share) for share in shares]


def groups(count: int, differ: Collection[tuple[int, int]]) -> list[str]:
    """Letters of items, of which two share one exactly if they do not differ.

    Args:
        count: number of items, ``a`` being of the first.
        differ: pairs of items that can be told apart.

    Source: the insert-and-absorb algorithm of Piepho 2004, J. Comput. Graph. Stat. 13(2).
    """
    columns = [set(range(count))] if count else []
    for i, j in sorted(differ):
        split = [part for c in columns for part in ((c - {i}, c - {j}) if {i, j} <= c else (c,))]
        unique = [c for n, c in enumerate(split) if c not in split[:n]]
        columns = [c for c in unique if not any(c < other for other in unique)]
    columns.sort(key=sorted)
    return ["".join(_letter(n) for n, c in enumerate(columns) if i in c) for i in range(count)]


def wilcoxon_p(differences: Sequence[float]) -> float:
    """Two-sided p of Wilcoxon's signed-rank test over cases, equal pairs left out; 1 if all are."""
    from scipy.stats import wilcoxon

    rounded = np.round(np.asarray(differences, dtype=np.float64), DECIMALS)
    rounded = rounded[rounded != 0]
    return float(wilcoxon(rounded).pvalue) if len(rounded) else 1.0


def bootstrap_interval(
    values: Sequence[float], level: float = 0.95, draws: int = DRAWS, seed: int = 0
) -> tuple[float, float]:
    """Percentile interval of the mean over cases that are drawn again with replacement.

    NaN for fewer than two values. The same seed gives the same numbers.
    """
    if len(values) < 2:
        return math.nan, math.nan
    rng = np.random.default_rng(seed)
    sample = np.asarray(values, dtype=np.float64)
    means = [  # one after the other: a table of all draws of a thousand cases would be large
        float(sample[rng.integers(len(sample), size=len(sample))].mean()) for _ in range(draws // 4)
    ]
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _letter(number: int) -> str:
    return chr(ord("a") + number) if number < 26 else f"({number + 1})"
