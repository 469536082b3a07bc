"""The probability that a trial diverges in a complete training, with its interval.

A trial that was pruned, stopped early or still trains shows only that it has not diverged *so far*.
So divergences are counted epoch by epoch among the trials that were still under observation, as in
survival analysis. The chances of surviving each epoch are multiplied.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sweep.analysis.report_words import percent

Floats = NDArray[np.float64]

PRIOR = 0.5
"""Jeffreys' prior of a proportion, Beta(½, ½): half a trial that diverges and half one that does
not."""
LEVEL = 0.9
"""Probability that a credible interval holds."""
LEAST_EVIDENCE = 3
"""Trials' worth of evidence below which the prior dominates an estimate."""


@dataclass(frozen=True, slots=True)
class Exposure:
    """One trial under observation, in epochs since it was first at risk.

    Args:
        epochs: number of observed epochs; a divergence is in the last of them.
        whole: number of epochs of a complete training.
        diverged: whether a divergence ended the observation.
    """

    epochs: int
    whole: int
    diverged: bool

    @property
    def is_cut_short(self) -> bool:
        """Whether it might have diverged later: it was not trained to its end."""
        return not self.diverged and self.epochs < self.whole


@dataclass(frozen=True, slots=True)
class DivergenceRate:
    """The probability that a trial diverges in a complete training.

    Args:
        diverged: number of trials at risk that diverged.
        trials: number of trials at risk.
        cut_short: number of trials that were not observed to their end.
        observed: epochs observed, summed over the trials.
        whole: the same if each trial without a divergence had been trained to its end.
        mean: of the posterior.
        interval: 90 % of the posterior, equal-tailed. Its lower end is 0 where no trial diverged,
            its upper end 1 where no trial completed.
        evidence: number of trials observed to their end that would be as much evidence.
    """

    diverged: int
    trials: int
    cut_short: int
    observed: int
    whole: int
    mean: float
    interval: tuple[float, float]
    evidence: float

    @property
    def is_guess(self) -> bool:
        """Whether the prior dominates ``mean``: then only counts are shown."""
        return self.is_open or self.evidence < LEAST_EVIDENCE

    @property
    def is_open(self) -> bool:
        """Whether no trial diverged and none completed: the trials say nothing."""
        return not self.diverged and self.cut_short == self.trials

    @property
    def words(self) -> str:
        """``3 of 8 (11 % to 65 %)``, with the estimate where trials were cut short."""
        estimate = f", an estimated {percent(self.mean)}" if self.cut_short else ""
        if self.is_open:
            estimate = ", none observed to its end"
        return f"{self.diverged} of {self.trials}{estimate} ({self.interval_words})"

    @property
    def interval_words(self) -> str:
        """``11 % to 65 %``."""
        return " to ".join(map(percent, self.interval))


def rate_of(exposures: Sequence[Exposure], among: int = 1) -> DivergenceRate:
    """The probability of divergence, from trials of which some were cut short.

    Kaplan and Meier's product with a prior. The epoch of a divergence has a Dirichlet prior: half a
    trial survives, half a trial diverges, as likely in epochs 1 to 2 as in 10 to 20. It is
    conjugate under censoring (Susarla and Van Ryzin 1976; Walker and Muliere 1997, the beta-Stacy
    process): the hazard of epoch k is Beta(a + d, b + n − d) with d divergences among n trials at
    risk, a the prior's mass in that epoch and b its mass after it. Where no trial is cut short, the
    posterior is Jeffreys' Beta(½ + diverged, ½ + others).

    Trials whose training is shorter are at risk for fewer epochs: the probability is the mean over
    the trials' own lengths. The interval is that of the Beta distribution with the posterior's
    mean and variance.

    Args:
        exposures: of the trials at risk.
        among: number of such rates of which this one is picked, as the highest or the lowest. All
            their intervals together then hold with `LEVEL` (Bonferroni); one that is picked by its
            estimate would else hold less often than it says.
    """
    from scipy.special import betaincinv

    diverged = sum(one.diverged for one in exposures)
    mean, variance = _posterior(exposures)
    size = mean * (1 - mean) / variance - 1
    tail = (1 - LEVEL) / 2 / among
    low, high = betaincinv(mean * size, (1 - mean) * size, (tail, 1 - tail))
    cut_short = sum(one.is_cut_short for one in exposures)
    return DivergenceRate(
        diverged=diverged,
        trials=len(exposures),
        cut_short=cut_short,
        observed=sum(one.epochs for one in exposures),
        whole=sum(one.epochs if one.diverged else one.whole for one in exposures),
        mean=mean,
        interval=(
            float(low) if diverged else 0.0,
            float(high) if diverged + cut_short < len(exposures) else 1.0,
        ),
        evidence=round(size - 2 * PRIOR, 6),  # a Beta distribution's size includes the prior
    )


def hazards(exposures: Sequence[Exposure]) -> tuple[Floats, Floats]:
    """Divergences and trials at risk in each epoch, both ``[epochs of the longest training]``."""
    length = max((one.whole for one in exposures), default=1)
    observed = np.array([one.epochs for one in exposures], dtype=int)
    ends = np.bincount(observed, minlength=length + 1)  # [.., length + 1]
    at_risk = len(exposures) - np.cumsum(ends)[:length]
    last = np.array([one.epochs - 1 for one in exposures if one.diverged], dtype=int)
    return np.bincount(last, minlength=length).astype(float), at_risk.astype(float)


def _posterior(exposures: Sequence[Exposure]) -> tuple[float, float]:
    """Mean and variance of the probability of divergence."""
    diverged, at_risk = hazards(exposures)
    length = len(diverged)
    steps = np.log1p(1 / np.arange(1, length + 1))
    mass = PRIOR * steps / steps.sum()
    behind = PRIOR + mass.sum() - np.cumsum(mass)
    a, b = mass + diverged, behind + at_risk - diverged
    first = np.cumprod(b / (a + b))  # E[S] after each epoch
    second = np.cumprod(b * (b + 1) / ((a + b) * (a + b + 1)))  # E[S²]
    ends = np.array([one.whole for one in exposures], dtype=int) - 1
    places, counts = np.unique(ends if len(ends) else [length - 1], return_counts=True)
    share = counts / counts.sum()
    survival = float(share @ first[places])
    # E[S(s) S(t)] = E[S(s)²] E[S(t)] / E[S(s)] for s <= t: hazards are independent.
    early, late = np.minimum.outer(places, places), np.maximum.outer(places, places)
    products = second[early] * first[late] / first[early]
    return 1 - survival, float(share @ products @ share) - survival**2
