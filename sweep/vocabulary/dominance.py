"""Trials that are compared by several objectives: who beats whom, and in which order they stand.

A point is a tuple of scores, one for each objective; a higher score is better. Standard library
only.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

Point = tuple[float, ...]
"""Scores; −∞ where an objective has no value, which is worse than any."""


def dominates(one: Point, other: Point) -> bool:
    """Whether ``one`` is at least as good in every objective and better in one."""
    return one != other and all(a >= b for a, b in zip(one, other, strict=True))


def fronts(points: Sequence[Point]) -> list[int]:
    """The front of each point, from 0: 0 where none beats it, else 1 + the largest front of those
    that do.

    Source: Zhang et al., "An Efficient Approach to Nondominated Sorting for Evolutionary
    Multiobjective Optimization", IEEE TEVC 2015, ENS-SS. Deb et al., "A Fast and Elitist
    Multiobjective Genetic Algorithm: NSGA-II", IEEE TEVC 2002, define the fronts.
    """
    members: list[list[Point]] = []
    found: dict[Point, int] = {}
    for point in sorted(set(points), reverse=True):  # none is beaten by a later one
        front = next(
            (n for n, front in enumerate(members) if not _is_beaten(point, front)), len(members)
        )
        if front == len(members):
            members.append([])
        members[front].append(point)
        found[point] = front
    return [found[point] for point in points]


def places(points: Sequence[Point]) -> list[int]:
    """The place of each point, from 0: by fronts, and within a front by an ε-net.

    In a front the best of the first objective comes first. Then comes, again and again, the point
    that is farthest from its nearest one among those before it, each objective as a share of its
    range in the front. So any first few of a front are spread over it. Equal points share the place
    of the first of them. The order of the points does not matter.

    Source: Schmucker et al., "Multi-objective Asynchronous Successive Halving", arXiv 2106.12639,
    2021, section 4: of the ways to order a front, the ε-net did best.
    """
    by_front: dict[int, list[Point]] = {}
    for point, front in zip(points, fronts(points), strict=True):
        by_front.setdefault(front, []).append(point)
    found: dict[Point, int] = {}
    before = 0
    for front in sorted(by_front):
        of_front = by_front[front]
        for point in _spread(sorted(set(of_front), reverse=True)):
            found[point] = before
            before += of_front.count(point)
    return [found[point] for point in points]


def _is_beaten(point: Point, front: Iterable[Point]) -> bool:
    return any(dominates(other, point) for other in front)


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
