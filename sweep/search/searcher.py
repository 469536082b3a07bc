"""What proposes configurations: the protocol, and the searchers by name."""

from __future__ import annotations

from typing import Protocol, assert_never

from sweep.record import ParameterValue, TrialRecord
from sweep.search.grid import GridSearch
from sweep.search.random_search import RandomSearch
from sweep.spec import strategy
from sweep.spec.sweep import SweepSpec


class Searcher(Protocol):
    """Proposes the searched parameters of one trial after the other.

    A proposal depends on nothing but the searcher's seed, the trial's number and what was asked
    and told before; a searcher has no random state that a resumed sweep would have to restore.
    """

    def ask(self, number: int) -> dict[str, ParameterValue] | None:
        """Parameters of the trial with this number under their dotted names.

        Numbers are asked for in ascending order, from the number of presets on; asking again
        before the trial is told repeats the answer. None: the space has no more configurations.
        """
        ...

    def tell(self, record: TrialRecord) -> None:
        """Learn how a trial ended.

        A preset's trial, which no searcher proposed, is told when it starts and when it ends. Its
        parameters may lie outside the space; a searcher that cannot learn from it passes it over.

        A resumed sweep tells the records of all its trials, those that still run included, in
        the order of their numbers and before it asks. Telling an ended trial again is harmless.
        """
        ...


def make_searcher(spec: SweepSpec) -> Searcher:
    """The searcher that the sweep asks for, without any trial yet."""
    seed = spec.seed if spec.searcher.seed is None else spec.searcher.seed
    match spec.searcher:
        case strategy.RandomSearcher():
            return RandomSearch(spec.space, seed)
        case strategy.GridSearcher():
            return GridSearch(spec.space, first=len(spec.presets))
        case strategy.TpeSearcher(startup_trials=startup_trials):
            # Here, so that a sweep without Optuna does not wait for its import.
            from sweep.search.optuna_search import OptunaSearch, tpe

            return OptunaSearch(spec.space, seed, tpe(startup_trials))
        case unknown:
            assert_never(unknown)
