"""A searched setting as the YAML has it: ``{randint: [0, 20]}`` to its distribution, and back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Annotated, Any

from pydantic import PlainSerializer, PlainValidator
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from sweep.spec.space.conditions import parse_conditions
from sweep.spec.space.distributions import (
    Choice,
    Distribution,
    Grid,
    LogRandInt,
    LogUniform,
    QRandInt,
    QUniform,
    RandInt,
    Uniform,
)
from sweep.spec.space.links import parse_bounds
from sweep.spec.space.prior_draws import parse_prior
from sweep.spec.words.dialects import in_our_words
from sweep.spec.words.phrases import did_you_mean, near_miss, quoted, shown
from sweep.spec.words.synonyms import plain

DISTRIBUTIONS: Mapping[str, type[Distribution]] = {
    kind.name: kind
    for kind in (Uniform, LogUniform, QUniform, RandInt, QRandInt, LogRandInt, Choice, Grid)
}
SYNONYMS = {"grid_search": "grid", "categorical": "choice"}
"""Other words for the same distribution, understood as they are (Ray Tune, Optuna)."""
BESIDE: Mapping[str, Callable[[Any, Distribution], Any]] = {
    "when": lambda below, _: parse_conditions(below),
    "prior": parse_prior,
}
"""Keys that may stand beside a distribution's word, each a field of `Distribution`.

Each parses its field from what stands in the YAML and the distribution without it. It raises
ValueError with what would be right. A field's value has `as_yaml()`, unless it is empty.
"""
ANY = Uniform(0, 1)
"""Stands for a distribution that is wrong, where the distribution does not matter."""
NEAR_MISSES = {"int": "randint", "float": "uniform", "log_int": "lograndint"}
"""Words known from elsewhere whose meaning differs: proposed, not taken."""


def parse_distribution(value: Any) -> Distribution:
    """A distribution from its form in the YAML, such as ``{randint: [0, 20]}``.

    Raises:
        ValueError: with what is wrong and what would be right.
    """
    if isinstance(value, Distribution):
        return value
    try:
        return _parse(value)
    except _Several:
        raise
    except ValueError as error:
        several = isinstance(value, dict) and len(value.keys() & DISTRIBUTIONS.keys()) > 1
        proposed = None if several or _is_wrong_beside(value) else in_our_words(value)
        # The proposal replaces the hint.
        wrong = str(error).partition("; ")[0]
        if proposed is None or not _is_right(proposed) or proposed in str(error):
            raise
        raise ValueError(f"{wrong}; did you mean `{proposed}`?") from None


def _parse(value: Any) -> Distribution:
    if not isinstance(value, dict):
        wrong = f"must be a distribution, such as `{{randint: [0, 20]}}`, but is {shown(value)}"
        is_call = isinstance(value, str) and "(" in value
        if not (value is None or isinstance(value, list) or is_call):
            wrong += "; a value that all trials have stands outside of `space`"
        raise ValueError(wrong)
    beside = {key: below for key, below in value.items() if key in BESIDE}
    rest = {key: below for key, below in value.items() if key not in BESIDE}
    if len(rest) != 1:
        hint = did_you_mean(next(filter(None, map(_beside_meant, rest)), None))
        raise ValueError(f"must be one distribution, but is {shown(value)}{hint}")
    [(word, arguments)] = rest.items()
    kind = DISTRIBUTIONS.get(SYNONYMS.get(word) or word)
    if kind is None:
        raise ValueError(_unknown_distribution(word, arguments))
    return _with(partial(_alone, kind, arguments), beside)


def _alone(kind: type[Distribution], arguments: Any) -> Distribution:
    if not isinstance(arguments, list):
        raise ValueError(f"`{kind.name}` takes {kind.takes}, but has {shown(arguments)}")
    return parse_bounds(kind, arguments)


class _Several(ValueError):
    """Several things are wrong with one searched setting: a hint for one would hide the others."""


def _with(parse: Callable[[], Distribution], beside: Mapping[str, Any]) -> Distribution:
    """A distribution with what stands beside it; tells all that is wrong with both at once."""
    wrong, fields = list[str](), dict[str, Any]()
    # A prior cannot be judged without its bounds. A condition can.
    found: Distribution | None = None
    try:
        found = parse()
    except ValueError as error:
        wrong.append(str(error))
    for key, below in beside.items():
        if found is None and key == "prior":
            continue
        try:
            fields[key] = BESIDE[key](below, found or ANY)
        except ValueError as error:
            wrong.append(str(error))
    if wrong[1:]:
        raise _Several("; also ".join(wrong))
    if wrong or found is None:
        raise ValueError(*wrong)
    return replace(found, **fields)


def _is_wrong_beside(value: Any) -> bool:
    """Whether only what stands beside the distribution's word is wrong, so that that is said."""
    if not isinstance(value, dict):
        return False
    alone = {key: below for key, below in value.items() if key not in BESIDE}
    if any(map(_beside_meant, alone)):
        return True
    try:
        return len(alone) < len(value) and _parse(alone) is not None
    except ValueError:
        return False


def _beside_meant(key: Any) -> str | None:
    """The key beside a distribution that a misspelt one means."""
    return None if key in BESIDE else near_miss(str(key), BESIDE, 0.65)


def _is_right(written: str) -> bool:
    try:
        _parse(YAML(typ="safe", pure=True).load(written))
    except (ValueError, YAMLError):
        return False
    return True


def _unknown_distribution(word: str, arguments: Any) -> str:
    name = quoted(str(word))
    if plain(str(word)) in ("value", "fixed", "constant"):
        return f"{name} is not a distribution: a value of all trials stands outside of `space`"
    if "." in str(word) and not isinstance(arguments, dict):
        return (
            f"{name} is not a distribution; `when` and `prior` stand beside one, such as "
            "`optimizer.momentum: {uniform: [0.8, 0.99], when: {optimizer.name: sgd}}`"
        )
    if isinstance(arguments, dict):
        return (
            f"{name} is not a distribution; the settings of a group are searched by their "
            "dotted names, such as `loss.warmup_epochs: {randint: [0, 20]}`"
        )
    meant = NEAR_MISSES.get(word) or near_miss(str(word), DISTRIBUTIONS)
    hint = did_you_mean(meant) or f"; there are {', '.join(f'`{name}`' for name in DISTRIBUTIONS)}"
    return f"{name} is not a distribution{hint}"


def as_yaml(distribution: Distribution) -> dict[str, Any]:
    """The form in the YAML; `parse_distribution` reads it back."""
    beside = {key: getattr(distribution, key) for key in BESIDE}
    written = {key: field.as_yaml() for key, field in beside.items() if field}
    return {distribution.name: distribution.arguments, **written}


Searched = Annotated[Distribution, PlainValidator(parse_distribution), PlainSerializer(as_yaml)]
