"""Test-time augmentation: the mean over the mirror images, and what follows from it."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sweep.data.prepared.prepare import prepare
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.trainer.evaluation.inference import Inference
from sweep.trainer.evaluation.mirroring import mean_over_flips
from sweep.trainer.runs.monai_run import MonaiTraining

MakeTrial = Callable[..., TrialSettings]


@pytest.fixture
def network() -> nn.Module:
    """A convolution that sees its direction."""
    torch.manual_seed(0)
    return nn.Conv2d(1, 3, 3, padding=1)


def images(height: int = 6, width: int = 9) -> Tensor:
    return torch.randn(2, 1, height, width, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def test_the_mean_is_that_of_the_four_flips_turned_back(network: nn.Module) -> None:
    x = images()
    p = network(x).softmax(1)
    rows = network(x.flip(2)).softmax(1).flip(2)
    columns = network(x.flip(3)).softmax(1).flip(3)
    both = network(x.flip(2).flip(3)).softmax(1).flip(3).flip(2)
    found = mean_over_flips(network, x)
    torch.testing.assert_close(found, (p + rows + columns + both) / 4)
    torch.testing.assert_close(found.sum(dim=1), torch.ones(2, 6, 9))


@torch.no_grad()
@pytest.mark.parametrize("axes", [(2,), (3,), (2, 3)])
def test_a_flipped_image_has_the_flipped_prediction(
    network: nn.Module, axes: tuple[int, ...]
) -> None:
    direct = mean_over_flips(network, images())
    torch.testing.assert_close(mean_over_flips(network, images().flip(axes)).flip(axes), direct)


@torch.no_grad()
def test_no_more_than_the_sum_of_earlier_flips_is_kept_for_the_next() -> None:
    shape, alive = (1, 7, 4, 6, 5), []

    def predict(x: Tensor) -> Tensor:
        kept = (one for one in gc.get_objects() if type(one) is Tensor and one.shape == shape)
        alive.append(sum(1 for _ in kept))
        return x.expand(shape).contiguous()

    found = mean_over_flips(predict, torch.zeros(1, 1, *shape[2:]))
    torch.testing.assert_close(found, torch.full(shape, 1 / 7))
    assert alive == [0, *[1] * 7]


def test_a_prediction_that_knows_no_direction_is_left_as_it_is() -> None:
    def pointwise(x: Tensor) -> Tensor:
        return torch.cat([x, -x], dim=1)

    torch.testing.assert_close(
        mean_over_flips(pointwise, images()), pointwise(images()).softmax(dim=1)
    )


@pytest.mark.parametrize("patch", ["null", "16"])
def test_validation_decides_by_the_mean_where_asked_to(
    trial: MakeTrial, monkeypatch: pytest.MonkeyPatch, patch: str
) -> None:
    calls: list[Any] = []
    logits = Inference.logits

    def counted(self: Inference, x: Tensor) -> Tensor:
        calls.append(x.shape)
        return logits(self, x)

    monkeypatch.setattr(Inference, "logits", counted)
    dice = {}
    for tta, cost in (("none", 1), ("flips", 4)):
        config = trial(f"evaluation.tta={tta}", f"data.patch_size={patch}", "data.difficulty=1")
        training = MonaiTraining(config, prepare(config.data))
        calls.clear()
        dice[tta] = training.dice_per_case().mean()
        batches = -(-len(training.data.validation) // config.trainer.batch_size)
        assert len(calls) == cost * batches
    assert dice["none"] != dice["flips"]


def test_training_is_the_same_with_and_without(trial: MakeTrial) -> None:
    def losses(tta: str) -> list[float | None]:
        config = trial(f"evaluation.tta={tta}")
        training = MonaiTraining(config, prepare(config.data))
        return [training.run_epoch(epoch).train_loss for epoch in range(3)]

    assert losses("flips") == losses("none")
