"""How probable it is that a trial diverges in a complete training, and how sure that is.

A trial that was pruned, stopped early or still trains says that it did not diverge *so far*. So
divergences are counted epoch by epoch among the trials that were still under observation, as in
survival analysis, and the chances of getting through each epoch are multiplied.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta

from sweep.analysis.report_words import percent

Floats = NDArray[np.float64]

PRIOR = 0.5
"""Jeffreys' prior of a proportion: Beta(½, ½), half a trial that diverges and half one that not."""
LEVEL = 0.9
"""Of the credible intervals."""
LEAST_EVIDENCE = 3
"""Trials' worth of evidence below which an estimate is little but the prior."""


@dataclass(frozen=True, slots=True)
class Exposure:
    """One trial under observation, in epochs since it was first at risk.

    Args:
        epochs: number of them that were observed; the one of a divergence is the last.
        whole: number of them in a complete training.
        diverged: whether that ended the observation.
    """

    epochs: int
    whole: int
    diverged: bool

    @property
    def is_cut_short(self) -> bool:
        """Whether it might have diverged later: nobody trained it to its end."""
        return not self.diverged and self.epochs < self.whole


@dataclass(frozen=True, slots=True)
class DivergenceRate:
    """The probability that a trial diverges in a complete training.

    Args:
        diverged, trials: counts of those that were at risk.
        cut_short: of the trials, those that were not observed to their end.
        observed, whole: epochs, all trials together; ``whole`` of a complete training of those
            that did not diverge.
        mean, interval: of the posterior; the interval is equal-tailed, of 90 %, and goes down to 0
            where nobody diverged and up to 1 where nobody was seen to come through.
        evidence: how many trials seen to their end would be as much evidence.
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
        """Whether ``mean`` is the prior's rather than the trials': only counts are shown."""
        return self.is_open or self.evidence < LEAST_EVIDENCE

    @property
    def is_open(self) -> bool:
        """Whether nobody diverged and nobody was seen to come through: the estimate is a guess."""
        return not self.diverged and self.cut_short == self.trials

    @property
    def words(self) -> str:
        """``3 of 8 (11 % to 65 %)``, with the estimate where it is not simply the share."""
        low, high = self.interval
        sentence = f", an estimated {percent(self.mean)}" if self.cut_short else ""
        if self.is_open:
            sentence = ", none seen to its end"
        return f"{self.diverged} of {self.trials}{sentence} ({percent(low)} to {percent(high)})"

    @property
    def under_the_pointer(self) -> str:
        """All that is known of a field."""
        low, high = self.interval
        share = "too few to tell how many" if self.is_guess else percent(self.mean)
        return (
            f"{share} diverge in a complete training ({percent(low)} to"
            f" {percent(high)})<br>{self.diverged} of {self.trials} at risk diverged,"
            f" {self.cut_short} were cut short<br>{self.observed} of {self.whole} epochs at risk"
            " were seen"
        )


def rate_of(exposures: Sequence[Exposure]) -> DivergenceRate:
    """The probability of divergence, from trials of which some were cut short.

    Kaplan and Meier's product with a prior. The time of a divergence has a Dirichlet prior: half a
    trial comes through, half a trial diverges, as likely in epochs 1 to 2 as in 10 to 20. It is
    conjugate under censoring (Susarla and Van Ryzin 1976; Walker and Muliere 1997, the beta-Stacy
    process): the hazard of epoch k is Beta(a + d, b + n − d) with d divergences among n trials at
    risk, a the prior's mass in that epoch and b its mass behind it. Where nobody is cut short, the
    posterior is Jeffreys' Beta(½ + diverged, ½ + others).

    Trials whose training is shorter are at risk for fewer epochs: the probability is the mean over
    the trials' own lengths. The interval is that of the Beta distribution with the posterior's
    mean and variance.
    """
    diverged = sum(one.diverged for one in exposures)
    mean, variance = _posterior(exposures)
    size = mean * (1 - mean) / variance - 1
    tail = (1 - LEVEL) / 2
    low, high = beta.ppf((tail, 1 - tail), mean * size, (1 - mean) * size)
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
        evidence=round(size - 2 * PRIOR, 6),  # of a Beta distribution the size counts the prior too
    )


def hazards(exposures: Sequence[Exposure]) -> tuple[Floats, Floats]:
    """Divergences in each epoch, and trials that were at risk in it, both ``[longest whole]``."""
    length = max((one.whole for one in exposures), default=1)
    observed = np.array([one.epochs for one in exposures], dtype=int)
    ends = np.bincount(observed, minlength=length + 1)  # [.., length + 1]
    at_risk = len(exposures) - np.cumsum(ends)[:length]
    deaths = np.array([one.epochs - 1 for one in exposures if one.diverged], dtype=int)
    return np.bincount(deaths, minlength=length).astype(float), at_risk.astype(float)


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
