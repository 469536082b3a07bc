"""Distributions: what they draw, what they hold, and what is said of wrong ones."""

import math
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.spec.space.distribution_yaml import DISTRIBUTIONS, as_yaml, parse_distribution
from sweep.spec.space.distributions import (
    Choice,
    Distribution,
    Grid,
    LogRandInt,
    LogUniform,
    QRandInt,
    QUniform,
    RandInt,
    Uniform,
)
from sweep.spec.space.linked_space import grid_size
from sweep.vocabulary.parameter_values import exactly

WHOLE = st.integers(-(2**63), 2**63 - 1)
FINITE = st.floats(allow_nan=False, allow_infinity=False)
SCALARS = st.none() | st.booleans() | WHOLE | FINITE | st.text(max_size=5)
LISTS = st.lists(SCALARS | st.lists(SCALARS, min_size=1).map(tuple), min_size=1).map(tuple)
VALUES = SCALARS | LISTS


def ordered(numbers, least=None):
    pairs = st.tuples(numbers, numbers).map(sorted).filter(lambda pair: pair[0] < pair[1])
    return pairs if least is None else pairs.filter(lambda pair: pair[0] >= least)


@st.composite
def quantized(draw):
    q = draw(st.sampled_from([0.1, 0.25, 1.0, 3.0, 1e-6, 0.7]))
    low, high = draw(ordered(st.integers(-1000, 1000)))
    grid = QUniform(0.0, 1000 * q, q)  # only to have exact multiples at hand
    return QUniform(math.copysign(grid._point(abs(low)), low), math.copysign(
        grid._point(abs(high)), high), q)  # fmt: skip


@st.composite
def stepped(draw):
    low, q, steps = draw(WHOLE), draw(st.integers(1, 2**40)), draw(st.integers(1, 2**40))
    return QRandInt(low, low + q * steps, q)


def listed(kind):
    unique = st.lists(VALUES, min_size=1, max_size=6, unique_by=exactly)
    return unique.map(lambda values: kind(tuple(values)))


ANY = st.one_of(
    ordered(FINITE).map(lambda pair: Uniform(*pair)),
    ordered(FINITE, least=5e-324).map(lambda pair: LogUniform(*pair)),
    quantized(),
    ordered(WHOLE).map(lambda pair: RandInt(*pair)),
    ordered(WHOLE, least=1).map(lambda pair: LogRandInt(*pair)),
    stepped(),
    listed(Choice),
    listed(Grid),
)


@given(ANY, st.integers(0, 2**32))
def test_sample_lies_in_its_distribution(distribution: Distribution, seed: int) -> None:
    value = distribution.sample(Random(seed))
    assert distribution.contains(value)
    assert isinstance(distribution, Choice | Grid) or type(value) in (int, float)
    if type(value) in (int, float) and distribution.extent:
        assert distribution.extent[0] <= value <= distribution.extent[1]


@given(ANY)
def test_distribution_is_read_back_from_its_yaml_form_with_its_types(d: Distribution) -> None:
    again = parse_distribution(as_yaml(d))
    assert again == d
    assert [type(v) for v in again.arguments] == [type(v) for v in d.arguments]


@given(ANY, st.integers(0, 2**32))
def test_same_seed_draws_the_same(distribution: Distribution, seed: int) -> None:
    first, second = distribution.sample(Random(seed)), distribution.sample(Random(seed))
    assert (type(first), first) == (type(second), second)


@given(quantized(), FINITE)
def test_nearest_multiple_is_a_value_of_the_distribution(d: QUniform, value: float) -> None:
    assert d.contains(d.nearest(value))


def test_quniform_draws_multiples_without_float_dust() -> None:
    distribution = parse_distribution({"quniform": [0, 1, 0.1]})
    drawn = {distribution.sample(Random(seed)) for seed in range(400)}
    assert sorted(drawn) == [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]
    assert distribution.size == 11
    assert not distribution.contains(0.30000000000000004)


def test_qrandint_draws_whole_numbers_in_steps_from_low_and_includes_high() -> None:
    distribution = parse_distribution({"qrandint": [3, 7, 2]})
    drawn = [distribution.sample(Random(seed)) for seed in range(600)]
    assert sorted({*drawn}) == [3, 5, 7]
    # 5 standard deviations of a binomial with p = 1/3.
    assert all(abs(drawn.count(value) - 200) < 5 * math.sqrt(600 * 2 / 9) for value in (3, 5, 7))
    assert (distribution.extent, distribution.size) == ((3, 7), 3)
    assert not any(map(distribution.contains, (4, 9, 1, 5.0, True)))


@pytest.mark.parametrize("word", ["randint", "lograndint"])
def test_randint_excludes_its_upper_bound(word: str) -> None:
    distribution = parse_distribution({word: [2, 5]})
    assert {distribution.sample(Random(seed)) for seed in range(200)} == {2, 3, 4}
    assert distribution.extent == (2, 4)
    assert distribution.size == 3
    assert not distribution.contains(5)
    assert not distribution.contains(2.0)
    assert not distribution.contains(True)


def test_loguniform_draws_as_often_below_the_geometric_mean_as_above() -> None:
    rng, distribution = Random(0), LogUniform(1e-4, 1.0)
    below = sum(distribution.sample(rng) < 1e-2 for _ in range(4000))
    assert abs(below - 2000) < 4 * math.sqrt(1000)  # 4 standard deviations of a fair coin


def test_choice_keeps_zero_false_and_the_text_zero_apart() -> None:
    choice = parse_distribution({"choice": [0, 0.0, "0", False, None]})
    assert [type(value) for value in choice.arguments] == [int, float, str, bool, type(None)]
    only_false = Choice((False,))
    assert only_false.contains(False)
    assert not only_false.contains(0)
    assert choice.extent == (0, 0)


def test_lists_of_equal_numbers_of_other_types_are_other_values() -> None:
    choice = parse_distribution({"choice": [[1, 2], [1.0, 2.0], [1, [2]]]})
    assert choice == Choice(((1, 2), (1.0, 2.0), (1, (2,))))
    assert choice.contains((1.0, 2.0))
    assert not any(map(choice.contains, ((True, 2), (1,), 1, (1, 2.0))))
    assert choice.extent is None


def test_words_of_ray_tune_and_optuna_are_understood() -> None:
    assert parse_distribution({"grid_search": [1, 2]}) == Grid((1, 2))
    assert parse_distribution({"categorical": [1, 2]}) == Choice((1, 2))


def test_grid_size_is_the_product_of_the_listed_values() -> None:
    assert grid_size({"a": Grid((1, 2)), "b": Choice((1, 2, 3)), "c": Uniform(0, 1)}) == 6


def test_every_distribution_is_found_under_its_own_name() -> None:
    assert {name: kind.name for name, kind in DISTRIBUTIONS.items()} == {
        n: n for n in DISTRIBUTIONS
    }


HINT = "`loguniform`, `quniform`, `randint`, `qrandint`, `lograndint`, `choice`, `grid`"


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ({"choice": []}, "`choice` is empty; list the values to try"),
        ({"choice": [4, 8, 4]}, "`choice` lists 4 twice"),
        ({"choice": [[1, 2], []]}, "`choice` has an empty list among its values"),
        ({"choice": [[1, 2], [1, 2]]}, "`choice` lists [1, 2] twice"),
        ({"choice": [[[[1]]]]}, "`choice` has lists that are nested too deep"),
        ({"choice": [[{"a": 2}]]}, '`choice` lists single values, but has {"a": 2}; search the '
         "settings of a group one by one, by their dotted names"),
        ({"choice": [[1, float("inf")]]}, "`choice` takes finite numbers, but has Infinity"),
        ({"choice": [{"a": 2}]}, '`choice` lists single values, but has {"a": 2}; search the '
         "settings of a group one by one, by their dotted names"),
        ({"choice": [float("nan")]}, "`choice` takes finite numbers, but has NaN"),
        ({"choice": 3}, "`choice` takes [a, b, …], but has 3; did you mean "
         "`{choice: [3]}`?"),
        ({"uniform": [1, 0]}, "`uniform` needs low < high, but has [1.0, 0.0]"),
        ({"uniform": [1, 1]}, "`uniform` needs low < high, but has [1.0, 1.0]"),
        ({"uniform": [0]}, "`uniform` takes [low, high], but has [0]"),
        ({"uniform": [0, 1, 2]}, "`uniform` takes [low, high], but has [0, 1, 2]"),
        ({"uniform": ["0", 1]}, '`uniform` takes numbers, but has "0"; did you mean '
         "`{uniform: [0, 1]}`?"),
        ({"uniform": [True, 2]}, "`uniform` takes numbers, but has true"),
        ({"uniform": [0, math.inf]}, "`uniform` takes numbers, but has Infinity"),
        ({"uniform": {"low": 0}}, '`uniform` takes [low, high], but has {"low": 0}'),
        ({"loguniform": [0, 1]}, "`loguniform` needs low > 0, but has [0.0, 1.0]; give a small "
         "positive bound, or list the values with 0 in a `choice`"),
        ({"quniform": [0, 1]}, "`quniform` takes [low, high, q], but has [0, 1]"),
        ({"quniform": [0, 1, 0]}, "`quniform` needs q > 0, but has [0.0, 1.0, 0.0]"),
        ({"qrandint": [0, 7, 2]}, "`qrandint` needs a high that is reached from low in steps of "
         "q, but has [0, 7, 2]; did you mean [0, 6, 2]?"),
        ({"qrandint": [0, 1, 2]}, "`qrandint` needs a high that is reached from low in steps of "
         "q, but has [0, 1, 2]"),
        ({"qrandint": [0, 4, 0]}, "`qrandint` needs q >= 1, but has [0, 4, 0]"),
        ({"qrandint": [0, 4, 0.5]}, "`qrandint` takes whole numbers, but has 0.5"),
        ({"qrandint": [4, 4, 1]}, "`qrandint` needs low < high, but has [4, 4, 1]"),
        ({"int": [3, 7], "step": 2}, 'must be one distribution, but is {"int": [3, 7], "step": 2}'
         "; did you mean `{qrandint: [3, 7, 2]}`?"),
        ({"randint": [3, 8], "step": 0}, 'must be one distribution, but is {"randint": [3, 8], '
         '"step": 0}'),
        ({"quniform": [0, 1, 0.3]}, "`quniform` needs bounds that are multiples of q, but has "
         "[0.0, 1.0, 0.3]"),
        ({"randint": [3, 3]}, "`randint` excludes its upper bound, so [3, 3] is empty; "
         "did you mean [3, 4]?"),
        ({"randint": [5, 3]}, "`randint` needs low < high, but has [5, 3]"),
        ({"randint": [0.5, 3]}, "`randint` takes whole numbers, but has 0.5"),
        ({"lograndint": [0, 3]}, "`lograndint` needs low >= 1, but has [0, 3]; list the values "
         "with 0 in a `choice`"),
        ({"log_uniform": [1, 2]}, "`log_uniform` is not a distribution; "
         "did you mean `{loguniform: [1, 2]}`?"),
        ({"int": [1, 2]}, "`int` is not a distribution; did you mean "
         "`{randint: [1, 3]}`?"),
        ({"zipf": [1]}, f"`zipf` is not a distribution; there are `uniform`, {HINT}"),
        ({"patience": {"choice": [1]}}, "`patience` is not a distribution; the settings of a group "
         "are searched by their dotted names, such as `loss.warmup_epochs: {randint: [0, 20]}`"),
        ([1, 2], "must be a distribution, such as `{randint: [0, 20]}`, but is [1, 2]; did you "
         "mean `{choice: [1, 2]}`?"),
        (3, "must be a distribution, such as `{randint: [0, 20]}`, but is 3; a value that all "
         "trials have stands outside of `space`"),
        ({"value": 3}, "`value` is not a distribution: a value of all trials stands outside "
         "of `space`"),
        (None, "must be a distribution, such as `{randint: [0, 20]}`, but is null"),
        ({}, "must be one distribution, but is {}"),
        ({"uniform": [0, 1], "choice": [1]},
         'must be one distribution, but is {"uniform": [0, 1], "choice": [1]}'),
    ],
)  # fmt: skip
def test_a_wrong_distribution_is_told_with_what_would_be_right(written, message) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        parse_distribution(written)
    assert str(caught.value) == message
