from __future__ import annotations

import itertools

import pytest

from sweep.search.searchers.grid import GridSearch
from sweep.spec.space.distributions import Choice, Grid, Uniform


def test_grid_walks_the_product_with_the_last_parameter_fastest() -> None:
    space = {"a": Grid((1, 2)), "b": Choice(("x", "y", "z")), "c": Grid((True, None))}
    searcher = GridSearch(space)
    product = itertools.product((1, 2), ("x", "y", "z"), (True, None))
    expected = [dict(zip("abc", values, strict=True)) for values in product]
    assert [searcher.ask(number) for number in range(12)] == expected


def test_grid_is_exhausted_after_its_last_combination() -> None:
    searcher = GridSearch({"a": Grid((1, 2)), "b": Grid((3,))})
    assert searcher.ask(1) == {"a": 2, "b": 3}
    assert searcher.ask(2) is None
    assert searcher.ask(1000) is None


def test_interval_has_no_grid() -> None:
    with pytest.raises(TypeError, match=r"optimizer\.lr"):
        GridSearch({"optimizer.lr": Uniform(0.0, 1.0)})


def test_grid_begins_at_the_first_number_that_is_its_own() -> None:
    space = {"a": Grid((1, 2)), "b": Choice((3, 4))}
    late, early = GridSearch(space, first=2), GridSearch(space)
    assert [late.ask(n) for n in range(2, 7)] == [early.ask(n) for n in range(5)]
