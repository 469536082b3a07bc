"""Successive halving with waiting, of trials with several objectives."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from sweep.search.schedulers.decision import Decision
from sweep.search.schedulers.halving import Halving, HalvingRung, Place
from sweep.search.schedulers.rung import ParetoRung
from sweep.vocabulary.dominance import Point, dominates, places


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
        if not rung.waiting:
            return
        points = [self._falling(key) for key, _ in rung.recorded]
        if unknown == 0:
            found = zip(places(points), rung.recorded, strict=True)
            order = [place for _, place in sorted(found, key=lambda pair: (pair[0], pair[1][1]))]
            for place in [one for one in order if one in rung.waiting]:
                goes = order.index(place) < quota
                yield place, Decision.CONTINUE if goes else Decision.STOP
            return
        known = [(point, place[1]) for point, place in zip(points, rung.recorded, strict=True)]
        for place in list(rung.waiting):
            own = self._falling(place[0]), place[1]
            if sum(_is_before(other, own) for other in known) >= quota:
                yield place, Decision.STOP
            elif sum(not _is_before(own, other) for other in known) - 1 + unknown < quota:
                yield place, Decision.CONTINUE


def _is_before(one: tuple[Point, str], other: tuple[Point, str]) -> bool:
    """Whether a trial stands before another, whichever others there are."""
    return dominates(one[0], other[0]) or (one[0] == other[0] and one[1] < other[1])
