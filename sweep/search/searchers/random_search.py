"""Random search."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from sweep.spec.space.distributions import Distribution
from sweep.spec.space.linked_space import taken
from sweep.spec.space.prior_draws import PriorTrials
from sweep.vocabulary.record import ParameterValue, TrialRecord


class LearnsNothing:
    """A searcher whose proposals depend on no result."""

    def tell(self, record: TrialRecord) -> None: ...
    def judge(self, number: int, rung: int, score: float) -> None: ...
    def replicate(self, number: int, scores: Sequence[float], diverged: int) -> None: ...
    def learn(self, record: TrialRecord) -> None: ...


class RandomSearch(LearnsNothing):
    """Draws every parameter independently from its distribution; parents first, where one
    depends on another. Some trials are drawn from the priors instead.

    Each value has its own random stream, seeded by text (hashed with SHA-512 by `random.Random`,
    so the same on every machine): adding a parameter leaves the values of the others as they are.

    Args:
        space: distribution of each searched parameter under its dotted name.
        seed: of the searcher.
        first: number of the first trial that is the searcher's own.
    """

    def __init__(self, space: Mapping[str, Distribution], seed: int, first: int = 0) -> None:
        self._space = space
        self._seed = seed
        self._priors = PriorTrials(space, seed, first)

    def ask(self, number: int) -> dict[str, ParameterValue]:
        likely = self._priors.ask(number)

        def choose(name: str, kind: Distribution) -> ParameterValue:
            if name in likely:
                return likely[name]
            return kind.sample(random.Random(f"{self._seed}-{number}-{name}"))

        return taken(self._space, choose)

    def complete(
        self, number: int, given: Mapping[str, ParameterValue]
    ) -> dict[str, ParameterValue]:
        drawn = self.ask(number)
        return {name: given.get(name, value) for name, value in drawn.items()}
