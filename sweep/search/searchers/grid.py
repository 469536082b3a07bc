"""Every combination, in order."""

from __future__ import annotations

from collections.abc import Mapping

from sweep.search.searchers.random_search import LearnsNothing, RandomSearch
from sweep.spec.space.distributions import Distribution, Listed
from sweep.spec.space.linked_space import blocks
from sweep.vocabulary.record import ParameterValue, TrialRecord


class GridSearch(LearnsNothing):
    """Walks the product of the parameters' values, the last declared parameter fastest.

    With conditions, every distinct combination comes once; the parameters that others depend on
    change slowest.

    Args:
        space: `grid` or `choice` of each searched parameter under its dotted name.
        first: number of the trial that has the first combination.

    Raises:
        TypeError: a distribution lists no values.
    """

    def __init__(self, space: Mapping[str, Distribution], first: int = 0) -> None:
        for name, distribution in space.items():
            if not isinstance(distribution, Listed):
                raise TypeError(f"a grid needs listed values, got {distribution!r} for {name}")
        self._space = space
        self._first = first
        self._enqueued: set[int] = set()
        self._blocks = list(blocks(space))

    def ask(self, number: int) -> dict[str, ParameterValue] | None:
        """The combination of the trial with this number; None after the last."""
        place = number - self._first - sum(other < number for other in self._enqueued)
        for block in self._blocks:
            if place < block.size:
                parameters = block.combination(place)
                return {name: parameters[name] for name in self._space if name in parameters}
            place -= block.size
        return None

    def complete(
        self, number: int, given: Mapping[str, ParameterValue]
    ) -> dict[str, ParameterValue]:
        """The missing values at random: an enqueued trial takes no combination from the grid."""
        self._enqueued.add(number)
        return RandomSearch(self._space, seed=0).complete(number, given)

    def tell(self, record: TrialRecord) -> None:
        """Results do not change the proposals, but an enqueued trial takes a number."""
        if record.enqueued is not None:
            self._enqueued.add(record.number)
