"""The distributions of a search space in Optuna's terms, and their values both ways."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from sweep.spec.space.distributions import (
    Distribution,
    Listed,
    LogRandInt,
    LogUniform,
    QRandInt,
    QUniform,
    RandInt,
    Uniform,
)
from sweep.vocabulary.record import ParameterValue


@dataclass(frozen=True)
class Codec:
    """One searched parameter on both sides; ``encode(decode(x)) == x``, bit for bit.

    Args:
        distribution: Optuna's.
        encode: our value → Optuna's.
        decode: Optuna's value → ours.
    """

    distribution: BaseDistribution
    encode: Callable[[Any], Any] = lambda value: value
    decode: Callable[[Any], ParameterValue] = lambda value: value


def make_codec(distribution: Distribution) -> Codec:
    """A distribution in Optuna's terms; raises TypeError if Optuna has no counterpart of it."""
    match distribution:
        case Uniform(low, high):
            return Codec(FloatDistribution(low, high))
        case LogUniform(low, high):
            return Codec(FloatDistribution(low, high, log=True))
        case QUniform(low, q=q):  # in whole steps: sums of a float step depend on their order
            return Codec(
                IntDistribution(0, distribution.size - 1),
                encode=lambda value: round((value - low) / q),
                decode=lambda steps: distribution.nearest(low + steps * q),
            )
        case LogRandInt(low, high):  # before RandInt, its base class
            return Codec(IntDistribution(low, high - 1, log=True))
        case QRandInt(low, high, q):
            return Codec(IntDistribution(low, high, step=q))
        case RandInt(low, high):
            return Codec(IntDistribution(low, high - 1))
        case Listed(values):
            # By their Python text: for Optuna 0, 0.0 and False are the same choice.
            of_text = {repr(value): value for value in values}
            texts = CategoricalDistribution(tuple(of_text))
            return Codec(texts, encode=repr, decode=of_text.__getitem__)
        case _:
            raise TypeError(f"Optuna has no counterpart of {distribution!r}")


def suggest(trial: optuna.Trial, name: str, distribution: BaseDistribution) -> None:
    """Give the trial its value of a parameter; raises TypeError for an unused distribution."""
    match distribution:
        case FloatDistribution(low=low, high=high, log=log):
            trial.suggest_float(name, low, high, log=log)
        case IntDistribution(low=low, high=high, log=log, step=step):
            trial.suggest_int(name, low, high, log=log, step=step)
        case CategoricalDistribution(choices=choices):
            trial.suggest_categorical(name, choices)
        case _:
            raise TypeError(f"cannot suggest from {distribution!r}")
