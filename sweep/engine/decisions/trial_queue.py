"""The queue of configurations: presets, those of earlier sweeps, users' own, the searcher's."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sweep.analysis.ranking.finalists import best_first
from sweep.search.searchers.earlier_trials import read_warm_start
from sweep.search.searchers.searcher import make_searcher
from sweep.spec.checks.enqueued_configuration import completions
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.spec.space.linked_space import grid_size, is_linked
from sweep.store.journal import ConfigurationEnqueued
from sweep.store.store import Store
from sweep.vocabulary.errors import SweepFailed
from sweep.vocabulary.record import Enqueued, ParameterValue, TrialRecord


@dataclass(frozen=True, slots=True)
class Proposal:
    """The configuration of the next trial, and where it comes from if not from the searcher."""

    parameters: Mapping[str, ParameterValue]
    preset: str | None = None
    enqueued: Enqueued | None = None


class TrialQueue:
    """The presets, then the enqueued configurations of earlier sweeps, then the searcher's.

    What users enqueue while the sweep runs comes before the searcher's next proposal, and in
    addition to the trials that were asked for.

    Args:
        spec: the effective spec.
        store: keeps the earlier trials that the searcher learns from.

    Attributes:
        searcher: proposes the configurations after those that are given.
        given: how many are not the searcher's own. It must be informed when such a trial starts.
        most: how many there are.
    """

    def __init__(self, spec: SweepSpec, store: Store) -> None:
        self._spec = spec
        earlier = store.earlier(lambda: read_warm_start(spec)) if spec.warm_start else []
        self._enqueued = best_of(earlier, spec.warm_start.enqueue if spec.warm_start else 0)
        self.given = len(spec.presets) + len(self._enqueued)
        self._asked = deque[ConfigurationEnqueued]()  # by users, and not started yet
        self.searcher = make_searcher(spec, first=self.given)
        for record in earlier:
            self.searcher.learn(record)
        self.most = spec.trials
        if not spec.drawn or spec.searcher.name == "grid":
            self.most = min(spec.trials, self.given + grid_size(spec.drawn))

    @property
    def asked(self) -> int:
        """Number of configurations that users have enqueued and that have not started."""
        return len(self._asked)

    def enqueue(self, request: ConfigurationEnqueued) -> None:
        """Add what a user asked for, as one more trial."""
        self._asked.append(request)
        self.most += 1

    def ask(self, number: int) -> Proposal:
        """The configuration of the trial with this number, below ``most``."""
        presets = self._spec.presets
        if number < len(presets):
            name = presets[number]
            return Proposal(self._spec.parameters_of(self._spec.preset_trial(name)), name)
        if number < self.given:
            return Proposal(self._enqueued[number - len(presets)])
        if self._asked:
            request = self._asked[0]
            parameters = self._completed(number, request)
            return Proposal(parameters, enqueued=Enqueued(request.request, request.by))
        drawn = self.searcher.ask(number)
        if drawn is None:
            name = self._spec.searcher.label
            raise SweepFailed(
                f"the searcher `{name}` proposes nothing for trial {number}: set `trials` to at"
                f" most {number}"
            )
        return Proposal(self._spec.to_train(drawn))

    def started(self, enqueued: Enqueued | None) -> None:
        """Note that a trial has a folder. Users' requests start in their order."""
        if enqueued is not None:
            self._asked = deque(one for one in self._asked if one.request != enqueued.request)

    def _completed(
        self, number: int, request: ConfigurationEnqueued
    ) -> Mapping[str, ParameterValue]:
        """The given parameters and those that are missing.

        The searcher draws them, unless it cannot learn from the trial, or parameters depend on each
        other: then they are random.
        """
        space, given = self._spec.drawn, request.parameters
        if not is_linked(space) and all(space[key].contains(one) for key, one in given.items()):
            return self._spec.to_train(self.searcher.complete(number, given))
        return self._spec.to_train(completions(self._spec, given, request.request)[0])


def best_of(earlier: Iterable[TrialRecord], count: int) -> list[dict[str, ParameterValue]]:
    """The ``count`` best configurations in the order of a ranking, each once."""
    distinct: dict[str, dict[str, ParameterValue]] = {}
    for record in best_first(earlier):
        if record.score is not None:
            distinct.setdefault(repr(record.parameters), dict(record.parameters))
    return list(distinct.values())[:count]
