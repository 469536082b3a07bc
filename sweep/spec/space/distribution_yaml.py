"""A searched setting as the YAML has it: ``{randint: [0, 20]}`` to its distribution, and back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
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
    beside, rest = {}, value
    if isinstance(value, dict):
        beside = {key: below for key, below in value.items() if key in BESIDE}
        rest = {key: below for key, below in value.items() if key not in BESIDE}
    found, fields, wrong = None, dict[str, Any](), list[str]()
    try:
        found = _alone(rest, value)
    except ValueError as error:
        wrong.append(str(error))
    for key, below in beside.items():
        if found is None and key == "prior":  # unlike a condition, it needs the bounds
            continue
        try:
            fields[key] = BESIDE[key](below, found or ANY)
        except ValueError as error:
            wrong.append(str(error))
    if found is not None and not wrong:
        return replace(found, **fields)
    if wrong[1:] or found is not None:
        raise ValueError("; also ".join(wrong))
    raise ValueError(_with_proposal(wrong[0], rest))


def _alone(rest: Any, value: Any) -> Distribution:
    """A distribution without what stands beside it in ``value``."""
    if not isinstance(rest, dict):
        wrong = f"must be a distribution, such as `{{randint: [0, 20]}}`, but is {shown(rest)}"
        is_call = isinstance(rest, str) and "(" in rest
        if not (rest is None or isinstance(rest, list) or is_call):
            wrong += "; a value that all trials have stands outside of `space`"
        raise ValueError(wrong)
    if len(rest) != 1:
        hint = did_you_mean(next(filter(None, map(_beside_meant, rest)), None))
        raise ValueError(f"must be one distribution, but is {shown(value)}{hint}")
    [(word, arguments)] = rest.items()
    kind = DISTRIBUTIONS.get(SYNONYMS.get(word) or word)
    if kind is None:
        raise ValueError(_unknown_distribution(word, arguments))
    if not isinstance(arguments, list):
        raise ValueError(f"`{kind.name}` takes {kind.takes}, but has {shown(arguments)}")
    return parse_bounds(kind, arguments)


def _with_proposal(wrong: str, rest: Any) -> str:
    """What is wrong, with the line in our words, if it is one of another tool, as its hint."""
    keys = rest.keys() if isinstance(rest, dict) else set()
    if len(keys & DISTRIBUTIONS.keys()) > 1 or any(map(_beside_meant, keys)):
        return wrong
    proposed = in_our_words(rest)
    if proposed is None or proposed in wrong or not _is_right(proposed):
        return wrong
    return f"{wrong.partition('; ')[0]}; did you mean `{proposed}`?"


def _beside_meant(key: Any) -> str | None:
    """The key beside a distribution that a misspelt one means."""
    return None if key in BESIDE else near_miss(str(key), BESIDE, 0.65)


def _is_right(written: str) -> bool:
    try:
        written_out = YAML(typ="safe", pure=True).load(written)
        _alone(written_out, written_out)
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
