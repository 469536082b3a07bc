"""Conditional parameters: ``when: {optimizer.name: sgd}`` beside a distribution.

    optimizer.momentum: {uniform: [0.8, 0.99], when: {optimizer.name: sgd}}

| in YAML                              | the parameter is drawn where                         |
|--------------------------------------|------------------------------------------------------|
| `when: {optimizer.name: sgd}`        | the other has this value                             |
| `when: {data.folds: [3, 5]}`         | it has one of these                                  |
| `when: {loss.sqrt_epsilon: {above: 0}}` | it is a number above this; `below` likewise, or both |

Several conditions must all hold. A condition on a parameter that is itself not drawn does not hold.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sweep.spec.words.phrases import did_you_mean, near_miss, quoted, shown
from sweep.vocabulary.record import ParameterValue

BETWEEN = ("above", "below")
"""Words for a condition on a number."""


@dataclass(frozen=True)
class Condition:
    """What another searched parameter must be.

    Args:
        on: its dotted name.
        values: it must be one of these; empty: any number between the bounds.
        above, below: it must be a number beyond these; None: no bound.
    """

    on: str
    values: tuple[ParameterValue, ...] = ()
    above: float | None = None
    below: float | None = None

    def holds(self, value: ParameterValue) -> bool:
        """Whether it holds for a value of the other parameter. 1 is 1.0, but not true."""
        if self.values:
            return any(is_same(one, value) for one in self.values)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        return (self.above is None or value > self.above) and (
            self.below is None or value < self.below
        )

    @property
    def written(self) -> Any:
        """Its form in the YAML, below the other's name; `parse_conditions` reads it back."""
        if self.values:
            lone = self.values[0]
            return lone if len(self.values) == 1 and not _is_list(lone) else list(self.values)
        bounds = zip(BETWEEN, (self.above, self.below), strict=True)
        return {word: bound for word, bound in bounds if bound is not None}

    @property
    def words(self) -> str:
        """As a user writes it: `when: {optimizer.name: sgd}`."""
        written = self.written
        if isinstance(written, dict):
            value = "{" + ", ".join(f"{word}: {bound:g}" for word, bound in written.items()) + "}"
        else:
            value = shown(written)
        return f"`when: {{{self.on}: {value}}}`"


class Conditions(tuple[Condition, ...]):
    """The conditions of one parameter, which must all hold."""

    __slots__ = ()

    def as_yaml(self) -> dict[str, Any]:
        """The form in the YAML; `parse_conditions` reads it back."""
        return {condition.on: condition.written for condition in self}


def parse_conditions(value: Any) -> Conditions:
    """The conditions of one parameter from what stands below its ``when``.

    Raises:
        ValueError: with what is wrong and what would be right.
    """
    if not isinstance(value, Mapping) or not value:
        raise ValueError(
            "`when` takes the values of other searched settings, such as "
            f"`when: {{optimizer.name: sgd}}`, but has {shown(value)}"
        )
    found, wrong = list[Condition](), list[str]()
    for on, wanted in value.items():
        try:
            found.append(_parse(str(on), wanted))
        except ValueError as error:
            wrong.append(str(error))
    if wrong:
        raise ValueError("; also ".join(wrong))
    return Conditions(found)


def is_same(one: ParameterValue, other: ParameterValue) -> bool:
    """Whether two values are written alike: 1 is 1.0, but neither is true or "1"."""
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def _parse(on: str, wanted: Any) -> Condition:
    where = f"`when` for {quoted(on)}"
    if isinstance(wanted, Mapping):
        return _between(on, wanted, where)
    values = wanted if isinstance(wanted, list | tuple) else [wanted]
    if not values:
        raise ValueError(f"{where} lists no value, so it never holds")
    values = [tuple(one) if _is_list(one) else one for one in values]
    for place, one in enumerate(values):
        if isinstance(one, dict) or (isinstance(one, float) and not math.isfinite(one)):
            raise ValueError(f"{where} takes a value or a list of values, but has {shown(one)}")
        if any(is_same(one, before) for before in values[:place]):
            raise ValueError(f"{where} lists {shown(one)} twice")
    return Condition(on, tuple(values))


def _between(on: str, wanted: Mapping[Any, Any], where: str) -> Condition:
    for word, bound in wanted.items():
        if word not in BETWEEN:
            meant = did_you_mean(near_miss(str(word), BETWEEN))
            raise ValueError(
                f"{where} takes a value, a list of values, or `above` and `below`, but has "
                f"{quoted(str(word))}{meant}"
            )
        if isinstance(bound, bool) or not isinstance(bound, int | float) or bound != bound:
            raise ValueError(f"{where}: `{word}` takes a number, but has {shown(bound)}")
    if not wanted:
        raise ValueError(f"{where} is empty; name a value, or `above` or `below`")
    return Condition(on, (), wanted.get("above"), wanted.get("below"))


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple)
