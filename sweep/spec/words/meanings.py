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
"""Most values of a range with a step that are still listed."""
NOT_HAD = "cannot be had here"

Lattice = Literal["low", "inside", "rounded", "clipped"]
"""How the values of a range with a step lie.

low: from the lower bound on, as in Optuna. The others are multiples of the step. inside: those
between the bounds, as in Ray Tune. rounded: a draw is rounded to the nearest one, as in W&B and
Hyperopt. clipped: the rounded draw is then clipped to the bounds, as in NNI.
"""

Words = tuple[str | None, str | None]
"""The distribution as in the YAML, and what of it is not available: one of them, or neither."""


@dataclass(frozen=True, slots=True)
class Values:
    """Listed values.

    Args:
        weights: how likely each is; None: all the same.
    """

    values: Sequence[Any]
    weights: Any = None

    def in_words(self) -> Words:
        values, weights = self.values, self.weights
        flat = [x for one in values for x in (one if isinstance(one, list) else [one])]
        if not flat or any(isinstance(one, list | dict) for one in flat):
            return None, None
        if any(isinstance(one, float) and not math.isfinite(one) for one in flat):
            return None, None
        listed = written("choice", values)
        alike = isinstance(weights, list) and len(weights) == len(values) and len({*weights}) == 1
        if weights is None or alike:
            return listed, None
        return None, f"weights {NOT_HAD}: in `{listed}` each value is as likely as another"


@dataclass(frozen=True, slots=True)
class Range:
    """Numbers between two.

    Args:
        step: width of the lattice of possible values; None: no lattice.
        lattice: see `Lattice`.
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

    def in_words(self) -> Words:
        if not self.low < self.high or (self.log and self.low <= 0):
            return None, None
        if self.whole and not all(float(n).is_integer() for n in (self.low, self.high)):
            return None, None
        if self.step is None or (self.whole and self.step == 1):
            return self._without_step(), None
        return self._with_step(self.step) if self.step > 0 else (None, None)

    def _without_step(self) -> str:
        log = "log" * self.log
        if self.whole:
            return written(f"{log}randint", (int(self.low), int(self.high) + (not self.is_open)))
        return written(f"{log}uniform", (self.low, self.high))

    def _with_step(self, step: float) -> Words:
        on_lattice = all((exact(n) / exact(step)).denominator == 1 for n in (self.low, self.high))
        if on_lattice and not (self.whole or self.log or self.is_open):
            return written("quniform", (self.low, self.high, step)), None
        first, count = self._lattice(step)
        in_steps = self.whole and not self.log and self.lattice != "clipped"
        if in_steps and count > 1 and float(step).is_integer():
            last = first + (count - 1) * exact(step)
            return written("qrandint", map(int, (first, last, exact(step)))), None
        values = self._numbers(step)
        if not values:
            return None, None
        if len(values) <= MOST_LISTED:
            return written(
                "choice", (int(n) if n.denominator == 1 else float(n) for n in values)
            ), None
        without = replace(self, step=None)._without_step()
        return (
            None,
            f"a step of {float(exact(step)):g} {NOT_HAD}: take `{without}`, or a `choice` of fewer",
        )

    def _numbers(self, step: float) -> list[Fraction]:
        """The possible values of a range with a step, or more than `MOST_LISTED` of them."""
        first, count = self._lattice(step)
        numbers = [first + k * exact(step) for k in range(min(count, MOST_LISTED + 1))]
        if self.lattice == "clipped":
            low, high = exact(self.low), exact(self.high)
            numbers = list(dict.fromkeys(min(max(number, low), high) for number in numbers))
        return numbers

    def _lattice(self, step: float) -> tuple[Fraction, int]:
        """The smallest value on the lattice and how many there are, before any clipping."""
        low, high, width = exact(self.low), exact(self.high), exact(step)
        origin, half = Fraction(0), Fraction(1, 2)
        match self.lattice:
            case "low":
                origin, steps = low, (high - low) / width
                first, last = 0, math.ceil(steps) - 1 if self.is_open else math.floor(steps)
            case "inside":
                first, last = math.ceil(low / width), math.floor(high / width)
            case _:
                first, last = math.floor(low / width + half), math.ceil(high / width - half)
        return origin + first * width, last - first + 1


Meaning = Values | Range


def written(word: str, values: Iterable[Any]) -> str:
    """``{word: [a, b]}``."""
    return f"{{{word}: [{', '.join(map(_scalar, values))}]}}"


def exact(number: float) -> Fraction:
    """The decimal number that was written: 1/10 for 0.1."""
    return Fraction(str(number))


def _scalar(value: Any) -> str:
    if isinstance(value, str) and re.fullmatch(r"[A-Za-z_]\w*", value):
        return value
    return f"{value:g}" if isinstance(value, float) and math.isfinite(value) else shown(value)
