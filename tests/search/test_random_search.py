from __future__ import annotations

from sweep.search.searchers.random_search import RandomSearch
from sweep.spec.space.distributions import Choice, RandInt, Uniform

A, B = Uniform(0.0, 1.0), RandInt(0, 1000)


def test_adding_a_parameter_leaves_the_values_of_the_others() -> None:
    wider = RandomSearch({"c": Choice((1, 2)), "b": B, "a": A}, seed=3).ask(5)
    assert wider.items() > RandomSearch({"a": A, "b": B}, seed=3).ask(5).items()


def test_proposal_depends_on_the_number_and_not_on_what_was_asked_before() -> None:
    searcher = RandomSearch({"a": A, "b": B}, seed=3)
    in_order = [searcher.ask(number) for number in range(10)]
    assert [searcher.ask(number) for number in reversed(range(10))] == in_order[::-1]


def test_parameters_of_one_distribution_are_drawn_independently() -> None:
    proposal = RandomSearch({"a": A, "b": A}, seed=3).ask(0)
    assert proposal["a"] != proposal["b"]
