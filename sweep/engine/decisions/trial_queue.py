"""The queue of configurations: presets, enqueued ones, then the searcher's."""

from __future__ import annotations

from collections.abc import Mapping

from sweep.search.searchers.earlier_trials import best_of, read_warm_start
from sweep.search.searchers.searcher import make_searcher
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.spec.space.linked_space import grid_size
from sweep.store.store import Store
from sweep.vocabulary.errors import SweepFailed
from sweep.vocabulary.record import ParameterValue


class TrialQueue:
    """The presets, then the enqueued configurations of earlier sweeps, then the searcher's.

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
        self.searcher = make_searcher(spec, first=self.given)
        for record in earlier:
            self.searcher.learn(record)
        self.most = spec.trials
        if not spec.drawn or spec.searcher.name == "grid":
            self.most = min(spec.trials, self.given + grid_size(spec.drawn))

    def ask(self, number: int) -> tuple[Mapping[str, ParameterValue], str | None]:
        """Parameters and preset of the trial with this number, below ``most``."""
        presets = self._spec.presets
        if number < len(presets):
            name = presets[number]
            return self._spec.parameters_of(self._spec.preset_trial(name)), name
        if number < self.given:
            return self._enqueued[number - len(presets)], None
        drawn = self.searcher.ask(number)
        if drawn is None:
            name = self._spec.searcher.label
            raise SweepFailed(
                f"the searcher `{name}` proposes nothing for trial {number}: set `trials` to at"
                f" most {number}"
            )
        return self._spec.to_train(drawn), None
