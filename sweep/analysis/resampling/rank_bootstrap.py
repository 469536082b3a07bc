"""How steady a ranking is if other cases had been drawn: a bootstrap over cases.

Wiesenfarth et al. 2021, Methods and open-source toolkit for analyzing and visualizing challenge
results, Sci. Rep. 11:2369 (challengeR): cases are drawn with replacement, as many as there are, and
trials are ranked by their means over each draw. Where cases are of one patient, patients are drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from sweep.analysis.confirm.paired_statistics import DECIMALS

DRAWS = 1000
"""Draws of all cases, as challengeR's default."""
LEVEL = 0.99
"""Share of the draws from which on a first place is called steady. Equal trials
reach it in at most 6 % of the samples of 20 cases or more where scores are like Dice, and in about
7 % where they are distances with missed structures (`benchmarks/rank_stability.py`)."""


@dataclass(frozen=True, eq=False)
class RankBootstrap:
    """Ranks of trials over draws of their cases, or of groups of cases.

    Args:
        scores: ``[cases, trials]``, higher is better, without gaps.
        draws, seed: of the bootstrap; the same seed gives the same numbers.
        groups: of each case; whole groups are drawn, as many as there are. None: cases are.
    """

    scores: NDArray[np.float64]
    draws: int = DRAWS
    seed: int = 0
    groups: Sequence[str] | None = None

    @cached_property
    def means(self) -> NDArray[np.float64]:
        """``[trials]``, over all cases, rounded so that equal means are equal."""
        means: NDArray[np.float64] = np.round(self.scores.mean(axis=0), DECIMALS)
        return means

    @cached_property
    def drawn(self) -> NDArray[np.float64]:
        """Means over the cases of each draw, ``[draws, trials]``."""
        sums, sizes = self.scores, np.ones(len(self.scores), dtype=np.int64)
        if self.groups is not None:
            _, place = np.unique(self.groups, return_inverse=True)
            sizes = np.bincount(place)
            sums = np.zeros((len(sizes), self.scores.shape[1]))
            np.add.at(sums, place, self.scores)
        units = len(sizes)
        rng = np.random.default_rng(self.seed)
        counts = rng.multinomial(units, np.full(units, 1 / units), size=self.draws)
        drawn: NDArray[np.float64] = counts @ sums / (counts @ sizes)[:, None]
        return drawn

    @cached_property
    def ranks(self) -> NDArray[np.int64]:
        """Rank of each trial in each draw from 1, ``[draws, trials]``. Equals share the best of
        their ranks."""
        return ranks(self.drawn)

    @cached_property
    def frequencies(self) -> NDArray[np.float64]:
        """Share of the draws in which a trial has a rank, ``[trials, ranks]``."""
        places = np.arange(1, self.scores.shape[1] + 1)
        shares: NDArray[np.float64] = (self.ranks[:, :, None] == places).mean(axis=0)
        return shares

    @cached_property
    def taus(self) -> NDArray[np.float64]:
        """Kendall's τ-b between the ranking of all cases and that of each draw, ``[draws]``.

        NaN where all trials are equal.
        """
        return kendall(self.means, self.drawn)

    def interval(self, trial: int) -> tuple[int, int]:
        """The ranks of a trial in 95 % of the draws."""
        low, high = np.quantile(self.ranks[:, trial], [0.025, 0.975], method="inverted_cdf")
        return int(low), int(high)


def ranks(scores: NDArray[np.float64]) -> NDArray[np.int64]:
    """Ranks from 1 along the last axis, the highest score first; equals share the best rank."""
    from scipy.stats import rankdata

    # Rounded, so that two equal trials are equal in each draw.
    found: NDArray[np.float64] = rankdata(-np.round(scores, DECIMALS), method="min", axis=-1)
    return found.astype(np.int64)


def kendall(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """Kendall's τ-b of two lists of scores; NaN where all scores of one are equal.

    As ``scipy.stats.kendalltau``, for many short lists at once.

    Args:
        one: ``[trials]``.
        other: ``[..., trials]``.

    Returns:
        ``[...]``.
    """
    first, second = np.triu_indices(len(one), k=1)
    signs, others = (
        np.sign(np.round(scores[..., first] - scores[..., second], DECIMALS))
        for scores in (one, other)
    )
    untied = np.abs(signs).sum() * np.abs(others).sum(axis=-1)  # pairs that are no ties
    with np.errstate(invalid="ignore"):
        found: NDArray[np.float64] = others @ signs / np.sqrt(untied)
    return found
