"""Which finalists are compared: those of which the fewest replicates diverged.

A diverged replicate has no score, and any number in its place would dominate the mean. Instead a
finalist ranks behind those of which fewer replicates diverged, whatever its mean over its other
replicates is. One exception: a finalist that reaches less than `WORTH` of the best mean gains
nothing by this rule, since a network that has learnt nothing diverges least of all.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

WORTH = 0.5
"""Share of the way from the worst score to the highest mean, below which a finalist gains nothing
by not having diverged."""


def least_divergences(means: Sequence[float], diverged: Sequence[int], worst: float | None) -> int:
    """Fewest diverged replicates of a finalist that is worth comparing.

    Args:
        means: of the scores of each finalist; NaN without any.
        diverged: number of its diverged replicates.
        worst: the worst score; None where there is none, and then every finalist is worth it.
    """
    best = max((mean for mean in means if not math.isnan(mean)), default=0.0)
    worth = -math.inf if worst is None else worst + WORTH * (best - worst)
    worthy = (n for mean, n in zip(means, diverged, strict=True) if mean >= worth)
    return min(worthy, default=0)


def first_by_divergence(
    means: Sequence[float], diverged: Sequence[int], worst: float | None
) -> list[int]:
    """Places of the finalists that are compared; arguments as of `least_divergences`."""
    least = least_divergences(means, diverged, worst)
    return [
        place
        for place, (mean, count) in enumerate(zip(means, diverged, strict=True))
        if not math.isnan(mean) and count <= least
    ]
