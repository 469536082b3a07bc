"""Successive halving with waiting, of trials with several objectives."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Iterator

import numpy as np

from sweep.search.schedulers.decision import Decision
from sweep.search.schedulers.halving import Halving, HalvingRung, Place
from sweep.search.schedulers.rung import ParetoRung
from sweep.vocabulary.dominance import Point, places


class ParetoHalving(Halving):
    """`Halving` by `sweep.vocabulary.dominance.places`, of equal points the lower id first.

    A trial's place among others changes as further ones arrive, and not by one place at a time: a
    new point can beat a whole front. Two things never change: whoever beats a trial stands before
    it, and whoever it beats stands behind it. So a waiting trial is given up as soon as as many
    trials beat it as may continue. It continues as soon as those that it does not beat, with all
    that are still to arrive, leave room for it. Who is neither waits for the last to arrive. Which
    trials continue is the same in any order of arrivals. With one objective it is `Halving`.

    Args:
        rungs, reduction_factor: as of `Halving`.
        objectives: their number.
    """

    def __init__(self, *, rungs: Iterable[int], reduction_factor: int, objectives: int) -> None:
        super().__init__(rungs=rungs, reduction_factor=reduction_factor)
        self._objectives = objectives
        self._looked_at: dict[int, object] = {}

    def _takes(self, value: Point) -> bool:
        return ParetoRung.takes(value)

    def _falling(self, value: Point) -> Point:
        return tuple(-score for score in value)

    @property
    def _ahead_of_all(self) -> Point:
        return (-math.inf,) * self._objectives

    def _settled(
        self, rung: HalvingRung, quota: int, unknown: int
    ) -> Iterator[tuple[Place, Decision]]:
        known = quota, unknown, [*rung.recorded], [*rung.waiting]
        if not rung.waiting or self._looked_at.get(rung.epochs) == known:
            return  # most reports change nothing at a rung
        self._looked_at[rung.epochs] = known
        if unknown == 0:
            points = [self._falling(key) for key, _ in rung.recorded]
            found = zip(places(points), rung.recorded, strict=True)
            order = [place for _, place in sorted(found, key=lambda pair: (pair[0], pair[1][1]))]
            going = set(order[:quota])
            for place in sorted(rung.waiting, key=order.index):
                yield place, Decision.CONTINUE if place in going else Decision.STOP
            return
        before, behind = _certain(rung)
        others = len(rung.recorded) - 1
        for place, ahead, after in zip([*rung.waiting], before, behind, strict=True):
            if ahead >= quota:
                yield place, Decision.STOP
            elif others - after + unknown < quota:
                yield place, Decision.CONTINUE


def _certain(rung: HalvingRung) -> tuple[list[int], list[int]]:
    """How many stand before each waiting trial, and how many behind it, whichever others come."""
    every = np.array([key for key, _ in rung.recorded])
    number = np.arange(len(every))  # of equal points the one with the lower id comes first
    of_waiting = [bisect_left(rung.recorded, place) for place in rung.waiting]
    own, own_number = every[of_waiting][:, None], number[of_waiting][:, None]
    no_worse, no_better = (every <= own).all(axis=2), (every >= own).all(axis=2)
    before = no_worse & (~no_better | (number < own_number))
    behind = no_better & (~no_worse | (number > own_number))
    return before.sum(axis=1).tolist(), behind.sum(axis=1).tolist()
