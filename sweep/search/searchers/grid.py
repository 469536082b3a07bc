"""Every combination, in order."""

from __future__ import annotations

import math
from collections.abc import Mapping

from sweep.spec.space.distributions import Distribution, Listed
from sweep.vocabulary.record import ParameterValue, TrialRecord


class GridSearch:
    """Walks the product of the parameters' values, the last declared parameter fastest.

    Args:
        space: `grid` or `choice` of each searched parameter under its dotted name.
        first: number of the trial that has the first combination.

    Raises:
        TypeError: a distribution lists no values.
    """

    def __init__(self, space: Mapping[str, Distribution], first: int = 0) -> None:
        self._values: dict[str, tuple[ParameterValue, ...]] = {}
        for name, distribution in space.items():
            if not isinstance(distribution, Listed):
                raise TypeError(f"a grid needs listed values, got {distribution!r} for {name}")
            self._values[name] = distribution.values
        self._first = first
        self._size = math.prod(map(len, self._values.values()))

    def ask(self, number: int) -> dict[str, ParameterValue] | None:
        """The combination of the trial with this number; None after the last."""
        place = number - self._first
        if place >= self._size:
            return None
        parameters: dict[str, ParameterValue] = {}
        for name, choices in reversed(self._values.items()):
            place, index = divmod(place, len(choices))
            parameters[name] = choices[index]
        return {name: parameters[name] for name in self._values}

    def tell(self, record: TrialRecord) -> None:
        """Results do not change the proposals."""

    def judge(self, number: int, rung: int, score: float) -> None:
        """Results do not change the proposals."""

    def learn(self, record: TrialRecord) -> None:
        """Results do not change the proposals."""
