"""Priors read from the YAML, and draws from them.

    optimizer.lr: {loguniform: [1e-5, 1e-1], prior: 0.01}
    network.name: {choice: [unet, dynunet], prior: {value: dynunet, sure: high}}

On the scale of its distribution (of logarithms for ``loguniform``), 0 at the lower and 1 at the
upper bound, the prior of a number is a normal distribution around the likely value, cut off at the
bounds. Of listed values, the likely one is drawn with a fixed probability, else any of them.

A searcher's first trial has the likely values themselves. Each later one is drawn from the priors
with a probability that falls as 1 / n: a good prior is used while nothing better is known, and a
bad one costs few trials. Settings without a prior are left to the searcher in all of them.

Source of the mixture: PriorBand (Mallik et al., NeurIPS 2023). Source of a prior whose influence
falls with the number of trials: πBO (Hvarfner et al., ICLR 2022). Here the prior decides where to
look, not how the searcher judges: that needs nothing of a searcher but that it learns from trials
that it did not propose.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from random import Random
from typing import Any, get_args

from sweep.spec.space.distributions import (
    Distribution,
    Grid,
    Interval,
    Listed,
    LogUniform,
    QUniform,
    Uniform,
    WholeNumbers,
    between,
)
from sweep.spec.space.priors import Prior, Sureness
from sweep.spec.words.phrases import did_you_mean, must_be, near_miss, one_of, shown
from sweep.vocabulary.parameter_values import as_parameter, is_number
from sweep.vocabulary.record import ParameterValue

SPREAD: Mapping[Sureness, float] = {"low": 0.3, "medium": 0.15, "high": 0.05}
"""Standard deviation on the scale from 0 to 1."""
CHANCE: Mapping[Sureness, float] = {"low": 0.4, "medium": 0.6, "high": 0.8}
"""Probability of drawing the likely one of listed values before drawing any of them."""
KEYS = ("value", "sure")
SHARE = 0.5
"""Probability that one of the first trials is drawn from the priors."""
STEADY = 2
"""Trials after which that probability falls."""


def parse_prior(written: Any, distribution: Distribution) -> Prior:
    """A prior from its form in the YAML: the value alone, or ``{value: …, sure: …}``.

    Raises:
        ValueError: with what is wrong and what would be right.
    """
    if isinstance(distribution, Interval) and any(distribution.ends):
        raise ValueError("`prior` cannot stand beside a bound that is the name of a setting")
    if isinstance(distribution, Grid):
        raise ValueError("`grid` tries every value, so `prior` has no effect; use `choice`")
    if not isinstance(written, dict):
        written = {"value": written}
    for key in written:
        if key not in KEYS:
            hint = did_you_mean(near_miss(str(key), KEYS)) or "; it has `value` and `sure`"
            raise ValueError(f"`prior` has no {shown(key)}{hint}")
    if "value" not in written:
        raise ValueError("`prior` needs the likely value, such as `{value: 0.01, sure: high}`")
    sure = written.get("sure", Prior.sure)
    if sure not in get_args(Sureness):
        names = get_args(Sureness)
        raise ValueError(f"`prior`: `sure` {must_be(one_of(names), sure, names)}")
    return Prior(_likely(as_parameter(written["value"]), distribution), sure)


def draw(distribution: Distribution, rng: Random) -> ParameterValue:
    """One value from a distribution's prior."""
    prior = distribution.prior
    assert prior is not None
    if isinstance(distribution, Listed):
        likely = rng.random() < CHANCE[prior.sure]
        return prior.value if likely else distribution.sample(rng)
    assert isinstance(distribution, Interval)
    assert is_number(prior.value)
    middle, spread = _place(distribution, prior.value), SPREAD[prior.sure]
    place = rng.gauss(middle, spread)
    while not 0 <= place <= 1:  # at least half of the draws lie inside of one bound
        place = rng.gauss(middle, spread)
    return _value(distribution, place)


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


def _likely(value: ParameterValue, distribution: Distribution) -> ParameterValue:
    """The likely value as the distribution would draw it."""
    if not distribution.contains(value):
        raise ValueError(
            f"`prior` must be a value of {shown({distribution.name: distribution.arguments})}, "
            f"but is {shown(value)}"
        )
    if isinstance(distribution, QUniform | LogUniform | Uniform) and is_number(value):
        return float(value)
    return value


def _place(distribution: Interval, value: float) -> float:
    low, high = distribution.extent
    if low == high:
        return 0.0
    if distribution.is_log:
        return (math.log(value) - math.log(low)) / (math.log(high) - math.log(low))
    return value / (high - low) - low / (high - low)


def _value(distribution: Interval, place: float) -> ParameterValue:
    low, high = distribution.extent
    value = between(low, high, place, log=distribution.is_log)
    if isinstance(distribution, QUniform):
        return distribution.nearest(value)
    if isinstance(distribution, WholeNumbers):
        steps = round((value - low) / distribution.values.step)
        return distribution.values[min(steps, distribution.size - 1)]
    return value
