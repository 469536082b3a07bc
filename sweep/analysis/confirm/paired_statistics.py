"""Statistics of finalists that were measured on the same seeds and folds, or on the same cases.

All of them compare pairs: two configurations on one seed and fold share the data and its order, so
their difference varies less than either value. Means are assumed to be normal, because five or ten
replicates are too few for rank tests: with n = 5 pairs Wilcoxon's test cannot go below p = 0.0625.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

DRAWS = 20_000
"""Samples of a Monte Carlo estimate: its standard error is at most 0.0036."""
DEGREES, SCALE = 3, 0.5
"""Prior on the spread of finalists over the noise, chosen by ``benchmarks/confirmation.py``."""
POOLED = 4
"""Degrees of freedom that the pooled variance counts beside a configuration's own."""
TINY = 1e-24
"""Stands for the sum of squares of replicates that are all the same."""
APART, APART_OF_FEW, FEW = 3, 10, 5
"""Outcomes are of two kinds where the gap between them is so many times as wide as either kind.
Fewer values lie close together by chance."""
LEAST_APART = 0.05
"""The gap at least, as a share of the largest value, so that the noise of good seeds is no kind."""
LEAST_OF_KINDS = 3
"""Values below which they are of one kind."""
DECIMALS = 12
"""Decimals to which differences are rounded, so that rounding errors do not count."""


def mean_interval(
    values: Sequence[float],
    least: int = 2,
    groups: Sequence[str] | None = None,
    among: Sequence[Sequence[float]] = (),
) -> tuple[float, float]:
    """``mean ± t(n − 1) · s / √n``, the 95 % interval of Student's t; NaN for too few values.

    The highest of k means is mostly one that is too high, and of k equal ones its interval would
    lie above the truth in up to k times 2.5 %. So that of the highest reaches further down, to the
    0.05 / k quantile: that any of k intervals lies above the truth then has a chance of 5 % at most
    (Bonferroni's inequality). It need not reach further up. Of selected means in general: Fuentes,
    Casella and Wells 2018, Confidence intervals for the means of the selected populations,
    Electron. J. Statist. 12(1).

    Where runs are skewed or meet a ceiling, it is also one that happens to have no bad run, so its
    own spread is too small. So its lower end is at most the one that the median variance of all k
    gives, with the degrees of freedom of all k (chosen by ``benchmarks/picked.py``; a mean would
    follow a single noisy one).

    Args:
        values: one per replicate.
        least: number of values that it takes, at least 2.
        groups: of each value; those of one group are alike, and only groups are independent. See
            `_grouped_interval`.
        among: values of each of the k of which this one, which is among them, was picked as that
            with the highest mean; empty where it was not picked. It does not go with ``groups``.
    """
    if groups is not None:
        return _grouped_interval(values, least, groups)
    from scipy.special import stdtrit

    n = len(values)
    if n < least:
        return math.nan, math.nan
    others = [one for one in among if len(one) > 1] or [values]
    mean, spread = float(np.mean(values)), float(np.std(values, ddof=1))
    typical = math.sqrt(float(np.median([np.var(one, ddof=1) for one in others])))
    freedom = [n - 1, sum(len(one) - 1 for one in others)]
    down = stdtrit(freedom, 1 - 0.05 / max(2, len(among))) * (spread, typical) / math.sqrt(n)
    up = stdtrit(n - 1, 0.975) * spread / math.sqrt(n)
    return mean - float(down.max()), mean + float(up)


def _grouped_interval(
    values: Sequence[float], least: int, groups: Sequence[str]
) -> tuple[float, float]:
    """``mean ± t(K − 1) · e``, with G groups, ``e² = (G − 1)/G · Σ_g (mean without g − mean)²``.

    The mean is that of the values, as where nothing is grouped, so a group counts by its values.
    ``K = n² / Σ_g n_g²`` is the effective number of groups, G if all have the same number of
    values: a few large ones settle the mean, and the error is known only as well as they tell it.
    ``K − 1`` is at least 1. If each group has one value, or all have the same number, this is
    Student's interval of the means of the groups. NaN for too few values, or a single group.

    Source: the jackknife over clusters; MacKinnon, Nielsen and Webb 2023, Cluster-robust inference:
    A guide to empirical practice, J. Econometrics 232(2), CV3. K: Kish 1965, Survey Sampling, 11.7.
    """
    from scipy.special import stdtrit

    names, place, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    n, count = len(values), len(names)
    if n < least or count < 2:
        return math.nan, math.nan
    sums = np.bincount(place, values)
    mean = float(sums.sum()) / n
    without = (sums.sum() - sums) / (n - sizes)
    error = math.sqrt((count - 1) / count * float(((without - mean) ** 2).sum()))
    effective = n**2 / float((sizes**2).sum())
    margin = float(stdtrit(max(1.0, effective - 1), 0.975)) * error
    return mean - margin, mean + margin


def two_kinds(values: Sequence[float]) -> tuple[list[float], list[float]] | None:
    """The rarer and the more frequent kind of outcome, each in rising order; None for one kind.

    Values are split at their widest gap that is `APART` times as wide as either side
    (`APART_OF_FEW` times for fewer than `FEW` values) and at least `LEAST_APART` of the largest
    value. A mean with a standard error describes neither kind. Fewer than `LEAST_OF_KINDS`
    values are of one kind. How often noise looks like two: ``benchmarks/confirmation.py runs``.
    """
    ordered = sorted(values)
    times = APART if len(ordered) >= FEW else APART_OF_FEW
    widest = LEAST_APART * max((abs(value) for value in ordered), default=0.0)
    found = None
    for place in range(1, len(ordered)):
        low, high = ordered[:place], ordered[place:]
        gap = high[0] - low[-1]
        if gap > max(widest, times * max(low[-1] - low[0], high[-1] - high[0])):
            widest = gap
            found = (low, high) if len(low) <= len(high) else (high, low)
    return found if len(ordered) >= LEAST_OF_KINDS else None


def most_unseen(runs: int, highest_of: int = 1) -> float:
    """Share of runs of a kind that none of ``runs`` was of: the upper end of its one-sided 95 %
    interval, ``1 − (0.05 / k)^(1/n)`` (Clopper and Pearson 1934).

    Of k configurations whose runs collapse now and then, the highest mean is that of one whose runs
    did not: ``highest_of`` is this k.
    """
    return 1.0 - math.pow(0.05 / highest_of, 1 / runs)


def paired_p(differences: ArrayLike) -> NDArray[np.float64]:
    """Two-sided p of Student's paired t-test; 1 for fewer than two pairs.

    It is at least `least_p`, unless the mean difference is 0.

    Args:
        differences: ``[..., pairs]``.

    Returns:
        ``[...]``.
    """
    from scipy.special import stdtr

    rounded = np.round(np.asarray(differences, dtype=np.float64), DECIMALS)
    n = rounded.shape[-1]
    if n < 2:
        return np.ones(rounded.shape[:-1])
    mean, error = np.abs(rounded.mean(axis=-1)), rounded.std(axis=-1, ddof=1) / math.sqrt(n)
    t = np.divide(mean, error, out=np.full_like(mean, math.inf), where=error > 0)
    return np.where(mean == 0, 1.0, np.maximum(2 * stdtr(n - 1, -t), least_p(n)))


def least_p(pairs: int) -> float:
    """Least two-sided p of so many pairs, ``2 / 4^n``, however little their differences vary.

    Runs may be of two kinds that lie far apart, or scores coarse (shares of few cases). Two equal
    configurations then differ by the same step in a pair, the same way, in up to a quarter. By
    chance they do so in all of a few pairs, and a t-test takes that for certain.
    """
    return 2 * 0.25**pairs


def holm(p: Sequence[float]) -> list[float]:
    """Holm's adjustment of p-values for their number: ``max over j ≤ i of min(1, (m − j) · p(j))``.

    Source: Holm 1979, A simple sequentially rejective multiple test procedure, Scand. J. Stat. 6.
    """
    order = sorted(range(len(p)), key=lambda index: p[index])
    adjusted, largest = [0.0] * len(p), 0.0
    for place, index in enumerate(order):
        largest = max(largest, min(1.0, (len(p) - place) * p[index]))
        adjusted[index] = largest
    return adjusted


def probability_best(table: NDArray[np.float64], draws: int = DRAWS, seed: int = 0) -> list[float]:
    """Probability of each configuration that its mean is the highest of all.

    A hierarchical model. Differences between finalists are often smaller than the noise, and then
    the highest of several noisy means is mostly the luckiest:

        x(u, i) = b(u) + μ(i) + e(u, i),   e ~ N(0, w(i) σ²),   μ ~ N(m, τ²)

    with flat priors on b, m and log σ, and on τ/σ a half-t with `DEGREES` degrees of freedom and
    scale `SCALE` (Gelman 2006, Prior distributions for variance parameters in hierarchical models,
    Bayesian Analysis 1). σ² and m are integrated out in closed form, τ/σ is drawn from a grid. w(i)
    lets a configuration be noisier than the others: its own variance over the pooled one, where the
    pooled one counts as `POOLED` degrees of freedom.

    Args:
        table: ``[units, configurations]``, at least two units, without gaps.
        draws, seed: of the Monte Carlo estimate; the same seed gives the same numbers.

    Returns:
        One per configuration. Their sum is 1, and none is 0, since the draws are a sample.
    """
    n, count = table.shape
    if count == 1:
        return [1.0]
    rng = np.random.default_rng(seed)
    means, residual = table.mean(axis=0), table - table.mean(axis=0)
    residual = residual - residual.mean(axis=1, keepdims=True)
    freedom = (n - 1) * (count - 1)
    within = max(float((residual**2).sum()), TINY)
    own = (residual**2).sum(axis=0) * count / (count - 1)  # each has (n − 1) σ² on average
    error = (POOLED + own / (within / freedom)) / (POOLED + n - 1) / n  # [configurations], in σ²

    ratio = np.geomspace(1e-3, 1e2, 400)  # τ/σ
    precision = 1 / (ratio[:, None] ** 2 + error)  # [ratio, configurations], in 1/σ²
    total = precision.sum(axis=1)
    centre = precision @ means / total
    between = (precision * (means - centre[:, None]) ** 2).sum(axis=1)
    log_density = (
        np.log(ratio)  # of the grid
        - (DEGREES + 1) / 2 * np.log1p((ratio / SCALE) ** 2 / DEGREES)
        + np.log(precision).sum(axis=1) / 2
        - np.log(total) / 2
        - (freedom + count - 1) / 2 * np.log(within + between)
    )
    density = np.exp(log_density - log_density.max())
    at = rng.choice(len(ratio), size=draws, p=density / density.sum())

    sigma = np.sqrt((within + between[at]) / rng.chisquare(freedom + count - 1, size=draws))
    middle = centre[at] + sigma / np.sqrt(total[at]) * rng.standard_normal(draws)
    kept = ratio[at, None] ** 2 * precision[at]  # share of its distance that a mean keeps
    drawn = middle[:, None] + kept * (means - middle[:, None])
    drawn += sigma[:, None] * np.sqrt(kept * error) * rng.standard_normal((draws, count))
    first = np.bincount(drawn.argmax(axis=1), minlength=count)
    return [float(times + 0.5) / (draws + count / 2) for times in first]


def groups(count: int, differ: Collection[tuple[int, int]]) -> list[str]:
    """Letters of items: two items share a letter exactly if they do not differ.

    Args:
        count: number of items; the first has the letter ``a``.
        differ: pairs of items that differ.

    Source: the insert-and-absorb algorithm of Piepho 2004, J. Comput. Graph. Stat. 13(2).
    """
    columns = [set(range(count))] if count else []
    for i, j in sorted(differ):
        split = [part for c in columns for part in ((c - {i}, c - {j}) if {i, j} <= c else (c,))]
        unique = [c for n, c in enumerate(split) if c not in split[:n]]
        columns = [c for c in unique if not any(c < other for other in unique)]
    columns.sort(key=sorted)
    letters = [chr(ord("a") + n) if n < 26 else f"({n + 1})" for n in range(len(columns))]
    own = [[x for x, c in zip(letters, columns, strict=True) if i in c] for i in range(count)]
    return ["".join(found) for found in own]
