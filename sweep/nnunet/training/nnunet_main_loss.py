"""The terms of our main losses in the places of nnU-Net's Dice and cross-entropy.

nnU-Net calls them as it calls its own, so that its batch Dice, deep supervision, regions and ignore
label hold for them too (nnU-Net 2.8.1, ``training/loss/compound_losses.py``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from sweep.spec.settings.loss_settings import LossSettings
from sweep.trainer.losses.main_losses import MAIN_LOSSES, TERMS, Targets, focal_gamma, log_cosh


def in_place_of(
    settings: LossSettings, dice: nn.Module, *, regions: bool, ignore_label: int | None
) -> tuple[nn.Module | None, nn.Module | None]:
    """What takes the places of nnU-Net's Dice and of its cross-entropy; None: nothing.

    Args:
        settings: with a main loss of ours.
        dice: nnU-Net's Dice term, ``−Dice``.
        regions, ignore_label: as of `sweep.nnunet.training.nnunet_loss.NnunetLoss`.
    """
    of_dice, pixel = MAIN_LOSSES[settings.main]
    focal = _RegionFocal if regions else _Focal
    return (
        _LogCosh(dice) if of_dice == "logcosh_dice" else None,
        focal(settings, ignore_label) if pixel == "focal" else None,
    )


class _LogCosh(nn.Module):
    """``log cosh (1 − Dice)`` of nnU-Net's Dice."""

    def __init__(self, dice: nn.Module) -> None:
        super().__init__()
        self.dice = dice

    def forward(self, *arguments: Any, **named: Any) -> Tensor:
        return log_cosh(1 + self.dice(*arguments, **named))


class _Focal(nn.Module):
    """Our focal loss of logits ``[B, C, …]`` and class indices ``[B, …]``, a scalar."""

    def __init__(self, settings: LossSettings, ignore_label: int | None) -> None:
        super().__init__()
        self._value: Callable[[Tensor, Tensor], Tensor] = TERMS["focal"](
            settings, Targets(ignore_label)
        )

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        return self._value(logits, target[:, None])


class _RegionFocal(nn.Module):
    """Our focal loss of logits ``[B, K, …]`` and the masks of K regions.

    A scalar; with ignored voxels the mean over regions ``[B, 1, …]``, since nnU-Net itself then
    averages over the voxels that count.
    """

    def __init__(self, settings: LossSettings, ignore_label: int | None) -> None:
        super().__init__()
        # Here, for it takes seconds, and nnU-Net's own losses do without it.
        from monai.losses import FocalLoss

        self._by_voxel = ignore_label is not None
        self._loss = FocalLoss(gamma=focal_gamma(settings), reduction="none")

    def forward(self, logits: Tensor, masks: Tensor) -> Tensor:
        values: Tensor = self._loss(logits, masks)
        return values.mean(dim=1, keepdim=True) if self._by_voxel else values.mean()
