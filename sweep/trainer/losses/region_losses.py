"""The terms of the main losses for regions: each channel is a mask of its own under a sigmoid.

They are those of `sweep.trainer.losses.main_losses`, with binary cross-entropy, binary focal loss
and the Dice of every channel, since there is no background among them. `dice_ce` is nnU-Net's
``DC_and_BCE_loss`` (nnU-Net 2.8.1, ``training/loss/compound_losses.py``) with batch Dice.

Every term is a function of logits ``[B, K, (D,) H, W]`` of K regions and the integers of the label
files ``[B, 1, (D,) H, W]``, a scalar.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from sweep.data.nnunet_raw.regions import Regions, labels_mask

Term = Callable[[Tensor, Tensor], Tensor]


def region_masks(target: Tensor, regions: Regions) -> Tensor:
    """Labels ``[B, 1, …]`` as one mask a region, float32 ``[B, K, …]``."""
    return torch.cat([labels_mask(target, own) for own in regions.labels], dim=1).float()


def region_dice(regions: Regions, ignore: int | None) -> Term:
    """``1 − Dice``, the mean over regions, each over the whole batch."""
    from monai.losses import DiceLoss

    loss = DiceLoss(batch=True, smooth_nr=1e-5)

    def value(logits: Tensor, target: Tensor) -> Tensor:
        p, masks = _floating(logits).sigmoid(), region_masks(target, regions)
        if ignore is not None:
            counted = target != ignore
            p, masks = p * counted, masks * counted
        found: Tensor = loss(p, masks)
        return found

    return value


def region_cross_entropy(regions: Regions, ignore: int | None) -> Term:
    """Binary cross-entropy: the mean over voxels and regions.

    Beside an ignore label it is the mean over voxels of the sum over regions, as in nnU-Net.
    """

    def value(logits: Tensor, target: Tensor) -> Tensor:
        logits, masks = _floating(logits), region_masks(target, regions)
        if ignore is None:
            return F.binary_cross_entropy_with_logits(logits, masks)
        counted = target != ignore
        values = F.binary_cross_entropy_with_logits(logits, masks, reduction="none")
        return torch.where(counted, values, 0.0).sum() / counted.sum().clamp(min=1)

    return value


def region_focal(regions: Regions, ignore: int | None, gamma: float) -> Term:
    """``−(1 − p_t)^γ log p_t`` of each region, by MONAI: the mean over voxels and regions."""
    from monai.losses import FocalLoss

    how: dict[str, Any] = {"use_softmax": False, "gamma": gamma}
    loss, of_voxels = FocalLoss(**how), FocalLoss(reduction="none", **how)

    def value(logits: Tensor, target: Tensor) -> Tensor:
        masks = region_masks(target, regions)
        if ignore is None:
            found: Tensor = loss(logits, masks)
            return found
        counted = target != ignore
        values = torch.where(counted, of_voxels(logits, masks), 0.0)
        return values.sum() / (counted.sum().clamp(min=1) * values.shape[1])

    return value


def _floating(x: Tensor) -> Tensor:
    """At least float32."""
    return x.to(torch.promote_types(x.dtype, torch.float32))
