"""Tests that are repeated during a race, and what is still in prospect.

A race looks at its finalists after all blocks, a half, a quarter of them and so on, and not before
four. A test at 5 % that is repeated at every look errs more often than in 5 %. So each look has a
level of its own, and the levels are chosen such that the chance of *any* false alarm is 5 %: those
of Wang and Tsiatis 1987 (Approximately optimal one-parameter boundaries for group sequential
trials, Biometrics 43) with Δ = 0.25, between the boundaries of Pocock and of O'Brien and Fleming.
They are taken over from the normal distribution to Student's t as nominal p (Jennison and Turnbull
2000, Group sequential methods, section 4.4).
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from sweep.analysis.confirm.paired_statistics import DECIMALS, least_p

Array = NDArray[np.float64]

LEVEL = 0.05
"""Chance that two equal configurations are ever told apart, over all looks together."""
FIRST_LOOK = 4
"""Fewest blocks before a look. The level of fewer lies below `least_p`, so none could be named."""
UP_TO_BLOCKS = 10
"""Planned blocks up to which `FIRST_LOOK` holds. Each time that they double it is one more."""
SHAPE = 0.25
"""Δ of Wang and Tsiatis."""
BORROWED = 2
"""Degrees of freedom that the variance of all pairs counts beside a pair's own, chosen by
``benchmarks/races.py``: more save trainings, and err where the leaders vary more than the rest."""
DRAWS = 40_000


def looks(blocks: int) -> list[int]:
    """Numbers of blocks after which a race is looked at: ``[4, 5, 10]`` of ten.

    Looks after every block would save a few trainings more, but share the error among so many that
    winners go unnamed which the table of all blocks names (``benchmarks/README.md``).

    Args:
        blocks: planned number of blocks, at least 2.
    """
    first = FIRST_LOOK + max(0, math.ceil(math.log2(blocks / UP_TO_BLOCKS)))
    found = [blocks]
    while found[0] > first:
        found.insert(0, max(first, -(-found[0] // 2)))
    return found


@lru_cache
def levels(blocks: int) -> tuple[float, ...]:
    """Two-sided level of the look after each block, ``2 Φ(−c (blocks / b)^(1/2 − Δ))``.

    c is simulated with a fixed seed: paired t-tests of two equal configurations fall below their
    levels at any look in `LEVEL` of all races. 0 where there is no look.

    Args:
        blocks: planned number of blocks.
    """
    from scipy.special import ndtr, ndtri, stdtr

    if blocks < 2:
        return (0.0,) * blocks
    count = np.arange(1, blocks + 1)
    is_look = np.isin(count, looks(blocks))
    widening = (blocks / count) ** (0.5 - SHAPE)
    rng, largest = np.random.default_rng(0), []
    for _ in range(10):
        steps = rng.standard_normal((DRAWS // 10, blocks))
        mean, square = (np.cumsum(s, axis=1) / count for s in (steps, steps**2))
        with np.errstate(divide="ignore", invalid="ignore"):  # of the first block
            t = mean * np.sqrt((count - 1) / np.maximum(square - mean**2, 1e-300))
            z = -ndtri(stdtr(count - 1, -np.abs(t)))
        largest.append((z / widening)[:, is_look].max(axis=1))
    critical = np.quantile(np.concatenate(largest), 1 - LEVEL)
    found = np.where(is_look, 2 * ndtr(-critical * widening), 0.0)
    return tuple(float(level) for level in found)


def pairwise_t(table: Array) -> tuple[Array, int]:
    """Paired t of every two configurations, with a variance that leans on that of all pairs.

        s²(i, j) = (d · mean of v + (n − 1) · v(i, j)) / (d + n − 1),   t = mean / √(s² / n)

    v(i, j) is the variance of the differences, d at most `BORROWED`: the shrinkage of Smyth 2004,
    Linear models and empirical Bayes methods, Stat. Appl. Genet. Mol. Biol. 3. Of two
    configurations it is Student's own paired t.

    Args:
        table: ``[units, configurations]``, without gaps, at least two of each.

    Returns:
        ``[i, j]``, positive where i is ahead of j, and the degrees of freedom. No difference is
        more certain than `least_p`, whatever its variance says.
    """
    from scipy.special import stdtrit

    units, count = table.shape
    differences = np.round(table[:, :, None] - table[:, None, :], DECIMALS)  # [units, i, j]
    mean, own = differences.mean(axis=0), differences.var(axis=0, ddof=1)
    borrowed = min(BORROWED, (units - 1) * (count - 2))
    pooled = own.sum() / (count * (count - 1))
    freedom = borrowed + units - 1
    error = np.sqrt((borrowed * pooled + (units - 1) * own) / freedom / units)
    t = np.divide(mean, error, out=np.copysign(math.inf, mean), where=error > 0)
    most = -float(stdtrit(freedom, least_p(units) / 2))
    return np.where(mean == 0, 0.0, np.clip(t, -most, most)), freedom


def two_sided(t: Array, freedom: int) -> Array:
    """p of Student's t."""
    from scipy.special import stdtr

    return np.asarray(2 * stdtr(freedom, -np.abs(t)))


def overtakes(t: Array, freedom: int, share: float) -> Array:
    """Chance that a configuration which is behind by this t is ahead when all blocks are trained.

    The difference over all blocks, given that over a share of them, is Student's t around it with
    ``√(1 − share)`` of its standard error: a sample without replacement.

    Args:
        t: how far it is behind.
        freedom: degrees of freedom of t.
        share: of the blocks that are trained, below 1.
    """
    from scipy.special import stdtr

    return np.asarray(stdtr(freedom, -t / math.sqrt(1 - share)))


def prospect(t: float, freedom: int, share: float, level: float) -> float:
    """Chance that a lead of this t is significant when all blocks are trained.

    Conditional power under the difference seen so far (Lan, Simon and Halperin 1982, Stochastically
    curtailed tests in long-term clinical trials, Comm. Statist. C 1).

    Args:
        t, freedom, share: as in `overtakes`; t of the lead.
        level: two-sided, of the last look.
    """
    from scipy.special import ndtri, stdtr

    ahead = t / math.sqrt(share) + float(ndtri(level / 2))
    return float(stdtr(freedom, ahead / math.sqrt((1 - share) / share)))
