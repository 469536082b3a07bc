"""``searcher: {name: custom}``: a plug-in whose proposals are checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sweep.plugins.plugin_kinds import SEARCHER
from sweep.search.searchers.random_search import RandomSearch
from sweep.spec.search.search_strategy import CustomSearcher
from sweep.spec.space.distribution_yaml import as_yaml
from sweep.spec.space.distributions import Distribution
from sweep.spec.space.linked_space import drawn_in, holds, lies_in
from sweep.spec.words.phrases import quoted, shown
from sweep.vocabulary.errors import SweepFailed
from sweep.vocabulary.parameter_values import without_arrays
from sweep.vocabulary.record import ParameterValue, TrialRecord


class PluginSearcher:
    """Ends the sweep in words where a plug-in fails or proposes what the space does not hold.

    Args:
        settings: which plug-in, with its options.
        space: the searched settings by dotted name.
        seed: of the proposals.
    """

    def __init__(
        self, settings: CustomSearcher, space: Mapping[str, Distribution], seed: int
    ) -> None:
        self._name = settings.entry
        self._space = space
        self._seed = seed
        self._made = SEARCHER.make(settings.entry, space, seed, options=settings.options)

    def ask(self, number: int) -> dict[str, ParameterValue] | None:
        with SEARCHER.calling(self._name, f"ask({number})"):
            found = self._made.ask(number)
        if found is None:
            return None
        if not isinstance(found, Mapping) or not found.keys() <= self._space.keys():
            raise self._lacks(number, found)
        returned, found = found, {key: _plain(value) for key, value in found.items()}
        drawn = drawn_in(self._space, found)
        for key, value in ((key, found[key]) for key in drawn):
            if not holds(self._space[key], value, found):
                raise SEARCHER.failed(
                    self._name,
                    f"`ask({number})` returned {_written(returned[key])} for {quoted(key)}, which"
                    f" the space does not hold: it has {shown(as_yaml(self._space[key]))}",
                )
        proposed = {key: found[key] for key in drawn}
        if not lies_in(self._space, proposed):
            raise self._lacks(number, found)
        return proposed

    def complete(
        self, number: int, given: Mapping[str, ParameterValue]
    ) -> dict[str, ParameterValue]:
        """The missing values at random: plug-ins propose whole configurations only."""
        return RandomSearch(self._space, self._seed).complete(number, given)

    def tell(self, record: TrialRecord) -> None:
        self._call("tell", record)

    def judge(self, number: int, rung: int, score: float) -> None:
        if hasattr(self._made, "judge"):  # a plug-in can do without it
            self._call("judge", number, rung, score)

    def replicate(self, number: int, scores: Sequence[float], diverged: int) -> None:
        if hasattr(self._made, "replicate"):  # likewise
            self._call("replicate", number, scores)

    def learn(self, record: TrialRecord) -> None:
        self._call("learn", record)

    def _call(self, method: str, *given: object) -> None:
        with SEARCHER.calling(self._name, method):
            getattr(self._made, method)(*given)

    def _lacks(self, number: int, found: object) -> SweepFailed:
        keys = [*found] if isinstance(found, Mapping) else found
        return SEARCHER.failed(
            self._name,
            f"`ask({number})` must return a value for each of {[*self._space]}, but returned"
            f" {keys!r}",
        )


def _plain(value: Any) -> Any:
    """A value of numpy as Python's own, which a configuration can hold; others as they are."""
    value = without_arrays(value)
    return tuple(map(_plain, value)) if isinstance(value, list | tuple) else value


def _written(value: Any) -> str:
    """A value for a message; with its type where that is not one of YAML."""
    kind = type(value)
    return shown(_plain(value)) + f" (numpy.{kind.__name__})" * (kind.__module__ == "numpy")
