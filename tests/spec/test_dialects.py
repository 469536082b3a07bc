"""Distributions as other tools write them, in the words of this package."""

from __future__ import annotations

import math
from random import Random

import pytest
from ruamel.yaml import YAML

from sweep.spec.space.distribution_yaml import parse_distribution
from sweep.spec.space.distributions import Distribution
from sweep.spec.words.dialects import in_our_words


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        # Ray Tune, as the text of Python
        ("tune.loguniform(1e-4, 1e-1)", "{loguniform: [0.0001, 0.1]}"),
        ("tune.choice([4, 8])", "{choice: [4, 8]}"),
        ("tune.grid_search(['sgd', 'adamw'])", "{choice: [sgd, adamw]}"),
        ("tune.quniform(0, 1, 0.1)", "{quniform: [0, 1, 0.1]}"),
        ("randint(0, 10)", "{randint: [0, 10]}"),
        # Optuna, whose integers include the upper bound
        ('trial.suggest_float("x", 1e-3, 1, log=True)', "{loguniform: [0.001, 1]}"),
        ('trial.suggest_int("x", 4, 8)', "{randint: [4, 9]}"),
        ('trial.suggest_categorical("x", ["a", "b"])', "{choice: [a, b]}"),
        ({"type": "int", "low": 4, "high": 8}, "{randint: [4, 9]}"),
        ({"low": 0.1, "high": 1.0, "log": True}, "{loguniform: [0.1, 1]}"),
        # W&B
        ({"min": 0.001, "max": 0.1}, "{uniform: [0.001, 0.1]}"),
        ({"min": 4, "max": 8}, "{randint: [4, 9]}"),
        ({"min": 0.0012345678, "max": 1.0}, "{uniform: [0.0012345678, 1]}"),
        ({"distribution": "log_uniform_values", "min": 1e-5, "max": 1e-3},
         "{loguniform: [1e-05, 0.001]}"),
        ({"distribution": "q_uniform", "min": 0, "max": 1, "q": 0.5}, "{quniform: [0, 1, 0.5]}"),
        ({"values": [1, 2]}, "{choice: [1, 2]}"),
        ({"values": [[16, 32], [32, 64]]}, "{choice: [[16, 32], [32, 64]]}"),
        ("tune.choice([[16, 32], [32, 64]])", "{choice: [[16, 32], [32, 64]]}"),
        # ours, in another form
        ({"uniform": {"low": 0, "high": 1}}, "{uniform: [0, 1]}"),
        ({"loguniform": ["1e-3", "1"]}, "{loguniform: [0.001, 1]}"),
        ({"choice": "unet"}, "{choice: [unet]}"),
    ],
)  # fmt: skip
def test_distribution_of_another_tool_is_proposed_in_our_words(theirs: object, ours: str) -> None:
    assert in_our_words(theirs) == ours
    with pytest.raises(ValueError, match="did you mean") as caught:
        parse_distribution(theirs)
    assert str(caught.value).endswith(f"did you mean `{ours}`?")


@pytest.mark.parametrize(
    "value",
    ["", "f(", "f(((", "choice()", "uniform(a, b)", "0.1 to 1", {}, {"mu": 0, "sigma": 1}, {1: 2},
     {"distribution": "normal", "mu": 0}, {"loguniform": [-1, 1]}, [], [[[1]]], 3, None,
     {"uniform": [0, 1], "choice": [1]},
     # There is no distribution here that draws the same.
     "tune.qrandint(4, 8)", "tune.qrandint(4, 8, 1)", "tune.qrandint(3, 10, 4)",
     "tune.qloguniform(1, 8, 1)", 'trial.suggest_float("x", 0.1, 0.5, step=0.2)',
     {"distribution": "q_uniform", "min": 1, "max": 10, "q": 4},
     {"distribution": "inv_log_uniform", "min": 2, "max": 9},
     {"values": [1, 2], "probabilities": [0.3, 0.7]}, {"choice": [1, 2], "probs": [0.3, 0.7]},
     # A tool that nobody here knows may mean something else by the same word.
     "hp.uniform('x', 0, 1)", "random.randint(1, 3)", {"_type": "uniform", "_value": [0, 1]},
     # Normal distributions, of which there are none here.
     "tune.randn(0, 1)", "tune.qrandn(0, 1, 0.1)", "hp.normal('x', 0, 1)",
     "hp.lognormal('x', 0, 1)",
     {"distribution": "log_normal", "mu": 0, "sigma": 1}, {"_type": "lognormal", "_value": [1, 2]},
     {"_type": "qlognormal", "_value": [1, 2, 1]}, {"_type": "normal", "_value": [0, 1]},
     # Nobody knows whether the end is included, or whether exponents are meant.
     {"start": 1, "stop": 9, "step": 2}, {"start": 1, "end": 9},
     {"distribution": "log_uniform", "min": 0.001, "max": 0.1},
     "0,5", "glob(*)", "hp.Int('x', 1, 8, sampling='reverse_log')", "int(interval(0.5, 2))",
     "tag(log, choice(1, 2))", "uniform(1, 1)", "qrandint(1, 9, 0)", "f(" + "9" * 5000 + ", 1)",
     "uniform(0, " + "9" * 400 + ")", "tag(log, " * 2000 + ")" * 2000],
)  # fmt: skip
def test_what_nothing_can_be_made_of_is_refused_without_a_proposal(value: object) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        parse_distribution(value)
    assert "did you mean" not in str(caught.value)


def drawn(proposal: str) -> tuple[Distribution, list[object]]:
    distribution = parse_distribution(YAML(typ="safe", pure=True).load(proposal))
    rng = Random(0)
    return distribution, [distribution.sample(rng) for _ in range(3000)]


# What a tool's documentation says that its distribution draws.
RAY = "Ray 2.60, ray.tune.search.sample: upper is excluded, with a q above 1 included"
OPTUNA = "Optuna 5.0, optuna.trial.Trial: low + k · step, up to high; integers include it"
WANDB = "W&B, Sweep configuration: `q_` rounds X / q, `log_uniform` draws exp of its bounds"


@pytest.mark.parametrize(
    ("theirs", "values", "source"),
    [
        ("tune.randint(4, 8)", {4, 5, 6, 7}, RAY),
        ("tune.qrandint(4, 16, 4)", {4, 8, 12, 16}, RAY),
        ("tune.lograndint(1, 4)", {1, 2, 3}, RAY),
        ("tune.lograndint(1, 4, 10)", {1, 2, 3}, RAY),
        ("tune.quniform(0, 1, 0.25)", {0, 0.25, 0.5, 0.75, 1}, RAY),
        ('trial.suggest_int("x", 4, 16, step=4)', {4, 8, 12, 16}, OPTUNA),
        ('trial.suggest_int("x", 3, 10, step=3)', {3, 6, 9}, OPTUNA),
        ('trial.suggest_int("x", 1, 4, log=True)', {1, 2, 3, 4}, OPTUNA),
        ('trial.suggest_float("x", 0, 1, step=0.25)', {0, 0.25, 0.5, 0.75, 1}, OPTUNA),
        ('trial.suggest_discrete_uniform("x", 0, 1, 0.5)', {0, 0.5, 1}, OPTUNA),
        ({"type": "int", "low": 2, "high": 9, "step": 3}, {2, 5, 8}, OPTUNA),
        ({"int": [3, 7], "step": 2}, {3, 5, 7}, OPTUNA),
        ({"int": [3, 8], "step": 2}, {3, 5, 7}, OPTUNA),
        ({"float": [0, 1], "step": 0.5}, {0, 0.5, 1}, OPTUNA),
        ({"int": [1, 4], "log": True}, {1, 2, 3, 4}, OPTUNA),
        ({"randint": [3, 7], "step": 2}, {3, 5}, "upper is excluded, as in randint without step"),
        ({"randint": [3, 7, 2]}, {3, 5}, "upper is excluded, as in randint without step"),
        ({"qrandint": {"lower": 4, "upper": 8, "q": 2}}, {4, 6, 8}, RAY),
        ({"distribution": "int_uniform", "min": 1, "max": 3}, {1, 2, 3}, WANDB),
        ({"distribution": "q_uniform", "min": 0, "max": 10, "q": 5}, {0, 5, 10}, WANDB),
        ([0.1, 0.2], {0.1, 0.2}, "a list"),
    ],
)  # fmt: skip
def test_proposal_draws_the_values_that_the_other_tool_draws(
    theirs: object, values: set[object], source: str
) -> None:
    proposal = in_our_words(theirs)
    assert proposal is not None, source
    assert {*drawn(proposal)[1]} == values, source


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("tune.qrandint(0, 1000, 10)", "{qrandint: [0, 1000, 10]}"),
        ('trial.suggest_int("x", 1, 1000, step=7)', "{qrandint: [1, 995, 7]}"),
        ({"int": [3, 7], "step": 2}, "{qrandint: [3, 7, 2]}"),
        ({"qrandint": [3, 7], "step": 2}, "{qrandint: [3, 7, 2]}"),
    ],
)
def test_whole_numbers_with_a_step_are_proposed_however_many_there_are(
    theirs: object, ours: str
) -> None:
    assert in_our_words(theirs) == ours
    with pytest.raises(ValueError, match=r"did you mean `\{qrandint"):
        parse_distribution(theirs)


E = math.e


@pytest.mark.parametrize(
    ("theirs", "low", "high", "log", "source"),
    [
        ("tune.uniform(-1, 2)", -1, 2, False, RAY),
        ("tune.loguniform(1e-4, 1e-1)", 1e-4, 1e-1, True, RAY),
        ("tune.loguniform(1e-4, 1e-1, 10)", 1e-4, 1e-1, True, RAY),
        ('trial.suggest_float("x", 1e-4, 1e-1, log=True)', 1e-4, 1e-1, True, OPTUNA),
        ('trial.suggest_loguniform("x", 1e-4, 1e-1)', 1e-4, 1e-1, True, OPTUNA),
        ({"distribution": "log_uniform", "min": 1, "max": 3}, E, E**3, True, WANDB),
        ({"distribution": "log_uniform", "min": -9, "max": -2}, E**-9, E**-2, True, WANDB),
        ({"distribution": "log_uniform_values", "min": 1, "max": 3}, 1, 3, True, WANDB),
        ({"min": 0.0, "max": 1}, 0, 1, False, WANDB),
        ({"uniform": {"low": 1e-4, "high": 1e-1, "log": True}}, 1e-4, 1e-1, True, OPTUNA),
    ],
)  # fmt: skip
def test_proposal_draws_from_the_range_that_the_other_tool_draws_from(
    theirs: object, low: float, high: float, log: bool, source: str
) -> None:
    proposal = in_our_words(theirs)
    assert proposal is not None, source
    distribution, values = drawn(proposal)
    assert distribution.extent == pytest.approx((low, high), rel=1e-5), source
    numbers = sorted(value for value in values if isinstance(value, float))
    assert len({*numbers}) == len(values) == len(numbers)  # a continuum
    middle = math.sqrt(low * high) if log else (low + high) / 2
    below = sum(number < middle for number in numbers) / len(numbers)
    assert below == pytest.approx(0.5, abs=0.05), source
