"""Successive halving whose trials wait at each rung until their place is certain."""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from sweep.search.schedulers.decision import Decision
from sweep.vocabulary.record import Status

_Place = tuple[float, str]
"""Minus the score of a trial, and its id: ascending from the best, and never equal."""


@dataclass(slots=True)
class _Rung:
    """Those that have come to one rung.

    Args:
        epochs: time at which a trial comes to it.
        under_way: number of trials that train towards it.
        recorded: all that came and are not forgotten, the best first.
        waiting: those of them that were neither promoted nor given up.
        promoted: number of those that were promoted.
    """

    epochs: int
    under_way: int = 0
    recorded: list[_Place] = field(default_factory=list)
    waiting: list[_Place] = field(default_factory=list)
    promoted: int = 0


@dataclass(slots=True)
class _RungTrial:
    """Where a trial without an end stands.

    Args:
        level: index of the rung that it trains towards, or waits at.
        place: there, once it has a score.
        places: at each rung that it has passed.
        out: whether it has left its rung, for its score was no number.
    """

    level: int = 0
    place: _Place | None = None
    places: list[_Place] = field(default_factory=list)
    out: bool = False


class Halving:
    """Successive halving without a barrier: of all trials that come to a rung the best go on.

    `Asha` judges a trial on arrival, by those that came before it: of the first few nearly
    all go on, and train to the end for nothing. Here a trial waits at the rung (its worker takes
    another one), and goes on from its checkpoint as soon as it is certain to be among the best
    ``1 / reduction_factor`` of all that are still to come; it is given up as soon as it is certain
    not to be. Both are certain long before the last has come.

    - Of n trials that come to a rung ``ceil(n / reduction_factor)`` go on, those with the best
      scores; of equal scores the trial with the lower id. Who goes on is a function of the scores
      alone: neither the order of arrivals nor the number of workers changes it.
    - Diverged and failed trials count among nobody, as in `Asha`. The place of one that diverges
      after it was promoted goes to the next that still waits; those that were given up before
      stay so, the one case in which order matters.
    - A trial without a score yet (None) waits too, and is judged when it is reported with one.
    - NaN and ±inf stop at a rung and are never recorded.
    - Trials that end before they come to a rung leave it; those that have come stay evidence.

    The decisions depend on nothing but the sequence of calls: replaying it restores the state.

    Args:
        rungs: times at which trials come to a rung.
        reduction_factor: η of the paper, at least 2.

    Source: Jamieson and Talwalkar, "Non-stochastic Best Arm Identification and Hyperparameter
    Optimization", AISTATS 2016, Figure 3, there with a barrier at each rung and without trials
    that have no result.
    """

    def __init__(self, *, rungs: Iterable[int], reduction_factor: int) -> None:
        self._rungs = [_Rung(epochs) for epochs in sorted(rungs)]
        self._reduction_factor = reduction_factor
        self._to_come = 0
        self._trials: dict[str, _RungTrial] = {}

    def expect(self, to_come: int) -> None:
        """Take note of how many trials have not been started yet."""
        self._to_come = to_come

    def start(self, trial_id: str) -> None:
        """Take note of a trial that trains towards the first rung."""
        self._trials[trial_id] = _RungTrial()
        if self._rungs:
            self._rungs[0].under_way += 1

    def report(self, trial_id: str, epochs: int, value: float | None) -> Decision:
        """Record the value of a trial that has trained ``epochs`` epochs and judge it."""
        trial = self._trials.get(trial_id)
        if trial is None or trial.out:
            return Decision.STOP
        if trial.level == len(self._rungs) or epochs < self._rungs[trial.level].epochs:
            return Decision.CONTINUE
        if value is not None and not math.isfinite(value):
            self._leave(trial)
            trial.out = True
            return Decision.STOP
        if value is not None and trial.place is None:
            self._come(trial, (-value, trial_id))
        return Decision.PAUSE

    def _come(self, trial: _RungTrial, place: _Place) -> _Place:
        """Record the trial at the rung that it trains towards."""
        rung = self._rungs[trial.level]
        rung.under_way -= 1
        insort(rung.recorded, place)
        insort(rung.waiting, place)
        trial.place = place
        return place

    def end(self, trial_id: str, status: Status) -> None:
        """Take note that the trial has ended with this final status."""
        trial = self._trials.pop(trial_id, None)
        if trial is None:
            return
        if not trial.out:
            self._leave(trial)
        if not status.has_result:
            for index, (rung, place) in enumerate(zip(self._rungs, trial.places, strict=False)):
                _remove(rung.recorded, place)
                rung.promoted -= index < trial.level

    def decided(self) -> Iterator[tuple[str, Decision]]:
        """Those of the trials that wait whose place is certain now: CONTINUE or STOP, once each."""
        unknown = self._to_come
        for rung in self._rungs:
            unknown += rung.under_way
            quota = self._quota(len(rung.recorded) + unknown)
            yield from self._decide(rung, quota, unknown)
            # To the next rung can come who is under way to it, and who may yet be promoted here.
            unknown = max(0, min(quota - rung.promoted, len(rung.waiting) + unknown))

    def _decide(self, rung: _Rung, quota: int, unknown: int) -> Iterator[tuple[str, Decision]]:
        """Promote from the front, give up from the back.

        Args:
            quota: most that can go on, if all come that can.
            unknown: most that can still come.
        """
        # The worst case for one that waits: all of them come and are better.
        certain = quota - unknown
        while rung.waiting and bisect_left(rung.recorded, rung.waiting[0]) < certain:
            trial_id = rung.waiting[0][1]
            self.let_on(trial_id)
            yield trial_id, Decision.CONTINUE
        while rung.waiting and bisect_left(rung.recorded, rung.waiting[-1]) >= quota:
            yield rung.waiting.pop()[1], Decision.STOP

    def let_on(self, trial_id: str) -> None:
        """Take note that a trial that pauses went on, as an earlier session had decided.

        It may have known less or more of what was to come: a sweep that is extended has more trials
        than it had when it decided. A trial whose score is not known here takes a place of those
        that go on all the same, ahead of all that have one: it did go on.
        """
        trial = self._trials[trial_id]
        rung = self._rungs[trial.level]
        place = trial.place or self._come(trial, (-math.inf, trial_id))
        _remove(rung.waiting, place)
        rung.promoted += 1
        trial.places.append(place)
        trial.place = None
        trial.level += 1
        if trial.level < len(self._rungs):
            self._rungs[trial.level].under_way += 1

    def _leave(self, trial: _RungTrial) -> None:
        """It comes to no rung any more; what it has left at rungs stays."""
        if trial.level < len(self._rungs):
            rung = self._rungs[trial.level]
            if trial.place is None:
                rung.under_way -= 1
            else:
                trial.places.append(trial.place)
                _remove(rung.waiting, trial.place)

    def _quota(self, count: int) -> int:
        """How many of ``count`` go on."""
        return math.ceil(count / self._reduction_factor)


def _remove(places: list[_Place], place: _Place) -> None:
    """Take the place out of an ascending list, where it is in there."""
    index = bisect_left(places, place)
    if index < len(places) and places[index] == place:
        del places[index]
