"""The queue of configurations: presets, enqueued ones, then the searcher's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sweep.search.searchers.earlier_trials import best_of, read_warm_start
from sweep.search.searchers.searcher import make_searcher
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.spec.space.distributions import grid_size
from sweep.store.store import Store
from sweep.vocabulary.record import ParameterValue, TrialRecord


@dataclass(frozen=True, slots=True)
class Proposal:
    """A proposed configuration.

    Args:
        parameters: all searched parameters, by dotted name.
        preset: name of the preset, if it is one.
        given: whether it is not the searcher's own, so that the searcher must be informed of it.
    """

    parameters: Mapping[str, ParameterValue]
    preset: str | None
    given: bool


class TrialQueue:
    """The presets, then the enqueued configurations of earlier sweeps, then the searcher's.

    Args:
        spec: the effective spec.
        store: keeps the earlier trials that the searcher learns from.

    Attributes:
        most: how many there are.
    """

    def __init__(self, spec: SweepSpec, store: Store) -> None:
        self._spec = spec
        earlier = store.earlier(lambda: read_warm_start(spec)) if spec.warm_start else []
        self._enqueued = best_of(earlier, spec.warm_start.enqueue if spec.warm_start else 0)
        self._searcher = make_searcher(spec, first=len(spec.presets) + len(self._enqueued))
        for record in earlier:
            self._searcher.learn(record)
        self.most = spec.trials
        if not spec.drawn or spec.searcher.name == "grid":
            given = len(spec.presets) + len(self._enqueued)
            self.most = min(spec.trials, given + grid_size(spec.drawn))

    def ask(self, number: int) -> Proposal:
        """The configuration of the trial with this number, below ``most``."""
        presets, enqueued = self._spec.presets, self._enqueued
        if number < len(presets):
            name = presets[number]
            parameters = self._spec.parameters_of(self._spec.preset_trial(name))
            return Proposal(parameters, name, given=True)
        if number < len(presets) + len(enqueued):
            return Proposal(enqueued[number - len(presets)], None, given=True)
        drawn = self._searcher.ask(number)
        assert drawn is not None, "more were asked for than there are"
        return Proposal(self._spec.to_train(drawn), None, given=False)

    def tell(self, record: TrialRecord) -> None:
        """Inform the searcher of a trial's end, or of a running trial that it did not propose."""
        self._searcher.tell(record)
