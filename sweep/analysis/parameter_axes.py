"""A searched parameter as an axis of a figure: where a value lies, its ticks, its cells."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeGuard

from sweep.spec.space.distributions import (
    Distribution,
    Listed,
    LogRandInt,
    LogUniform,
    QRandInt,
    WholeNumbers,
)
from sweep.spec.space.replayed_settings import candidate_values
from sweep.spec.words.short_names import rounded, words
from sweep.vocabulary.parameter_values import is_number
from sweep.vocabulary.record import ParameterValue

MARGIN = 0.05
MOST_CATEGORIES = 8
"""Listed values that get a cell each; of more, neighbours share one."""
MOST_POWERS = 5
"""Ticks of a logarithmic axis: ``1e-6`` and ``1e-5`` touch in the panel of a phone."""

Ticks = list[tuple[float, str]]
"""Place and text of each tick of an axis."""


@dataclass(frozen=True, slots=True)
class Cells:
    """An axis in cells: cell ``n`` covers the places from ``n - 0.5`` to ``n + 0.5``.

    Args:
        axis: what is cut.
        labels: of the cells, in order.
        edges: their lower ends as positions on the axis, and the upper end of the last.
    """

    axis: Axis
    labels: tuple[str, ...]
    edges: tuple[float, ...]

    @property
    def ticks(self) -> Ticks:
        """The bounds of cells that cut a continuum, the content of others."""
        if is_continuum(self.axis):
            return [(n - 0.5, rounded(self.axis.value(e), 2)) for n, e in enumerate(self.edges)]
        return [(float(cell), label) for cell, label in enumerate(self.labels)]

    def index(self, value: ParameterValue) -> int:
        """Number of the cell that holds ``value``."""
        return bisect_right(self.edges[1:-1], self.axis.position(value))

    def place(self, value: ParameterValue) -> float:
        """Where ``value`` lies in units of cells."""
        cell, position = self.index(value), self.axis.position(value)
        low, high = self.edges[cell], self.edges[cell + 1]
        return cell - 0.5 + min(max((position - low) / (high - low), 0.0), 1.0)


@dataclass(frozen=True, slots=True)
class Categories:
    """Listed values, evenly spaced; numbers ascending, then all else in the order given."""

    name: str
    values: Sequence[ParameterValue]
    span = (0.0, 1.0)

    @property
    def ticks(self) -> Ticks:
        return [(self.position(value), words(value)) for value in self.values]

    def position(self, value: ParameterValue) -> float:
        texts = [repr(known) for known in self.values]  # 0, 0.0 and False are three values
        return (texts.index(repr(value)) + 0.5) / len(texts)

    def cells(self, most: int) -> Cells:
        count = len(self.values)
        cells = count if count <= MOST_CATEGORIES else min(most, count)
        starts = [round(n * count / cells) for n in range(cells + 1)]
        groups = [self.values[a:b] for a, b in pairwise(starts)]
        labels = tuple(_range_words(words(group[0]), words(group[-1])) for group in groups)
        return Cells(self, labels, tuple(start / count for start in starts))


@dataclass(frozen=True, slots=True)
class Scale:
    """Numbers between two bounds, evenly or by their logarithm.

    Args:
        name: dotted name of the parameter.
        low, high: ends of the axis.
        log: whether orders of magnitude are evenly spaced.
        whole: whether the values are whole numbers.
    """

    name: str
    low: float
    high: float
    log: bool = False
    whole: bool = False
    span = (-MARGIN, 1.0 + MARGIN)
    """Positions between which everything lies, with a margin."""

    @property
    def ticks(self) -> Ticks:
        if self.log:
            first, last = math.ceil(self._map(self.low)), math.floor(self._map(self.high))
            step = max(1, -(-(last - first) // (MOST_POWERS - 1)))
            values = [float(10.0**exponent) for exponent in range(first, last + 1, step)]
        else:
            values = round_numbers(self.low, self.high, self.whole)
        if len(values) < 2:
            values = [self.value(n / 4) for n in range(5)]
        found = {words(value): self.position(value) for value in values}
        return [(position, text) for text, position in found.items()]

    def position(self, value: ParameterValue) -> float:
        """In [0, 1]."""
        assert is_number(value)
        low, high = self._map(self.low), self._map(self.high)
        return (self._map(value) - low) / (high - low)

    def value(self, position: float) -> float:
        """What lies at a position."""
        value = self._between(position)
        return round(value) if self.whole else value

    def cells(self, most: int) -> Cells:
        """The axis cut into ``most`` cells, or fewer where there are fewer whole numbers."""
        count = max(1, min(most, int(self.high - self.low) + 1)) if self.whole else most
        edges = [n / count for n in range(count + 1)]
        if self.whole and not self.log:  # each whole number in the middle of its share
            span = self.high - self.low
            edges = [(n * (span + 1) / count - 0.5) / span for n in range(count + 1)]
        labels = [self._cell_words(a, b) for a, b in pairwise(edges)]
        return Cells(self, tuple(labels), tuple(edges))

    def _map(self, value: float) -> float:
        return math.log10(value) if self.log else float(value)

    def _between(self, position: float) -> float:
        low, high = self._map(self.low), self._map(self.high)
        value = low + position * (high - low)
        return float(10**value) if self.log else value

    def _cell_words(self, low: float, high: float) -> str:
        if not self.whole:
            return _range_words(rounded(self.value(low), 2), rounded(self.value(high), 2))
        first = max(math.ceil(self._between(low)), int(self.low))
        last = int(self.high) if high >= 1 else math.ceil(self._between(high)) - 1
        return _range_words(str(first), str(last)) if first <= last else "–"


Axis = Categories | Scale
"""Where the values of one parameter lie, those of its space."""


def make_axis(name: str, distribution: Distribution) -> Axis:
    """The axis of a searched parameter."""
    few = isinstance(distribution, QRandInt) and distribution.size <= MOST_CATEGORIES
    if few or isinstance(distribution, Listed):  # no cell for the numbers between two steps
        return Categories(name, candidate_values(distribution))
    low, high = distribution.extent or (0.0, 1.0)
    return Scale(
        name,
        low,
        high if high > low else low + 1,  # one whole number: randint [3, 4]
        log=isinstance(distribution, LogUniform | LogRandInt),
        whole=isinstance(distribution, WholeNumbers),
    )


def is_continuum(axis: Axis) -> TypeGuard[Scale]:
    """Whether there is always a value between two others."""
    return isinstance(axis, Scale) and not axis.whole


def round_numbers(low: float, high: float, whole: bool = False) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten between two bounds: 3 to 8 of them.

    All whole numbers, where they are few.
    """
    if not low < high:
        return [low]
    widest = (high - low) / 3 * (1 + 1e-9)  # 0.3 / 3 is less than 0.1, its logarithm is not
    step = 10.0 ** math.floor(math.log10(widest))
    step *= max(factor for factor in (1, 2, 5) if factor * step <= widest)
    if whole:
        step = 1.0 if high - low <= MOST_CATEGORIES else max(1.0, step)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [float(f"{n * step:.12g}") for n in range(first, last + 1)]


def even_ticks(low: float, high: float) -> Ticks:
    """Ticks at round numbers between two bounds, all texts with equally many decimals."""
    numbers = round_numbers(low, high)
    decimals = max((len(f"{number:g}".partition(".")[2]) for number in numbers), default=0)
    return [(number, f"{number:.{decimals}f}") for number in numbers]


def _range_words(low: str, high: str) -> str:
    return low if low == high else f"{low} – {high}"
