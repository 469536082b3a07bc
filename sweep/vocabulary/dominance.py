"""Trials that are compared by several objectives: who beats whom, and in which order they stand.

A point is a tuple of scores, one for each objective; a higher score is better. Standard library
only.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence

Point = tuple[float, ...]
"""Scores; −∞ where an objective has no value, which is worse than any."""


def dominates(one: Point, other: Point) -> bool:
    """Whether ``one`` is at least as good in every objective and better in one."""
    return one != other and all(a >= b for a, b in zip(one, other, strict=True))


def fronts(points: Sequence[Point]) -> list[int]:
    """The front of each point, from 0: 0 where none beats it, else 1 + the largest front of those
    that do.

    Source: Zhang et al., "An Efficient Approach to Nondominated Sorting for Evolutionary
    Multiobjective Optimization", IEEE TEVC 2015, ENS-BS. Deb et al., "A Fast and Elitist
    Multiobjective Genetic Algorithm: NSGA-II", IEEE TEVC 2002, define the fronts.
    """
    members: list[list[Point]] = []
    found: dict[Point, int] = {}
    for point in sorted(set(points), reverse=True):  # none is beaten by a later one
        # Whom a front beats, every front before it beats too.
        front = bisect_left(members, True, key=lambda front: not _is_beaten(point, front))
        if front == len(members):
            members.append([])
        members[front].append(point)
        found[point] = front
    return [found[point] for point in points]


def unbeaten(points: Sequence[Point]) -> list[bool]:
    """For each point, whether none beats it: whether it is in front 0 of `fronts`."""
    front: list[Point] = []
    for point in sorted(set(points), reverse=True):  # none is beaten by a later one
        if not _is_beaten(point, front):
            front.append(point)
    known = set(front)
    return [point in known for point in points]


def places(points: Sequence[Point]) -> list[int]:
    """The place of each point, from 0: by fronts, and within a front by an ε-net.

    In a front the best of the first objective comes first. Then comes, again and again, the point
    that is farthest from its nearest one among those before it, each objective as a share of its
    range in the front. So any first few of a front are spread over it. Equal points share the place
    of the first of them. The order of the points does not matter.

    Source: Schmucker et al., "Multi-objective Asynchronous Successive Halving", arXiv 2106.12639,
    2021, section 4: of the ways to order a front, the ε-net did best.
    """
    by_front: dict[int, Counter[Point]] = {}
    for point, front in zip(points, fronts(points), strict=True):
        by_front.setdefault(front, Counter())[point] += 1
    found: dict[Point, int] = {}
    before = 0
    for front in sorted(by_front):
        for point, place in _places_in(by_front[front]):
            found[point] = before + place
        before += by_front[front].total()
    return [found[point] for point in points]


def place_among(point: Point, others: Sequence[Point]) -> int:
    """The last of the `places` of ``others`` and then ``point``, without those of the others."""
    own, *fronts_of = fronts([point, *others])
    of_front = Counter([point])
    of_front.update(one for one, front in zip(others, fronts_of, strict=True) if front == own)
    before = sum(front < own for front in fronts_of)
    return before + next(place for one, place in _places_in(of_front) if one == point)


def _places_in(front: Counter[Point]) -> Iterator[tuple[Point, int]]:
    """The different points of one front with their places in it, each with its number of trials."""
    before = 0
    for point in _spread(sorted(front, reverse=True)):
        yield point, before
        before += front[point]


def _is_beaten(point: Point, front: Sequence[Point]) -> bool:
    # The last to join a front is the most like the next point, and so the likeliest to beat it.
    return any(dominates(other, point) for other in reversed(front))


def _spread(front: Sequence[Point]) -> list[Point]:
    """Different points of one front in the order of an ε-net; the first one begins."""
    scaled = dict(
        zip(front, zip(*map(_shares, zip(*front, strict=True)), strict=True), strict=True)
    )
    order, left = [front[0]], dict.fromkeys(front[1:], math.inf)
    while left:
        for point, nearest in left.items():
            left[point] = min(nearest, math.dist(scaled[point], scaled[order[-1]]))
        farthest = max(left, key=lambda point: (left[point], point))
        del left[farthest]
        order.append(farthest)
    return order


def _shares(scores: Sequence[float]) -> list[float]:
    """Scores as shares of their range; −∞ counts as the least finite one."""
    finite = [score for score in scores if math.isfinite(score)] or [0.0]
    low, width = min(finite), max(finite) - min(finite)
    return [(max(score, low) - low) / width if width else 0.0 for score in scores]
