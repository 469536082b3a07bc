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
from itertools import combinations
from typing import Any

from sweep.spec.words.phrases import quoted, shown
from sweep.vocabulary.parameter_values import as_parameter, is_number
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
        return (
            is_number(value)
            and (self.above is None or value > self.above)
            and (self.below is None or value < self.below)
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
        value = shown(self.written)
        if not self.values:
            bounds = (f"{word}: {shown(bound)}" for word, bound in self.written.items())
            value = f"{{{', '.join(bounds)}}}"
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
    if isinstance(wanted, Mapping):
        are_known = bool(wanted) and wanted.keys() <= {*BETWEEN}
        bounds = wanted.values()
        is_right = are_known and all(is_number(one) and not math.isnan(one) for one in bounds)
        found = Condition(on, (), wanted.get("above"), wanted.get("below"))
    else:
        listed = wanted if _is_list(wanted) else [wanted]
        values = tuple(map(as_parameter, listed))
        repeated = any(is_same(*pair) for pair in combinations(values, 2))
        is_right = bool(values) and not repeated and all(map(_is_value, values))
        found = Condition(on, values)
    if not is_right:
        raise ValueError(
            f"`when` for {quoted(on)} takes a value, a list of different values, or numbers for "
            f"`above` and `below`, but has {shown(wanted)}"
        )
    return found


def _is_value(value: Any) -> bool:
    if isinstance(value, tuple):
        return all(map(_is_value, value))
    return not isinstance(value, dict) and not (
        isinstance(value, float) and not math.isfinite(value)
    )


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple)
