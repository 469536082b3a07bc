"""How often trials diverge, with an estimate that says how little few of them prove."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from scipy.stats import beta

from sweep.analysis.words import percent
from sweep.record import Status, TrialRecord

PRIOR = 0.5
"""Jeffreys' prior of a proportion: Beta(½, ½)."""
LEVEL = 0.9
"""Of the credible intervals."""


@dataclass(frozen=True, slots=True)
class Rate:
    """How often trials diverged in one region.

    Args:
        diverged, trials: counts.
    """

    diverged: int
    trials: int

    @property
    def mean(self) -> float:
        """Posterior mean of the probability of divergence: (k + ½) / (n + 1)."""
        return (self.diverged + PRIOR) / (self.trials + 2 * PRIOR)

    @property
    def interval(self) -> tuple[float, float]:
        """Equal-tailed credible interval of 90 %, up to 0 or 1 where none or all diverged."""
        a, b = self.diverged + PRIOR, self.trials - self.diverged + PRIOR
        tail = (1 - LEVEL) / 2
        low = 0.0 if self.diverged == 0 else float(beta.ppf(tail, a, b))
        high = 1.0 if self.diverged == self.trials else float(beta.ppf(1 - tail, a, b))
        return low, high

    @property
    def words(self) -> str:
        low, high = self.interval
        return f"{self.diverged} of {self.trials} ({percent(low)} to {percent(high)})"


def rate_of(records: Sequence[TrialRecord]) -> Rate:
    return Rate(sum(r.status is Status.DIVERGED for r in records), len(records))
