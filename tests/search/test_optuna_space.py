from __future__ import annotations

from random import Random

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.search.searchers.optuna_space import make_codec
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

DISTRIBUTIONS: list[Distribution] = [
    Uniform(-1.0, 0.3),
    LogUniform(1e-3, 1.0),
    QUniform(0.1, 0.9, 0.1),
    QUniform(-3.0, 7.5, 0.75),
    RandInt(2, 8),
    QRandInt(-5, 16, 7),
    LogRandInt(1, 1000),
    Choice((0, 0.0, False, None, "0", "None", 1e-8)),
    Grid((4, 8, 12)),
    Choice(((16, 32), (16.0, 32.0), (16, (1, 2)), 16, "(16, 32)")),
]
each = pytest.mark.parametrize("distribution", DISTRIBUTIONS, ids=str)


@each
@given(seed=st.integers(0, 10_000))
def test_value_comes_back_from_optuna_bit_for_bit(distribution: Distribution, seed: int) -> None:
    codec = make_codec(distribution)
    value = distribution.sample(Random(seed))
    # As the samplers see it: for Optuna, 0.0 and False are the first choice that equals them.
    internal = codec.distribution.to_internal_repr(codec.encode(value))
    back = codec.decode(codec.distribution.to_external_repr(internal))
    assert repr(back) == repr(value)


@each
def test_what_optuna_draws_lies_in_the_distribution(distribution: Distribution) -> None:
    codec = make_codec(distribution)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    for _ in range(200):
        asked = study.ask({"x": codec.distribution}).params["x"]
        assert distribution.contains(codec.decode(asked))
        assert codec.encode(codec.decode(asked)) == asked


@pytest.mark.parametrize("distribution", [RandInt(2, 8), LogRandInt(2, 8)], ids=str)
def test_upper_bound_of_whole_numbers_is_excluded(distribution: Distribution) -> None:
    optuna_side = make_codec(distribution).distribution
    assert isinstance(optuna_side, optuna.distributions.IntDistribution)
    assert (optuna_side.low, optuna_side.high) == (2, 7)
