"""Comparison and scheduler together: decisions on the trials of the search, epoch by epoch."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterable
from typing import Any

from sweep.search.schedulers.comparison import ComparedValue, make_comparison
from sweep.search.schedulers.scheduler import Decision, make_scheduler
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.vocabulary.dominance import Point
from sweep.vocabulary.record import Status

Judged = Callable[[str, int, Any], None]


class PruningPolicy:
    """Decide on trials. The state is a function of the calls, so repeating them restores it.

    Args:
        spec: the effective spec.
        judged: is told what a trial is worth at each rung that it reaches, once that is known:
            its id, the number of rungs that it has reached, and its score.
    """

    def __init__(self, spec: SweepSpec, judged: Judged = lambda *_: None) -> None:
        self._judged = judged
        self._rungs = spec.rungs()
        self._reached: dict[str, int] = {}
        self._comparison = make_comparison(spec)
        self._scheduler = make_scheduler(spec)
        self._spares_the_never_full = spec.compares_gains
        self._last_epoch: dict[str, int] = {}
        self._stopped: set[str] = set()  # by the user

    def expect(self, to_come: int) -> None:
        """Note how many trials have not been started yet."""
        self._scheduler.expect(to_come)

    def start(self, trial_id: str, settings: TrialSettings, preset: str | None) -> None:
        """Note a started trial. A trial that is not compared is never stopped."""
        epochs = settings.trainer.epochs
        full_from = settings.loss.ramp.epochs_not_full(epochs)
        self._last_epoch[trial_id] = epochs
        self._reached[trial_id] = 0
        self._comparison.start(trial_id, full_from, preset)
        if full_from < epochs or not self._spares_the_never_full:
            self._scheduler.start(trial_id)

    def report(self, trial_id: str, epochs: int, score: float | Point | None) -> Decision:
        """Decide on a trial after ``epochs`` epochs, the last with this score (higher is better).

        With several objectives it is the trial's point so far: a score of each. A trial that has
        trained all its epochs is used for comparison and continues to its end.
        """
        reading = self._comparison.read(trial_id, epochs, score)
        self._note(reading)
        self._report_late()
        decision = Decision.CONTINUE
        if reading.resource >= 1:
            decision = self._scheduler.report(*reading)
        if trial_id in self._stopped:
            decision = Decision.STOP
        return Decision.CONTINUE if self.is_at_its_end(trial_id, epochs) else decision

    def stop(self, trial_id: str) -> None:
        """Stop the trial at its next report, unless that is its last epoch.

        The scheduler learns of it as of any trial that ends: values at rungs that it has reached
        stay, so that no other trial's place there changes.
        """
        self._stopped.add(trial_id)

    def is_stopped(self, trial_id: str) -> bool:
        """Whether the user has stopped the trial."""
        return trial_id in self._stopped

    def is_at_its_end(self, trial_id: str, epochs: int) -> bool:
        """Whether a trial that has trained ``epochs`` epochs has no further one to train."""
        return epochs >= self._last_epoch[trial_id]

    def _note(self, reading: ComparedValue) -> None:
        """Tell of a score if it is the first at its rung."""
        trial_id, resource, score = reading
        rung = bisect_right(self._rungs, resource)
        first = score[0] if isinstance(score, tuple) else score
        if first is not None and math.isfinite(first) and rung > self._reached[trial_id]:
            self._reached[trial_id] = rung
            self._judged(trial_id, rung, score)

    def let_on(self, trial_id: str) -> None:
        """Note that a paused trial continued, whatever would be decided now."""
        self._scheduler.let_on(trial_id)

    def end(self, trial_id: str, status: Status) -> None:
        """Note that the trial has ended with this final status."""
        self._comparison.end(trial_id)
        del self._last_epoch[trial_id], self._reached[trial_id]
        self._report_late()
        self._scheduler.end(trial_id, status)

    def decided(self) -> Iterable[tuple[str, Decision]]:
        """Paused trials that are decided by now, once each: CONTINUE or STOP."""
        return list(self._scheduler.decided())

    def _report_late(self) -> None:
        """Report values that were unknown until the baseline had trained as far."""
        for reading in self._comparison.late():
            self._note(reading)
            self._scheduler.report(*reading)
