"""Every combination, in order."""

from __future__ import annotations

import math
from collections.abc import Mapping

from sweep.record import ParameterValue, TrialRecord
from sweep.spec.space import Distribution, Listed


class GridSearch:
    """Walks the product of the parameters' values, the last declared parameter fastest.

    Args:
        space: `grid` or `choice` of each searched parameter under its dotted name.

    Raises:
        TypeError: a distribution lists no values.
    """

    def __init__(self, space: Mapping[str, Distribution]) -> None:
        self._values: dict[str, tuple[ParameterValue, ...]] = {}
        for name, distribution in space.items():
            if not isinstance(distribution, Listed):
                raise TypeError(f"a grid needs listed values, got {distribution!r} for {name}")
            self._values[name] = distribution.values
        self._size = math.prod(map(len, self._values.values()))

    def ask(self, number: int) -> dict[str, ParameterValue] | None:
        """The combination with this number, from 0; None after the last."""
        if number >= self._size:
            return None
        parameters: dict[str, ParameterValue] = {}
        for name, choices in reversed(self._values.items()):
            number, index = divmod(number, len(choices))
            parameters[name] = choices[index]
        return {name: parameters[name] for name in self._values}

    def tell(self, record: TrialRecord) -> None:
        """Results change nothing."""
