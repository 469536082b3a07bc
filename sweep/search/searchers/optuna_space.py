"""The distributions of a search space as Optuna knows them, and their values both ways."""

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
    QUniform,
    RandInt,
    Uniform,
)
from sweep.vocabulary.record import ParameterValue


def _same(value: Any) -> Any:
    return value


@dataclass(frozen=True)
class Codec:
    """One searched parameter on both sides; ``encode(decode(x)) == x``, bit for bit.

    Args:
        distribution: Optuna's.
        encode: our value → Optuna's.
        decode: Optuna's value → ours.
    """

    distribution: BaseDistribution
    encode: Callable[[Any], Any] = _same
    decode: Callable[[Any], ParameterValue] = _same


def make_codec(distribution: Distribution) -> Codec:
    """How Optuna sees a distribution.

    Raises:
        TypeError: for a distribution that has no counterpart.
    """
    match distribution:
        case Uniform(low, high):
            return Codec(FloatDistribution(low, high))
        case LogUniform(low, high):
            return Codec(FloatDistribution(low, high, log=True))
        case QUniform():
            return _steps(distribution)
        case LogRandInt(low, high):  # before RandInt, which it is too
            return Codec(IntDistribution(low, high - 1, log=True))
        case RandInt(low, high):
            return Codec(IntDistribution(low, high - 1))
        case Listed(values):
            return _labels(values)
        case _:
            raise TypeError(f"Optuna has no counterpart of {distribution!r}")


def suggest(trial: optuna.Trial, name: str, distribution: BaseDistribution) -> None:
    """Give the trial its value of a parameter; raises TypeError for a kind that we do not use."""
    match distribution:
        case FloatDistribution(low=low, high=high, log=log):
            trial.suggest_float(name, low, high, log=log)
        case IntDistribution(low=low, high=high, log=log):
            trial.suggest_int(name, low, high, log=log)
        case CategoricalDistribution(choices=choices):
            trial.suggest_categorical(name, choices)
        case _:
            raise TypeError(f"cannot suggest from {distribution!r}")


def _steps(distribution: QUniform) -> Codec:
    """Counted in whole steps, since sums of a float step depend on who adds them up."""
    low, q = distribution.low, distribution.q
    return Codec(
        IntDistribution(0, distribution.size - 1),
        encode=lambda value: round((value - low) / q),
        decode=lambda steps: distribution.nearest(low + steps * q),
    )


def _labels(values: tuple[ParameterValue, ...]) -> Codec:
    """By their Python text, since Optuna takes 0, 0.0 and False for one and the same choice."""
    value_of = {repr(value): value for value in values}
    return Codec(CategoricalDistribution(tuple(value_of)), encode=repr, decode=value_of.__getitem__)
