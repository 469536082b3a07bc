"""ASHA and halving of several objectives: decisions by hand, and laws."""

from __future__ import annotations

import math
import random

from hypothesis import given
from hypothesis import strategies as st

from sweep.search.schedulers.asha import Asha
from sweep.search.schedulers.decision import Decision
from sweep.search.schedulers.halving import Halving
from sweep.search.schedulers.hyperband import Hyperband
from sweep.search.schedulers.pareto_halving import ParetoHalving
from sweep.search.schedulers.rung import ParetoRung
from sweep.vocabulary.dominance import Point, places
from sweep.vocabulary.record import Status

points_of_trials = st.lists(
    st.tuples(st.integers(0, 5).map(float), st.integers(0, 5).map(float)), min_size=1, max_size=14
)


def test_asha_continues_who_arrives_in_the_first_third_by_fronts() -> None:
    asha = Asha(rungs=[1], reduction_factor=3, rung=ParetoRung)
    arrivals = [
        ((0.5, 0.5), Decision.CONTINUE),  # 1st of 1
        ((0.9, 0.1), Decision.CONTINUE),  # same front, best first score: 1st of 2
        ((0.1, 0.9), Decision.STOP),  # the extreme comes second in the front, 1 of 3 continues
        ((0.4, 0.4), Decision.STOP),  # second front, 4th of 4; 2 continue
        ((0.2, 0.95), Decision.CONTINUE),  # beats (0.1, 0.9); the other extreme: 2nd of 5
        ((0.95, 0.95), Decision.CONTINUE),  # beats all
        ((0.95, 0.95), Decision.CONTINUE),  # equal points share the place
    ]
    for number, (point, decision) in enumerate(arrivals):
        assert asha.report(f"t{number}", 1, point) is decision, point


def test_diverged_trial_is_forgotten_and_a_point_without_a_second_value_ranks_behind() -> None:
    asha = Asha(rungs=[1], reduction_factor=2, rung=ParetoRung)
    assert asha.report("a", 1, (0.9, 0.9)) is Decision.CONTINUE
    assert asha.report("b", 1, (0.9, -math.inf)) is Decision.STOP
    asha.end("a", Status.DIVERGED)
    assert asha.report("c", 1, (0.95, 0.1)) is Decision.CONTINUE  # 1st of 2
    assert asha.report("d", 1, (math.nan, 0.5)) is Decision.STOP


def test_hyperband_passes_points_to_its_brackets() -> None:
    hyperband = Hyperband(rungs=[1, 3], reduction_factor=3, brackets=1, rung=ParetoRung)
    assert hyperband.report("a", 1, (0.5, 0.5)) is Decision.CONTINUE
    assert hyperband.report("b", 1, (0.4, 0.4)) is Decision.STOP


def halved(points: dict[str, Point], order: list[str], factor: int = 3) -> set[str]:
    """Who continues; trials arrive in this order, all known from the start."""
    halving = ParetoHalving(rungs=[1], reduction_factor=factor, objectives=2)
    halving.expect(0)
    for name in order:
        halving.start(name)
    decided: dict[str, Decision] = {}
    for name in order:
        assert halving.report(name, 1, points[name]) is Decision.PAUSE
        decided |= dict(halving.decided())
    assert decided.keys() == points.keys()
    return {name for name, decision in decided.items() if decision is Decision.CONTINUE}


@given(points=points_of_trials, order=st.randoms())
def test_halving_continues_the_first_third_by_fronts_in_any_order_of_arrivals(
    points: list[Point], order: random.Random
) -> None:
    named = {f"t{number:02d}": point for number, point in enumerate(points)}
    arrivals = list(named)
    order.shuffle(arrivals)
    found = dict(zip(named, places(points), strict=True))
    first = sorted(named, key=lambda name: (found[name], name))[: math.ceil(len(points) / 3)]
    assert halved(named, arrivals) == set(first)


@given(scores=st.lists(st.integers(0, 5).map(float), min_size=1, max_size=12), order=st.randoms())
def test_halving_of_one_objective_decides_as_halving_does_and_when_it_does(
    scores: list[float], order: random.Random
) -> None:
    one = ParetoHalving(rungs=[1, 2], reduction_factor=2, objectives=1)
    other = Halving(rungs=[1, 2], reduction_factor=2)
    names = [f"t{number:02d}" for number in range(len(scores))]
    for halving in (one, other):
        halving.expect(0)
        for name in names:
            halving.start(name)
    arrivals = list(zip(names, scores, strict=True))
    order.shuffle(arrivals)
    for name, score in arrivals:
        assert one.report(name, 1, (score,)) is other.report(name, 1, score)
        assert dict(one.decided()) == dict(other.decided())


def test_halving_decides_before_the_last_has_arrived_where_no_arrival_can_change_it() -> None:
    halving = ParetoHalving(rungs=[1], reduction_factor=2, objectives=2)
    halving.expect(1)
    for name in "abcd":
        halving.start(name)
    halving.report("a", 1, (1.0, 1.0))
    halving.report("b", 1, (0.9, 0.9))
    assert dict(halving.decided()) == {}  # three are unknown, and three of five continue
    halving.report("c", 1, (0.8, 0.8))
    assert dict(halving.decided()) == {"a": Decision.CONTINUE}
    halving.report("d", 1, (0.7, 0.7))
    # One is unknown. b stands second or third of the three that continue; three beat d.
    assert dict(halving.decided()) == {"b": Decision.CONTINUE, "d": Decision.STOP}
