"""What a distribution of another tool draws, and the same in the words of this package."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, Literal

from sweep.spec.words.phrases import shown

MOST_LISTED = 24
"""Values of a range with a step that are still listed."""
NOT_HAD = "cannot be had here"


Lattice = Literal["low", "inside", "rounded", "clipped"]
"""low: from the lower bound on, as in Optuna. Else the multiples of the step: those between the
bounds, as in Ray Tune; to which what is drawn is rounded, as in W&B and Hyperopt; and which is then
brought back between the bounds, as in NNI."""


@dataclass(frozen=True, slots=True)
class Values:
    """Listed values.

    Args:
        weights: how likely each is; None: all the same.
    """

    values: Sequence[Any]
    weights: Any = None


@dataclass(frozen=True, slots=True)
class Range:
    """Numbers between two.

    Args:
        step: what is drawn lies on a lattice of this width; None: on none.
        lattice: how (see `Lattice`).
        whole: only whole numbers are drawn.
        log: evenly over the orders of magnitude.
        is_open: ``high`` itself is never drawn.
    """

    low: float
    high: float
    step: float | None = None
    lattice: Lattice = "low"
    whole: bool = False
    log: bool = False
    is_open: bool = False

    def numbers(self) -> list[Fraction]:
        """The numbers that can be drawn of a range with a step, as many as can be listed."""
        low, high, step = (_exact(number) for number in (self.low, self.high, self.step or 1))
        if self.lattice == "low":
            count = min(int((high - low) / step), MOST_LISTED + 1) + 1
            found = [low + k * step for k in range(count)]
            return [n for n in found if n < high or not self.is_open]
        first, last = math.floor(low / step + _HALF), math.ceil(high / step - _HALF)
        if self.lattice == "inside":
            first, last = math.ceil(low / step), math.floor(high / step)
        found = [k * step for k in range(first, min(last, first + MOST_LISTED + 1) + 1)]
        if self.lattice != "clipped":
            return found
        below, above = [low] * (first * step < low), [high] * (last * step > high)
        return [*below, *(n for n in found if low <= n <= high), *above]


_HALF = Fraction(1, 2)
Meaning = Values | Range


def in_words(meaning: Meaning) -> tuple[str | None, str | None]:
    """The distribution as in the YAML, and what of it cannot be had: one of them, or neither."""
    if isinstance(meaning, Values):
        return _of_values(meaning)
    if not meaning.low < meaning.high or (meaning.log and meaning.low <= 0):
        return None, None
    if meaning.whole and not all(float(n).is_integer() for n in (meaning.low, meaning.high)):
        return None, None
    if meaning.step is None or (meaning.whole and meaning.step == 1):
        return _without_step(meaning), None
    return _with_step(meaning) if meaning.step > 0 else (None, None)


def written(word: str, values: Iterable[Any]) -> str:
    """``{word: [a, b]}``."""
    return f"{{{word}: [{', '.join(_scalar(one) or shown(one) for one in values)}]}}"


def _of_values(meaning: Values) -> tuple[str | None, str | None]:
    values = meaning.values
    if not values or any(isinstance(one, list | dict) or one != one for one in values):
        return None, None
    listed, weights = written("choice", values), meaning.weights
    alike = isinstance(weights, list) and len(weights) == len(values) and len({*weights}) == 1
    if weights is None or alike:
        return listed, None
    return None, f"weights {NOT_HAD}: in `{listed}` each value is as likely as another"


def _without_step(meaning: Range) -> str:
    if meaning.whole:
        bounds = int(meaning.low), int(meaning.high) + (not meaning.is_open)
        return written("lograndint" if meaning.log else "randint", bounds)
    return written("loguniform" if meaning.log else "uniform", (meaning.low, meaning.high))


def _with_step(meaning: Range) -> tuple[str | None, str | None]:
    low, high, step = (_exact(number) for number in (meaning.low, meaning.high, meaning.step or 1))
    on_lattice = all((bound / step).denominator == 1 for bound in (low, high))
    if on_lattice and not (meaning.whole or meaning.log or meaning.is_open):
        return written("quniform", (meaning.low, meaning.high, meaning.step)), None
    values = meaning.numbers()
    if not values:
        return None, None
    if len(values) <= MOST_LISTED:
        return written("choice", map(_number, values)), None
    without = _without_step(replace(meaning, step=None))
    return None, f"a step of {float(step):g} {NOT_HAD}: take `{without}`, or a `choice` of fewer"


def _number(value: Fraction) -> float:
    return int(value) if value.denominator == 1 else float(value)


def _exact(number: float) -> Fraction:
    """The decimal number that was written: 1/10 for 0.1."""
    return Fraction(str(number))


def _scalar(value: Any) -> str | None:
    if isinstance(value, str) and re.fullmatch(r"[A-Za-z_]\w*", value):
        return value
    return f"{value:g}" if isinstance(value, float) and math.isfinite(value) else None
