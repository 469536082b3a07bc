"""Priors: how they are written, what is said of wrong ones, and what is drawn from them."""

from __future__ import annotations

import statistics
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.spec.load import load_sweep, to_yaml
from sweep.spec.space.distribution_yaml import as_yaml, parse_distribution
from sweep.spec.space.prior_draws import CHANCE, SPREAD, draw
from sweep.spec.space.priors import Prior
from sweep.vocabulary.errors import InputError
from sweep.vocabulary.parameter_values import exactly

FORMS = [
    {"uniform": [-1, 3], "prior": 0},
    {"loguniform": [1e-5, 1e-1], "prior": {"value": 0.01, "sure": "high"}},
    {"quniform": [0, 1, 0.1], "prior": {"value": 0.3}},
    {"randint": [0, 8], "prior": {"value": 7, "sure": "low"}},
    {"qrandint": [3, 11, 4], "prior": 7},
    {"lograndint": [1, 1000], "prior": 10},
    {"choice": [[8, 16], [16, 32]], "prior": [16, 32]},
    {"choice": [None, 3], "prior": None},
    {"randint": [3, 4], "prior": 3},
]
each = pytest.mark.parametrize("form", FORMS, ids=str)


@each
def test_prior_is_read_back_from_its_yaml_form(form: dict[str, object]) -> None:
    distribution = parse_distribution(form)
    assert parse_distribution(as_yaml(distribution)) == distribution
    assert distribution.prior is not None
    assert distribution.contains(distribution.prior.value)


@each
@given(seed=st.integers(0, 10_000))
def test_draw_from_a_prior_lies_in_its_distribution(form: dict[str, object], seed: int) -> None:
    distribution = parse_distribution(form)
    value = draw(distribution, Random(seed))
    assert distribution.contains(value)
    assert exactly(draw(distribution, Random(seed))) == exactly(value)


def test_likely_value_alone_is_of_medium_certainty() -> None:
    assert parse_distribution({"uniform": [0, 1], "prior": 0.5}).prior == Prior(0.5, "medium")


def test_spread_is_on_the_scale_of_the_distribution() -> None:
    # Four orders of magnitude: 0.05 of the scale is 0.2 of them.
    form = {"loguniform": [1e-5, 1e-1], "prior": {"value": 1e-3, "sure": "high"}}
    distribution, rng = parse_distribution(form), Random(0)
    drawn = sorted(draw(distribution, rng) for _ in range(4001))
    low, middle, high = (drawn[round(4000 * share)] for share in (0.1587, 0.5, 0.8413))
    assert middle == pytest.approx(1e-3, rel=0.05)
    assert [low, high] == pytest.approx([10**-3.2, 10**-2.8], rel=0.05)


def test_likely_one_of_listed_values_is_drawn_with_its_chance() -> None:
    form = {"choice": ["a", "b", "c"], "prior": {"value": "b", "sure": "high"}}
    distribution, rng = parse_distribution(form), Random(0)
    share = statistics.mean(draw(distribution, rng) == "b" for _ in range(4000))
    # 0.8, and a third of the rest; 5 standard deviations.
    assert share == pytest.approx(0.8 + 0.2 / 3, abs=5 * (0.867 * 0.133 / 4000) ** 0.5)


def test_more_certainty_is_less_spread() -> None:
    assert SPREAD["high"] < SPREAD["medium"] < SPREAD["low"]
    assert CHANCE["high"] > CHANCE["medium"] > CHANCE["low"]


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ({"uniform": [0, 1], "prior": 2}, '`prior` must be a value of {"uniform": [0.0, 1.0]}, but '
         "is 2"),
        ({"uniform": [0, 1], "prior": True}, '`prior` must be a value of {"uniform": [0.0, 1.0]}, '
         "but is true"),
        ({"randint": [0, 4], "prior": 4}, '`prior` must be a value of {"randint": [0, 4]}, but is '
         "4"),
        ({"choice": [1, 2], "prior": [1]}, '`prior` must be a value of {"choice": [1, 2]}, but is '
         "[1]"),
        ({"uniform": [0, 1], "prior": {"value": 1, "sure": "hihg"}}, "`prior`: `sure` must be "
         '`low`, `medium` or `high`, but is "hihg"; did you mean `high`?'),
        ({"uniform": [0, 1], "prior": {"sure": "high"}}, "`prior` needs the likely value, such as "
         "`{value: 0.01, sure: high}`"),
        ({"uniform": [0, 1], "prior": {"valu": 1}}, '`prior` has no "valu"; did you mean `value`?'),
        ({"grid": [1, 2], "prior": 1}, "`grid` tries every value, so `prior` has no effect; use "
         "`choice`"),
        ({"uniform": [0, 1], "priors": 1}, 'must be one distribution, but is {"uniform": [0, 1], '
         '"priors": 1}; did you mean `prior`?'),
        ({"randint": [0, "loss.warmup_epochs"], "prior": 3}, "`prior` cannot stand beside a bound "
         "that is the name of a setting"),
        ({"prior": 0.1}, 'must be one distribution, but is {"prior": 0.1}'),
    ],
)  # fmt: skip
def test_a_wrong_prior_is_told_with_what_would_be_right(
    form: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        parse_distribution(form)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"searcher": "qmc"}, "`prior` has no effect: `searcher: qmc` spreads its trials evenly "
         "over the space; use `tpe`, `gp` or `random`"),
        ({"searcher": "cmaes"}, "`prior` has no effect: `searcher: cmaes` learns only from points "
         "that it drew itself; use `tpe`, `gp` or `random`"),
        ({"searcher": "grid"}, "`prior` has no effect: `searcher: grid` tries every value; use "
         "`tpe`, `gp` or `random`"),
    ],
)  # fmt: skip
def test_a_searcher_that_uses_no_prior_is_refused_beside_one(
    values: dict[str, object], message: str
) -> None:
    space = {"loss.sqrt_epsilon": {"choice": [1e-6, 1e-4], "prior": 1e-6}}
    with pytest.raises(InputError) as caught:
        load_sweep({"name": "x", "space": space, "trials": 2, "presets": [], **values})
    assert [(one.key, one.message) for one in caught.value.mistakes] == [
        ("space.loss.sqrt_epsilon", message)
    ]


def test_a_prior_of_a_setting_that_is_replayed_is_refused() -> None:
    space = {
        "early_stopping.patience": {"choice": [3, 9], "prior": 3},
        "optimizer.lr": {"loguniform": [1e-3, 1e-1], "prior": 0.01},
    }
    with pytest.raises(InputError, match="trains no trial for this setting"):
        load_sweep({"name": "x", "space": space})
    load_sweep({"name": "x", "space": space, "replay_patience": False})


def test_a_sweep_with_priors_is_the_same_when_it_is_read_back(tmp_path) -> None:
    space = {
        "optimizer.lr": {"loguniform": [1e-3, 1e-1], "prior": {"value": 0.01, "sure": "high"}},
        "network.channels": {"choice": [[8, 16, 32], [16, 32, 64]], "prior": [8, 16, 32]},
    }
    spec = load_sweep({"name": "x", "space": space})
    (tmp_path / "x.yaml").write_text(to_yaml(spec))
    assert load_sweep(tmp_path / "x.yaml") == spec
