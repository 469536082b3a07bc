from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from sweep.spec.settings.trial_settings import OptimizerSettings
from sweep.trainer.networks.optimizers import build_optimizer, learning_rate, set_learning_rate

PLAIN: dict[str, Any] = {
    "sgd": lambda parameters: torch.optim.SGD(
        parameters, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01, fused=False
    ),
    "adamw": lambda parameters: torch.optim.AdamW(
        parameters, lr=0.1, weight_decay=0.01, fused=False, foreach=False
    ),
}


@pytest.mark.parametrize("name", PLAIN)
def test_fused_optimizer_steps_like_the_plain_one(name: str) -> None:
    # In float64, where fusing changes nothing but the order of a few roundings.
    settings = OptimizerSettings(name=name, lr=0.1, momentum=0.9, weight_decay=0.01)
    start = torch.randn(50, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    fused, plain = nn.Parameter(start.clone()), nn.Parameter(start.clone())
    optimizers = build_optimizer(settings, [fused]), PLAIN[name]([plain])
    generator = torch.Generator().manual_seed(1)
    for _ in range(10):
        gradient = torch.randn(50, dtype=torch.float64, generator=generator)
        fused.grad, plain.grad = gradient.clone(), gradient.clone()
        for optimizer in optimizers:
            optimizer.step()
    assert not torch.equal(fused, start)
    torch.testing.assert_close(fused, plain, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", PLAIN)
def test_optimizers_are_fused_since_the_guard_withholds_steps_through_the_kernel(name: str) -> None:
    weight = nn.Parameter(torch.ones(3))
    optimizer = build_optimizer(OptimizerSettings(name=name, lr=0.1), [weight])
    assert optimizer.defaults["fused"]
    weight.grad = torch.ones(3)
    optimizer.found_inf = torch.ones(())  # type: ignore[attr-defined]
    optimizer.grad_scale = None  # type: ignore[attr-defined]
    optimizer.step()
    assert torch.equal(weight, torch.ones(3))


def test_sgd_without_momentum_has_no_nesterov() -> None:
    settings = OptimizerSettings(name="sgd", lr=0.5, momentum=0, weight_decay=0)
    weight = nn.Parameter(torch.ones(3))
    optimizer = build_optimizer(settings, [weight])
    weight.grad = torch.ones(3)
    optimizer.step()
    assert torch.equal(weight, torch.full((3,), 0.5))


@pytest.mark.parametrize(
    ("epoch", "expected"),
    # nnU-Net's PolyLRScheduler(optimizer, 0.01, 1000, 0.9) at these epochs: 0.01 (1 − e/1000)^0.9
    [(0, 0.01), (1, 0.009990999549), (500, 0.005358867313), (999, 1.995262315e-05)],
)
def test_poly_schedule_is_that_of_nnunet(epoch: int, expected: float) -> None:
    assert learning_rate(OptimizerSettings(lr=0.01), epoch, 1000) == pytest.approx(expected)


def test_poly_exponent_one_falls_in_a_straight_line() -> None:
    settings = OptimizerSettings(lr=1.0, poly_exponent=1)
    assert [learning_rate(settings, epoch, 4) for epoch in range(4)] == [1, 0.75, 0.5, 0.25]


@given(epochs=st.integers(1, 300), exponent=st.floats(0.1, 5))
def test_poly_schedule_starts_at_the_learning_rate_and_falls_but_never_to_zero(
    epochs: int, exponent: float
) -> None:
    settings = OptimizerSettings(lr=0.3, poly_exponent=exponent)
    rates = [learning_rate(settings, epoch, epochs) for epoch in range(epochs)]
    assert rates[0] == 0.3
    assert all(0 < later < earlier for earlier, later in pairwise(rates))


@pytest.mark.parametrize("epochs", [1, 2, 7, 50])
def test_cosine_schedule_is_that_of_torch(epochs: int) -> None:
    optimizer = torch.optim.SGD([nn.Parameter(torch.ones(1))], lr=0.3)
    oracle = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    settings = OptimizerSettings(lr=0.3, schedule="cosine")
    for epoch in range(epochs):
        assert learning_rate(settings, epoch, epochs) == pytest.approx(oracle.get_last_lr()[0])
        optimizer.step()
        oracle.step()


def test_constant_schedule_stays() -> None:
    settings = OptimizerSettings(lr=0.3, schedule="constant")
    assert {learning_rate(settings, epoch, 10) for epoch in range(10)} == {0.3}


def test_learning_rate_is_set_in_every_group() -> None:
    groups = [{"params": [nn.Parameter(torch.ones(1))], "lr": lr} for lr in (0.1, 0.2)]
    optimizer = torch.optim.SGD(groups)
    set_learning_rate(optimizer, 0.7)
    assert [group["lr"] for group in optimizer.param_groups] == [0.7, 0.7]
