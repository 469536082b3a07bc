"""nnU-Net's own loss plus the geometric terms: values by hand, and where gradients go."""

from __future__ import annotations

import math
from copy import deepcopy
from pathlib import Path

import pytest
import torch
from nnunetv2.training.loss.compound_losses import DC_and_CE_loss
from nnunetv2.training.loss.deep_supervision import DeepSupervisionWrapper
from nnunetv2.training.loss.dice import MemoryEfficientSoftDiceLoss
from torch import Tensor

from sweep.nnunet.training.nnunet_loss import NnunetLoss
from sweep.spec.settings.geometric_terms import GeometricWeights
from sweep.spec.settings.loss_settings import LossSettings
from sweep.trainer.losses.geometric import aspect
from sweep.trainer.losses.geometric_loss import as_slices, geometric_terms
from sweep.trainer.losses.main_losses import build_main_loss

SHARES = (4 / 7, 2 / 7, 1 / 7, 0.0)  # nnU-Net's: halved, the coarsest left out


def own(*, batch_dice: bool = True, supervised: bool = False) -> torch.nn.Module:
    """What nnU-Net builds."""
    dice = {"batch_dice": batch_dice, "smooth": 1e-5, "do_bg": False, "ddp": False}
    pair = DC_and_CE_loss(dice, {}, dice_class=MemoryEfficientSoftDiceLoss)
    return DeepSupervisionWrapper(pair, SHARES) if supervised else pair


def example(*size: int, batch: int = 3, classes: int = 2) -> tuple[Tensor, Tensor]:
    """Logits ``[B, C, …]`` of blobs, and labels ``[B, 1, …]``."""
    generator = torch.Generator().manual_seed(len(size))
    labels = torch.zeros(batch, 1, *size)
    middle = (slice(None), 0, *(slice(n // 4, 3 * n // 4) for n in size))
    labels[middle] = 1
    noise = torch.randn(batch, classes, *size, generator=generator)
    logits = noise + 3 * torch.cat([1 - labels, labels], dim=1)
    return logits.requires_grad_(), labels


SETTINGS = LossSettings(weights=GeometricWeights(compactness=0.3, boundary=0.2, aspect=0.1))


@pytest.mark.parametrize("batch_dice", [True, False])
def test_in_the_warmup_the_loss_is_nnunets_to_the_last_bit(batch_dice: bool) -> None:
    logits, labels = example(32, 32)
    loss = NnunetLoss(own(batch_dice=batch_dice), SETTINGS, (1,))
    assert loss(logits, labels).item() == own(batch_dice=batch_dice)(logits, labels).item()
    assert loss.terms.keys() == {"dice", "ce"}
    assert loss.terms["dice"].item() == pytest.approx(1 - _dice(logits, labels, batch_dice))


def _dice(logits: Tensor, labels: Tensor, batch_dice: bool) -> float:
    """Soft Dice of the foreground: over the batch as one image, or the mean over its images."""
    p = logits.detach().softmax(dim=1)[:, 1]
    t = labels[:, 0]
    axes = (0, 1, 2) if batch_dice else (1, 2)
    return float(((2 * (p * t).sum(axes)) / (p.sum(axes) + t.sum(axes))).mean())


def test_terms_add_up_to_the_total_and_dice_is_one_minus_dice() -> None:
    logits, labels = example(32, 32)
    settings = SETTINGS.model_copy(update={"dice_weight": 0.5, "pixel_weight": 2.0})
    loss = NnunetLoss(own(), settings, (1,))
    loss.factor = 0.25
    total = loss(logits, labels)
    terms = {name: value.item() for name, value in loss.terms.items()}
    geometric = 0.3 * terms["compactness"] + 0.2 * terms["boundary"] + 0.1 * terms["aspect"]
    expected = 0.5 * (terms["dice"] - 1) + 2 * terms["ce"] + 0.25 * geometric
    assert total.item() == pytest.approx(expected, abs=1e-6)


def test_main_term_of_weight_zero_is_neither_computed_nor_told() -> None:
    logits, labels = example(32, 32)
    loss = NnunetLoss(own(), SETTINGS.model_copy(update={"dice_weight": 0.0}), (1,))
    loss(logits, labels)
    assert loss.terms.keys() == {"ce"}
    assert loss.main_weights.keys() == {"ce"}


def test_deep_supervision_weighs_the_main_loss_and_geometry_sees_the_main_output_alone() -> None:
    sizes = (32, 16, 8, 4)
    outputs, targets = zip(*(example(n, n) for n in sizes), strict=True)
    loss = NnunetLoss(own(supervised=True), SETTINGS, (1,))
    without = loss(outputs, targets)
    assert without.item() == own(supervised=True)(outputs, targets).item()
    each = [own()(output, target) for output, target in zip(outputs, targets, strict=True)]
    expected = sum(share * value.item() for share, value in zip(SHARES, each, strict=True))
    assert without.item() == pytest.approx(expected, abs=1e-6)
    loss.factor = 1.0
    loss(outputs, targets)
    geometry = torch.stack([loss.terms[name] for name in ("compactness", "boundary", "aspect")])
    main, *others = torch.autograd.grad(geometry.sum(), outputs, allow_unused=True)
    assert main.abs().max() > 0
    assert others == [None, None, None]


@pytest.mark.parametrize("ignore_label", [None, 2])
def test_focal_and_log_cosh_dice_take_the_places_of_nnunets_terms(ignore_label: int | None) -> None:
    logits, labels = example(32, 32)
    if ignore_label is not None:
        labels[..., :8] = ignore_label
    settings = LossSettings(main="focal_logcosh_dice", dice_weight=0.5, focal_gamma=3.0)
    pair = own() if ignore_label is None else _ignoring(ignore_label)
    plain = NnunetLoss(deepcopy(pair), LossSettings(), (1,), ignore_label=ignore_label)
    loss = NnunetLoss(pair, settings, (1,), ignore_label=ignore_label)
    plain(logits, labels)
    total = loss(logits, labels)
    found = loss.terms
    assert found.keys() == loss.main_weights.keys() == {"logcosh_dice", "focal"}
    ours = build_main_loss(settings, ignore_label)["focal"].value(logits, labels)
    assert found["focal"].item() == pytest.approx(ours.item(), abs=1e-7)
    expected = math.log(math.cosh(plain.terms["dice"].item()))
    assert found["logcosh_dice"].item() == pytest.approx(expected, abs=1e-6)
    weighted = 0.5 * found["logcosh_dice"].item() + found["focal"].item()
    assert total.item() == pytest.approx(weighted, abs=1e-6)


def _ignoring(label: int) -> torch.nn.Module:
    dice = {"batch_dice": True, "smooth": 1e-5, "do_bg": False, "ddp": False}
    return DC_and_CE_loss(dice, {}, 1, 1, label, MemoryEfficientSoftDiceLoss)


@pytest.mark.parametrize("dice_weight", [1.0, 0.0])
def test_patches_that_nobody_annotated_have_no_cross_entropy_and_train_on(
    dice_weight: float,
) -> None:
    """nnU-Net does not ask for it there: of the finest output alone, then of every output."""
    logits, labels = example(16, 16)
    coarse, settings = (logits.detach()[..., ::2, ::2], LossSettings(dice_weight=dice_weight))
    pair = DeepSupervisionWrapper(_ignoring(2), (2 / 3, 1 / 3))
    loss = NnunetLoss(pair, settings, (1,), ignore_label=2)
    ignored = torch.full_like(labels, 2)
    targets = [ignored, labels[..., ::2, ::2]]
    total = loss([logits, coarse.requires_grad_()], targets)
    of_coarse = torch.nn.functional.cross_entropy(coarse, targets[1][:, 0].long())
    assert loss.terms["ce"].item() == pytest.approx(of_coarse.item() / 3)
    total.backward()
    assert logits.grad is None or not logits.grad.any()
    assert coarse.grad is not None
    assert coarse.grad.any()
    nothing = loss([logits, coarse], [ignored, ignored[..., ::2, ::2]])
    assert loss.terms["ce"].item() == 0
    nothing.backward()


def test_deep_supervision_weighs_another_main_loss_as_nnunets_own() -> None:
    outputs, targets = zip(*(example(n, n) for n in (32, 16, 8, 4)), strict=True)
    settings = LossSettings(main="focal_logcosh_dice")
    total = NnunetLoss(own(supervised=True), settings, (1,))(outputs, targets)
    each = [
        NnunetLoss(own(), settings, (1,))(output, target).item()
        for output, target in zip(outputs, targets, strict=True)
    ]
    expected = sum(share * value for share, value in zip(SHARES, each, strict=True))
    assert total.item() == pytest.approx(expected, abs=1e-6)


def test_3d_patch_is_looked_at_slice_by_slice_as_its_slices_are_by_hand() -> None:
    logits, labels = example(6, 32, 32, batch=2)
    loss = NnunetLoss(own(), SETTINGS, (1,))
    loss.factor = 1.0
    loss(logits, labels)
    slices = [logits[b, :, d] for b in range(2) for d in range(6)]
    p = torch.stack([one.softmax(dim=0)[1] for one in slices])  # [B · D, H, W]
    expected = geometric_terms(SETTINGS, p)
    for name, value in expected.items():
        assert loss.terms[name].item() == pytest.approx(value.item(), rel=1e-6)


def test_3d_patch_by_volume_is_a_whole_body_in_the_spacing_of_the_plans() -> None:
    logits, labels = example(8, 32, 32, batch=2)
    loss = NnunetLoss(own(), SETTINGS, (1,), geometry="volume", spacing=(5.0, 1.0, 1.0))
    loss.factor = 1.0
    loss(logits, labels)
    p = logits.softmax(dim=1)[:, 1]
    expected = aspect(p, SETTINGS.sqrt_epsilon, SETTINGS.sqrt_mode, (5.0, 1.0, 1.0))
    assert loss.terms["aspect"].item() == pytest.approx(expected.mean().item(), rel=1e-6)


def test_term_of_a_plugin_acts_on_the_slices_of_nnunets_patches(tmp_path: Path) -> None:
    file = tmp_path / "own_terms.py"
    file.write_text("def spread(p):\n    return p.flatten(1).std(dim=1)\n")
    logits, labels = example(4, 16, 16, batch=2)
    weights = {"compactness": 0, "boundary": 0, "aspect": 0, "spread": 1.0}
    settings = LossSettings.model_validate(
        {"terms": [f"{file}:spread"], "weights": weights, "min_area": 0.0}
    )
    loss = NnunetLoss(own(), settings, (1,))
    loss.factor = 1.0
    loss(logits, labels)
    slices = logits.softmax(dim=1)[:, 1].flatten(0, 1)  # [B · D, H, W]
    expected = slices.flatten(1).std(dim=1).mean()
    assert loss.terms["spread"].item() == pytest.approx(expected.item(), rel=1e-6)


def test_kervadec_term_measures_distances_within_slices() -> None:
    logits, labels = example(4, 16, 16, batch=2)
    weights = GeometricWeights(compactness=0, boundary=0, aspect=0, kervadec=1)
    loss = NnunetLoss(own(), SETTINGS.model_copy(update={"weights": weights}), (1,))
    loss.factor = 1.0
    loss(logits, labels)
    flat, flat_labels = (values.transpose(1, 2).flatten(0, 1) for values in (logits, labels))
    loss(logits, labels)
    volume = loss.terms["kervadec"].item()
    loss(flat, flat_labels)  # the same slices as a 2D batch
    assert volume == pytest.approx(loss.terms["kervadec"].item())


def test_half_precision_outputs_are_judged_in_float32() -> None:
    """A foreground of 512² pixels: its squared coordinates leave float16 at once."""
    logits, labels = example(512, 512, batch=1)
    loss = NnunetLoss(own(), SETTINGS, (1,))
    loss.factor = 1.0
    with torch.autocast("cpu", dtype=torch.float16):
        half = loss(logits.half(), labels)
    full = loss(logits, labels)
    assert half.dtype == torch.float32
    assert half.item() == pytest.approx(full.item(), abs=1e-3)


def test_slices_of_a_plane_are_itself() -> None:
    plane = torch.rand(2, 3, 4)
    assert as_slices(plane) is plane
    assert as_slices(torch.rand(2, 5, 3, 4)).shape == (10, 3, 4)
