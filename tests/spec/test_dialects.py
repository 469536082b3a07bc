"""Distributions as other tools write them, in the words of this package."""

from __future__ import annotations

import pytest

from sweep.spec.dialects import in_our_words
from sweep.spec.searched import parse_distribution


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
        ({"distribution": "log_uniform_values", "min": 1e-5, "max": 1e-3},
         "{loguniform: [1e-05, 0.001]}"),
        ({"distribution": "q_uniform", "min": 0, "max": 1, "q": 0.5}, "{quniform: [0, 1, 0.5]}"),
        ({"values": [1, 2]}, "{choice: [1, 2]}"),
        # NNI
        ({"_type": "uniform", "_value": [0, 1]}, "{uniform: [0, 1]}"),
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
     {"distribution": "normal", "mu": 0}, {"loguniform": [-1, 1]}, [1, 2], 3, None,
     {"uniform": [0, 1], "choice": [1]}],
)  # fmt: skip
def test_what_nothing_can_be_made_of_is_refused_without_a_proposal(value: object) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        parse_distribution(value)
    assert "did you mean" not in str(caught.value)
