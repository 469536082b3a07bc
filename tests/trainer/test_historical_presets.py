"""The users' V2.3, which they saw turn NaN at the switch-on, on the real numerics."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from sweep.spec.settings.trial_settings import TrialSettings
from sweep.trainer.losses.mask_operators import guarded_sqrt
from sweep.trial.fit import fit
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.record import Outcome, Stage, Status

ACCIDENT = ("preset=geometric-v2.3", "loss.warmup_epochs=5", "trainer.epochs=8")
"""Warm-up 5 instead of 20, because another file was installed."""


def train(config: TrialSettings) -> tuple[list[EpochMetrics], Outcome]:
    history: list[EpochMetrics] = []
    return history, fit(config, report=history.append)


@pytest.fixture
def accident(trial: Callable[..., TrialSettings]) -> Callable[..., TrialSettings]:
    """The tiny trial under V2.3 as it ran, its own loss settings taken away."""
    return lambda *overrides: trial("loss={}", *ACCIDENT, *overrides)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("difficulty", [0, 0.8])
def test_v2_3_with_its_accidental_warmup_of_5_does_not_diverge_in_float32(
    accident: Callable[..., TrialSettings], seed: int, difficulty: float
) -> None:
    history, outcome = train(accident(f"seed={seed}", f"data.difficulty={difficulty}"))
    assert outcome.status is Status.COMPLETED
    assert [epoch.geometric_factor for epoch in history] == [0] * 5 + [1] * 3
    # Far from the clip at 12, which therefore never acts.
    assert all(epoch.grad_norm is not None and epoch.grad_norm < 4 for epoch in history)


def test_what_diverges_at_that_very_epoch_is_an_epsilon_of_zero(
    accident: Callable[..., TrialSettings],
) -> None:
    history, outcome = train(accident("loss.sqrt_epsilon=0"))
    assert len(history) == 5
    assert outcome.divergence is not None
    assert (outcome.divergence.epoch, outcome.divergence.stage) == (5, Stage.GRADIENT)
    assert outcome.divergence.term == "compactness"


@pytest.mark.parametrize("mode", ["clamp", "offset", "centered"])
@pytest.mark.parametrize("epsilon", [1e-12, 1e-4, 1e-2])
def test_the_slope_of_the_gradients_magnitude_is_at_most_one_whatever_epsilon(
    mode: str, epsilon: float
) -> None:
    # The bound 1/(2√ε) is that of √q; q is a square g², whose own slope 2g takes it back.
    g = torch.cat([torch.zeros(1), torch.logspace(-20, 5, 400)]).requires_grad_()
    guarded_sqrt(g.square(), epsilon, mode).sum().backward()  # type: ignore[arg-type]
    assert g.grad is not None
    assert g.grad.min() >= 0
    assert g.grad.max() <= 1 + 1e-6


@pytest.mark.parametrize("epsilon", [1e-4, 1e-2])
def test_in_float16_the_moments_of_v2_3_are_nan_at_64_pixels_whatever_epsilon(
    epsilon: float,
) -> None:
    # The formulas as the post-mortem has them, a disc of 20 pixels: Σ p·x² is beyond 65,504, and
    # trace² − 4·det is infinity minus infinity, which no clamp mends.
    axis = torch.arange(64, dtype=torch.float16)
    p = ((axis - 32) ** 2 + (axis[:, None] - 32) ** 2 <= 400).half()
    area = p.sum()
    a = (p * axis**2).sum() / area - ((p * axis).sum() / area) ** 2
    b = (p * axis[:, None] ** 2).sum() / area - ((p * axis[:, None]).sum() / area) ** 2
    assert a.isinf()
    discriminant = torch.clamp((a + b) ** 2 - 4 * a * b, min=epsilon)
    assert torch.sqrt(discriminant).isnan()
