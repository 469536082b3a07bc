"""Successive halving in which trials wait at each rung until their place is certain."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from sweep.search.schedulers.decision import Decision
from sweep.vocabulary.record import Status

Place = tuple[Any, str]
"""Minus the score of a trial, and its id: ascending from the best, and never equal."""


@dataclass(slots=True)
class HalvingRung:
    """The trials of one rung.

    Args:
        epochs: time at which a trial arrives.
        under_way: number of trials that train towards it.
        recorded: all that have arrived and are not forgotten, the best first.
        waiting: the arrived trials that were neither promoted nor given up.
        promoted: number of the trials that were promoted.
    """

    epochs: int
    under_way: int = 0
    recorded: list[Place] = field(default_factory=list)
    waiting: list[Place] = field(default_factory=list)
    promoted: int = 0


@dataclass(slots=True)
class _RungTrial:
    """The position of a trial that has not ended.

    Args:
        level: index of the rung that it trains towards, or waits at.
        place: its place there, once it has a score.
        places: level → its place at each rung that it has passed.
        out: whether it was stopped because its score was not finite.
    """

    level: int = 0
    place: Place | None = None
    places: dict[int, Place] = field(default_factory=dict)
    out: bool = False


class Halving:
    """Successive halving without a barrier: the best of all trials that reach a rung continue.

    `Asha` judges a trial on arrival, by those that came before it: of the first few nearly all
    continue, and train to the end for nothing. Here a trial waits at the rung, and its worker takes
    another one. It continues from its checkpoint as soon as it is certain to be among the best
    ``1 / reduction_factor`` of all trials that reach the rung. It is given up as soon as it is
    certain not to be. Both are certain long before the last trial has arrived.

    - Of n trials that reach a rung, the ``ceil(n / reduction_factor)`` with the best scores
      continue; of equal scores the trial with the lower id. Only the scores decide: neither the
      order of arrivals nor the number of workers changes the result.
    - Diverged and failed trials are not counted, as in `Asha`. The place of a trial that diverges
      after it was promoted goes to the next one that still waits. Trials that were given up before
      stay so: only in this case does the order matter.
    - A trial without a score yet (None) waits too, and is judged when its score is reported.
    - A trial that jumps over rungs is judged at the highest that it has passed, as in `Asha`.
    - NaN and ±inf stop at a rung and are never recorded.
    - Trials that end before they reach a rung leave it. Those that have reached it stay evidence.

    The decisions depend only on the sequence of calls: replaying it restores the state.

    Args:
        rungs: times at which trials reach a rung.
        reduction_factor: η of the paper, at least 2.

    Source: Jamieson and Talwalkar, "Non-stochastic Best Arm Identification and Hyperparameter
    Optimization", AISTATS 2016, Figure 3, there with a barrier at each rung and without trials
    that have no result.
    """

    def __init__(self, *, rungs: Iterable[int], reduction_factor: int) -> None:
        self._rungs = [HalvingRung(epochs) for epochs in sorted(rungs)]
        self._reduction_factor = reduction_factor
        self._to_come = 0
        self._trials: dict[str, _RungTrial] = {}

    def expect(self, to_come: int) -> None:
        """Note how many trials have not been started yet."""
        self._to_come = to_come

    def start(self, trial_id: str) -> None:
        """Note a trial that trains towards the first rung."""
        self._trials[trial_id] = _RungTrial()
        if self._rungs:
            self._rungs[0].under_way += 1

    def report(self, trial_id: str, epochs: int, value: Any) -> Decision:
        """Record the value of a trial that has trained ``epochs`` epochs and judge it."""
        trial = self._trials.get(trial_id)
        if trial is None or trial.out:
            return Decision.STOP
        if trial.level == len(self._rungs) or epochs < self._rungs[trial.level].epochs:
            return Decision.CONTINUE
        self._skip_to(trial, epochs)
        if value is not None and not self._takes(value):
            self._leave(trial)
            trial.out = True
            return Decision.STOP
        if value is not None and trial.place is None:
            self._come(trial, (self._falling(value), trial_id))
        return Decision.PAUSE

    def _skip_to(self, trial: _RungTrial, epochs: int) -> None:
        """Let a trial that waits at no rung arrive at the highest of those that it has passed."""
        passed = bisect_right(self._rungs, epochs, key=lambda rung: rung.epochs) - 1
        if trial.place is None and passed > trial.level:
            self._rungs[trial.level].under_way -= 1
            trial.level = passed
            self._rungs[trial.level].under_way += 1

    def _takes(self, value: Any) -> bool:
        """Whether a value can be recorded."""
        return math.isfinite(value)

    def _falling(self, value: Any) -> Any:
        """What places are sorted by: less is better."""
        return -value

    @property
    def _ahead_of_all(self) -> Any:
        """Sorts ahead of every value."""
        return -math.inf

    def _come(self, trial: _RungTrial, place: Place) -> Place:
        """Record the trial at the rung that it trains towards."""
        rung = self._rungs[trial.level]
        rung.under_way -= 1
        insort(rung.recorded, place)
        insort(rung.waiting, place)
        trial.place = place
        return place

    def end(self, trial_id: str, status: Status) -> None:
        """Note that the trial has ended with this final status."""
        trial = self._trials.pop(trial_id, None)
        if trial is None:
            return
        if not trial.out:
            self._leave(trial)
        if not status.has_result:
            for level, place in trial.places.items():
                _remove(self._rungs[level].recorded, place)
                self._rungs[level].promoted -= level < trial.level

    def decided(self) -> Iterator[tuple[str, Decision]]:
        """The waiting trials whose place is certain now: CONTINUE or STOP, once each."""
        unknown = self._to_come
        for rung in self._rungs:
            unknown += rung.under_way
            # Most trials that can continue, if all that are unknown arrive.
            quota = math.ceil((len(rung.recorded) + unknown) / self._reduction_factor)
            for place, decision in self._settled(rung, quota, unknown):
                if decision is Decision.CONTINUE:
                    self.let_on(place[1])
                else:
                    _remove(rung.waiting, place)
                yield place[1], decision
            # The next rung can get the trials under way to it, and those still promoted here.
            unknown = max(0, min(quota - rung.promoted, len(rung.waiting) + unknown))

    def _settled(
        self, rung: HalvingRung, quota: int, unknown: int
    ) -> Iterator[tuple[Place, Decision]]:
        """The waiting trials of a rung that are certain. Each leaves those that wait at once.

        Args:
            quota: most trials that continue.
            unknown: most trials that still arrive.
        """
        # The worst case for a waiting trial: all unknown ones arrive and are better.
        certain = quota - unknown
        while rung.waiting and bisect_left(rung.recorded, rung.waiting[0]) < certain:
            yield rung.waiting[0], Decision.CONTINUE
        while rung.waiting and bisect_left(rung.recorded, rung.waiting[-1]) >= quota:
            yield rung.waiting[-1], Decision.STOP

    def let_on(self, trial_id: str) -> None:
        """Note that a paused trial continued, as an earlier session had decided.

        That session may have expected fewer or more trials: an extended sweep has more trials than
        before. A trial whose score is not known here takes a place ahead of all that have one,
        because it did continue.
        """
        trial = self._trials[trial_id]
        rung = self._rungs[trial.level]
        place = trial.place or self._come(trial, (self._ahead_of_all, trial_id))
        _remove(rung.waiting, place)
        rung.promoted += 1
        trial.places[trial.level] = place
        trial.place = None
        trial.level += 1
        if trial.level < len(self._rungs):
            self._rungs[trial.level].under_way += 1

    def _leave(self, trial: _RungTrial) -> None:
        """Take the trial from the rung ahead of it. Its places at rungs that it reached stay."""
        if trial.level < len(self._rungs):
            rung = self._rungs[trial.level]
            if trial.place is None:
                rung.under_way -= 1
            else:
                trial.places[trial.level] = trial.place
                _remove(rung.waiting, trial.place)


def _remove(places: list[Place], place: Place) -> None:
    """Take the place out of an ascending list, if the list has it."""
    index = bisect_left(places, place)
    if index < len(places) and places[index] == place:
        del places[index]
