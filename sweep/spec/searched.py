"""A searched setting as the YAML has it: ``{randint: [0, 20]}`` to its distribution, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import PlainSerializer, PlainValidator

from sweep.record import ParameterValue
from sweep.spec.space import (
    Choice,
    Distribution,
    Grid,
    LogRandInt,
    LogUniform,
    QUniform,
    RandInt,
    Uniform,
)
from sweep.spec.wording import did_you_mean, near_miss, quoted, shown

DISTRIBUTIONS: Mapping[str, type[Distribution]] = {
    kind.name: kind for kind in (Uniform, LogUniform, QUniform, RandInt, LogRandInt, Choice, Grid)
}
SYNONYMS = {"grid_search": "grid", "categorical": "choice"}
"""Other words for the same distribution, understood as they are (Ray Tune, Optuna)."""
NEAR_MISSES = {"int": "randint", "float": "uniform", "log_int": "lograndint"}
"""Words known from elsewhere whose meaning differs: proposed, not taken."""


def parse_distribution(value: Any) -> Distribution:
    """A distribution from its form in the YAML, such as ``{randint: [0, 20]}``.

    Raises:
        ValueError: with what is wrong and what would be right.
    """
    if isinstance(value, Distribution):
        return value
    if not isinstance(value, dict):
        instead = f"{{choice: {shown(value)}}}" if isinstance(value, list) else "{randint: [0, 20]}"
        raise ValueError(f"must be a distribution, such as `{instead}`, but is {shown(value)}")
    if len(value) != 1:
        raise ValueError(f"must be one distribution, but is {shown(value)}")
    [(word, arguments)] = value.items()
    kind = DISTRIBUTIONS.get(SYNONYMS.get(word) or word)
    if kind is None:
        raise ValueError(_unknown_distribution(word, arguments))
    if not isinstance(arguments, list):
        raise ValueError(f"`{kind.name}` takes {kind.takes}, but has {shown(arguments)}")
    return kind.parse(arguments)


def _unknown_distribution(word: str, arguments: Any) -> str:
    if isinstance(arguments, dict):
        return (
            f"{quoted(word)} is not a distribution; the settings of a group are searched by their "
            "dotted names, such as `loss.warmup_epochs: {randint: [0, 20]}`"
        )
    meant = NEAR_MISSES.get(word) or near_miss(word, DISTRIBUTIONS)
    hint = did_you_mean(meant) or f"; there are {', '.join(f'`{name}`' for name in DISTRIBUTIONS)}"
    return f"{quoted(word)} is not a distribution{hint}"


def as_yaml(distribution: Distribution) -> dict[str, list[ParameterValue]]:
    """The form in the YAML; `parse_distribution` reads it back."""
    return {distribution.name: distribution.arguments}


Searched = Annotated[Distribution, PlainValidator(parse_distribution), PlainSerializer(as_yaml)]
