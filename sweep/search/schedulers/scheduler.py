"""What stops a trial that is not worth its epochs: the protocol, and the schedulers by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from sweep.search.schedulers.asha import Asha
from sweep.search.schedulers.decision import Decision, OnArrival
from sweep.search.schedulers.halving import Halving
from sweep.search.schedulers.hyperband import Hyperband
from sweep.search.schedulers.median import MedianStopping
from sweep.search.schedulers.pareto_halving import ParetoHalving
from sweep.search.schedulers.plugin_scheduler import PluginScheduler
from sweep.search.schedulers.rung import ParetoRung, Rung
from sweep.spec.search.search_strategy import AshaScheduler
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.vocabulary.record import Status

__all__ = ["Decision", "NeverStops", "Scheduler", "make_scheduler"]


class Scheduler(Protocol):
    """Judges the reports of all trials, in the order in which they come.

    Its decisions depend on nothing but the sequence of calls, so a resumed sweep restores it by
    repeating them.
    """

    def expect(self, to_come: int) -> None:
        """Take note of how many trials have not been started yet, which may be judged."""
        ...

    def start(self, trial_id: str) -> None:
        """Take note of a trial that will be judged."""
        ...

    def report(self, trial_id: str, epochs: int, value: Any) -> Decision:
        """Judge a trial after an epoch.

        Args:
            epochs: how far the trial is, in the unit of the rungs.
            value: what it is judged by then: a number, or with several objectives a tuple of one
                for each, which only ASHA and Hyperband are given. Higher is better. None where
                that is not known yet. Once it is, a trial may be reported again with it, however
                far it has come by then.
        """
        ...

    def end(self, trial_id: str, status: Status) -> None:
        """Take note that the trial has ended with this final status."""
        ...

    def let_on(self, trial_id: str) -> None:
        """Take note that a trial that pauses went on, as an earlier session had decided."""
        ...

    def decided(self) -> Iterable[tuple[str, Decision]]:
        """Trials that pause and need not any more, once each: CONTINUE or STOP."""
        ...


class NeverStops(OnArrival):
    """Lets every trial train to its own end."""

    def report(self, trial_id: str, epochs: int, value: float | None) -> Decision:
        return Decision.CONTINUE

    def end(self, trial_id: str, status: Status) -> None:
        pass


def make_scheduler(spec: SweepSpec) -> Scheduler:
    """The scheduler that the sweep asks for, without any report yet."""
    return SCHEDULERS[spec.scheduler.name](spec, spec.scheduler)


def _asha(spec: SweepSpec, own: AshaScheduler) -> Scheduler:
    rungs, factor = spec.rungs(), own.reduction_factor
    several = len(spec.judged_by.each)
    if own.pause and several > 1:
        return ParetoHalving(rungs=rungs, reduction_factor=factor, objectives=several)
    if own.pause:
        return Halving(rungs=rungs, reduction_factor=factor)
    return Asha(rungs=rungs, reduction_factor=factor, rung=ParetoRung if several > 1 else Rung)


SCHEDULERS: Mapping[str, Callable[[SweepSpec, Any], Scheduler]] = {
    "asha": _asha,
    "hyperband": lambda spec, own: Hyperband(
        rungs=spec.rungs(),
        reduction_factor=own.reduction_factor,
        brackets=own.brackets,
        rung=ParetoRung if spec.judged_by.others else Rung,
    ),
    "median": lambda spec, own: MedianStopping(
        grace_period=own.grace_period,
        max_epochs=spec.most_resource,
        min_trials=own.min_trials,
    ),
    "none": lambda *_: NeverStops(),
    "custom": lambda spec, own: PluginScheduler(own, spec.most_resource),
}
"""``scheduler.name`` → what makes it, of (the spec, the scheduler's settings, filled in by it)."""
