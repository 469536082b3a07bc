"""What proposes configurations: the protocol, and the searchers by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from sweep.search.searchers.grid import GridSearch
from sweep.search.searchers.plugin_searcher import PluginSearcher
from sweep.search.searchers.random_search import RandomSearch
from sweep.spec.search.search_strategy import CustomSearcher
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.vocabulary.record import ParameterValue, TrialRecord


class Searcher(Protocol):
    """Proposes the searched parameters of one trial after the other.

    A proposal depends only on the searcher's seed, the trial's number and the earlier calls of
    `ask`, `tell` and `judge`. A searcher has no random state that a resumed sweep would have to
    restore.
    """

    def ask(self, number: int) -> dict[str, ParameterValue] | None:
        """Parameters of the trial with this number under their dotted names.

        Numbers come in ascending order, without those of given trials (see `tell`). A second call
        before the trial's `tell` returns the same. None: the space has no more configurations.
        """
        ...

    def complete(
        self, number: int, given: Mapping[str, ParameterValue]
    ) -> dict[str, ParameterValue]:
        """Parameters of a trial that a user enqueued, with ``given`` as they are.

        Takes the place of `ask` for this number. ``given`` are some of the parameters, inside the
        space; the searcher draws the others.
        """
        ...

    def tell(self, record: TrialRecord) -> None:
        """Learn how a trial ended, or that a trial runs that this searcher did not propose.

        A given trial (a preset or an enqueued one) is reported when it starts and when it ends. Its
        parameters may lie outside the space; a searcher that cannot learn from it ignores it.

        Before a resumed sweep asks, it reports every start and every end in the order in which
        they happened. A second report of an ended trial has no effect.
        """
        ...

    def judge(self, number: int, rung: int, score: Any) -> None:
        """Learn what a trial was worth when it reached a rung. It has not ended, and may wait.

        Args:
            number: of the trial.
            rung: number of rungs that it has reached, from 1; no trial has reached fewer before.
            score: what the scheduler compares at that rung; higher is better. Scores of one rung
                can be compared with each other. With several objectives a score of each.
        """
        ...

    def replicate(self, number: int, scores: Sequence[float], diverged: int) -> None:
        """Learn what further runs of an ended trial came to, on other folds or seeds.

        Trials are compared by `sweep.vocabulary.record.place_of_runs`.

        Args:
            number: of the trial.
            scores: of the runs after the first, higher is better; all that are known.
            diverged: number of runs that diverged. A plug-in is not told.
        """
        ...

    def learn(self, record: TrialRecord) -> None:
        """Learn from a trial of an earlier sweep, inside the space, before anything else."""
        ...


def make_searcher(spec: SweepSpec, first: int = 0) -> Searcher:
    """The searcher that the sweep asks for, without any trial yet.

    Args:
        spec: the effective spec.
        first: number of the first trial that it will be asked for.
    """
    seed = spec.seed if spec.searcher.seed is None else spec.searcher.seed
    if not spec.drawn:
        return GridSearch({}, first)  # of one configuration
    return SEARCHERS[spec.searcher.name](spec, seed, first)


def _of_optuna(spec: SweepSpec, seed: int, first: int) -> Searcher:
    # Here, so that a sweep without Optuna does not wait for its import.
    from sweep.search.searchers.optuna_samplers import METHODS
    from sweep.search.searchers.optuna_search import OptunaSearch
    from sweep.search.searchers.pareto_search import ParetoSearch

    method = METHODS[spec.searcher.name](spec.searcher, seed)
    search = ParetoSearch if spec.judged_by.others else OptunaSearch
    return search(spec.drawn, seed, method, first, spec.judged_by)


def _of_plugin(spec: SweepSpec, seed: int, _first: int) -> Searcher:
    assert isinstance(spec.searcher, CustomSearcher)
    return PluginSearcher(spec.searcher, spec.drawn, seed)


SEARCHERS: Mapping[str, Callable[[SweepSpec, int, int], Searcher]] = {
    "random": lambda spec, seed, first: RandomSearch(spec.drawn, seed, first),
    "grid": lambda spec, _, first: GridSearch(spec.drawn, first),
    "tpe": _of_optuna,
    "gp": _of_optuna,
    "cmaes": _of_optuna,
    "qmc": _of_optuna,
    "custom": _of_plugin,
}
"""``searcher.name`` → what makes it, of (the spec, its seed, the number of its first trial)."""
