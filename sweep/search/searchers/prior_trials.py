"""Trials drawn from what the user thinks likely, mixed into any searcher's proposals.

The first trial of a searcher has the likely values themselves. Each later one is drawn from the
priors with a probability that falls as 1 / n: a good prior is used while nothing better is known,
and a bad one costs few trials. Settings without a prior are left to the searcher in all of them.

Source of the mixture and of starting at the mode: PriorBand (Mallik et al., NeurIPS 2023), section
4. Source of a prior whose influence falls with the number of trials: πBO (Hvarfner et al., ICLR
2022), equation 6. Here the prior decides where to look, not how the searcher judges: that needs
nothing of a searcher but that it learns from trials that it did not propose.
"""

from __future__ import annotations

from collections.abc import Mapping
from random import Random

from sweep.spec.space.distributions import Distribution
from sweep.spec.space.prior_draws import draw
from sweep.vocabulary.record import ParameterValue

SHARE = 0.5
"""Probability that one of the first trials is drawn from the priors."""
STEADY = 2
"""Trials after which that probability falls."""


class PriorTrials:
    """Which trials are drawn from the priors, and their values.

    A trial's draw depends only on the seed and the number of the trial.

    Args:
        space: distribution of each searched parameter under its dotted name.
        seed: of the searcher.
        first: number of the searcher's first own trial.
    """

    def __init__(self, space: Mapping[str, Distribution], seed: int, first: int) -> None:
        self._space = {name: kind for name, kind in space.items() if kind.prior is not None}
        self._seed = seed
        self._first = first

    def ask(self, number: int) -> dict[str, ParameterValue]:
        """The values of the settings with a prior; empty where the searcher proposes them."""
        place = number - self._first
        if place == 0:
            return {name: kind.prior.value for name, kind in self._space.items() if kind.prior}
        if Random(f"{self._seed}-{number}-prior").random() >= share(place):
            return {}
        return {
            name: draw(kind, Random(f"{self._seed}-{number}-{name}-prior"))
            for name, kind in self._space.items()
        }


def share(place: int) -> float:
    """Probability that the searcher's trial of this place, from 0, is drawn from the priors."""
    return SHARE * min(1.0, STEADY / max(place, 1))
