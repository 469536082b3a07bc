"""Who beats whom, against the definition, and the order of a rung, by hand."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.vocabulary.dominance import Point, dominates, fronts, place_among, places, unbeaten

scores = st.integers(0, 6).map(float) | st.just(-math.inf)
points_of = st.integers(1, 3).flatmap(
    lambda count: st.lists(st.tuples(*[scores] * count), min_size=1, max_size=12)
)


def by_peeling(points: list[Point]) -> list[int]:
    """The definition: front 0 are those whom none beats; without them, front 1, and so on."""
    found = [-1] * len(points)
    left, front = set(range(len(points))), 0
    while left:
        best = {n for n in left if not any(dominates(points[m], points[n]) for m in left)}
        for n in best:
            found[n] = front
        left, front = left - best, front + 1
    return found


@given(points=points_of)
def test_fronts_are_what_is_left_unbeaten_when_the_fronts_before_are_taken_away(
    points: list[Point],
) -> None:
    assert fronts(points) == by_peeling(points)


@given(points=points_of)
def test_unbeaten_are_those_of_the_first_front(points: list[Point]) -> None:
    assert unbeaten(points) == [front == 0 for front in by_peeling(points)]


@given(points=points_of)
def test_place_of_one_point_among_others_is_that_of_all_places(points: list[Point]) -> None:
    *others, point = points
    assert place_among(point, others) == places(points)[-1]


@given(points=points_of, order=st.randoms())
def test_neither_fronts_nor_places_depend_on_the_order(
    points: list[Point], order: random.Random
) -> None:
    shuffled = list(range(len(points)))
    order.shuffle(shuffled)
    for ranked in (fronts, places):
        expected = ranked(points)
        assert ranked([points[n] for n in shuffled]) == [expected[n] for n in shuffled]


@given(points=points_of)
def test_place_is_the_number_of_points_before_it_and_follows_the_fronts(
    points: list[Point],
) -> None:
    found, of = places(points), fronts(points)
    assert all(place == sum(other < place for other in found) for place in found)
    for place, front in zip(found, of, strict=True):
        assert all(f <= front for p, f in zip(found, of, strict=True) if p < place)


@given(points=st.lists(st.tuples(st.integers(0, 9).map(float)), min_size=1, max_size=9))
def test_places_of_one_objective_are_the_ranks_of_the_scores(points: list[Point]) -> None:
    assert places(points) == [sum(other > point for other in points) for point in points]


def test_place_in_a_front_is_by_the_distance_from_those_before_it() -> None:
    # One front, both ranges 1. (1, 0) has the best first score; (0, 1) is farthest from it. Of the
    # others (0.5, 0.5) is 0.71 from both; then (0.9, 0.2) is 0.22 from (1, 0), (0.4, 0.55) 0.11
    # from (0.5, 0.5).
    points = [(0.4, 0.55), (0.9, 0.2), (0.5, 0.5), (0.0, 1.0), (1.0, 0.0)]
    assert places(points) == [4, 3, 2, 1, 0]


@pytest.mark.parametrize(
    ("one", "other", "beats"),
    [
        ((1.0, 1.0), (1.0, 0.0), True),
        ((1.0, 1.0), (1.0, 1.0), False),
        ((1.0, 0.0), (0.0, 1.0), False),
        ((0.0, 0.0), (0.0, -math.inf), True),
    ],
)
def test_one_beats_another_if_it_is_nowhere_worse_and_somewhere_better(
    one: Point, other: Point, beats: bool
) -> None:
    assert dominates(one, other) is beats
    assert not (beats and dominates(other, one))
