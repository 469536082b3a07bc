"""The main loss: a Dice term and a pixel-wise term, on from the first step, by name.

| ``loss.main``         | Dice term                     | pixel-wise term  |
|-----------------------|-------------------------------|------------------|
| `dice_ce`             | ``D = 1 − Dice``              | cross-entropy    |
| `dice_focal`          | ``D``                         | focal loss       |
| `focal_logcosh_dice`  | ``log cosh D`` (Jadon 2020)   | focal loss       |

Every term is a function of logits ``[B, C, (D,) H, W]`` and the integers of the label files
``[B, 1, (D,) H, W]``, a scalar. Regions overlap, and there is no background among them: each
channel is a mask of its own under a sigmoid, with binary cross-entropy, binary focal loss and the
Dice of every channel. `dice_ce` is then nnU-Net's ``DC_and_BCE_loss`` (nnU-Net 2.8.1,
``training/loss/compound_losses.py``) with batch Dice.

MONAI is imported where it is used: that takes seconds, and a user's own loop may do without it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sweep.data.nnunet_raw.regions import Regions, labels_mask
from sweep.plugins.plugin_kinds import MAIN_LOSS, short_name
from sweep.spec.settings.loss_settings import LossSettings
from sweep.vocabulary.error_lines import has_own_line, last_line
from sweep.vocabulary.errors import TrainerError

Term = Callable[[Tensor, Tensor], Tensor]

DEFAULT_FOCAL_GAMMA = 2.0
"""The best of those that Lin et al. 2017, "Focal Loss for Dense Object Detection", compare."""


@dataclass(frozen=True, slots=True)
class Targets:
    """How a term reads a target ``[B, 1, …]``.

    Args:
        ignore: label of pixels that do not count.
        regions: what the classes consist of, if they are regions.
    """

    ignore: int | None = None
    regions: Regions | None = None

    def counted(self, target: Tensor) -> Tensor | None:
        """Which pixels count; None: all of them."""
        return None if self.ignore is None else target != self.ignore

    def classes(self, target: Tensor) -> Tensor:
        """The target with the ignored pixels as background."""
        counted = self.counted(target)
        return target if counted is None else torch.where(counted, target, 0)

    def masks(self, target: Tensor, channels: int) -> Tensor:
        """The target as one mask a channel, float32 ``[B, channels, …]``."""
        if self.regions is not None:
            return torch.cat([labels_mask(target, own) for own in self.regions.labels], 1).float()
        from monai.networks.utils import one_hot

        found: Tensor = one_hot(self.classes(target), channels)
        return found


@dataclass(frozen=True, slots=True)
class WeightedTerm:
    """One term of the main loss and its weight."""

    weight: float
    value: Term


def build_main_loss(
    settings: LossSettings, ignore: int | None = None, regions: Regions | None = None
) -> dict[str, WeightedTerm]:
    """The terms of ``settings.main`` by name; one whose weight is 0 is left out.

    A plug-in is a single term of weight 1.

    Args:
        ignore: label of pixels that count in none of our terms, as in nnU-Net: means and sums run
            over the others, and are 0 where there are none. A plug-in cannot leave pixels out.
        regions: what the classes consist of, if they are regions; a plug-in must not be asked then.

    Raises:
        InputError: a plug-in cannot be imported or does not take logits and a target.
    """
    if settings.has_plugin_main:
        return {short_name(settings.main): WeightedTerm(1.0, _of_plugin(settings))}
    dice, pixel = MAIN_LOSSES[settings.main]
    weights = {dice: settings.dice_weight, pixel: settings.pixel_weight}
    return {
        name: WeightedTerm(weight, TERMS[name](settings, Targets(ignore, regions)))
        for name, weight in weights.items()
        if weight > 0
    }


def _of_plugin(settings: LossSettings) -> Term:
    entry = settings.main
    loss: Term = MAIN_LOSS.function(entry, settings.main_options)

    def value(logits: Tensor, target: Tensor) -> Tensor:
        if isinstance(loss, nn.Module):  # weights of classes, say
            loss.to(logits.device)
        try:
            found = loss(_at_least_float32(logits), target.long())
        except torch.OutOfMemoryError:
            raise
        except Exception as error:
            if has_own_line(error):
                raise
            raise TrainerError(
                f"the main loss `{entry}` fails with logits {[*logits.shape]} and class indices"
                f" {[*target.shape]}: {last_line(error)}"
            ) from error
        if not isinstance(found, Tensor) or found.ndim:
            what = list(found.shape) if isinstance(found, Tensor) else type(found).__name__
            raise TrainerError(f"the main loss `{entry}` must return a scalar, but returned {what}")
        return found

    return value


def log_cosh(x: Tensor) -> Tensor:
    """``log cosh x``, finite for every finite ``x`` and right to 3e-7 of its value; any shape.

    The definition overflows from |x| = 89 on (float32). ``|x| + log(1 + e^(−2|x|)) − log 2`` never
    does, but cancels near 0 (nothing is left of it at 1e-4); ``log(1 + 2 sinh²(x/2))`` is right
    there. Each element takes the form that suits it, and the other form an argument of 0 or 1, so
    that no gradient but ``tanh x`` ever flows.

    Args:
        x: half precisions are computed, and returned, in float32.
    """
    x = _at_least_float32(x)
    small = x.abs() < 1
    near = torch.where(small, x, 0)
    far = torch.where(small, 1, x).abs()
    return torch.where(
        small,
        torch.log1p(2 * torch.sinh(near / 2).square()),
        far + F.softplus(-2 * far) - math.log(2),
    )


def _dice(_settings: LossSettings, targets: Targets) -> Term:
    """``1 − Dice`` of the foreground classes, or regions, over the whole batch, as in nnU-Net."""
    from monai.losses import DiceLoss

    overlap = targets.regions is not None
    loss = DiceLoss(include_background=overlap, batch=True, smooth_nr=1e-5)

    def value(logits: Tensor, target: Tensor) -> Tensor:
        logits, counted = _at_least_float32(logits), targets.counted(target)
        p = logits.sigmoid() if overlap else logits.softmax(dim=1)
        masks = targets.masks(target, logits.shape[1])
        if counted is not None:
            p, masks = p * counted, masks * counted
        found: Tensor = loss(p, masks)
        return found

    return value


def _logcosh_dice(settings: LossSettings, targets: Targets) -> Term:
    """``log cosh (1 − Dice)``: Jadon 2020, "A survey of loss functions for semantic segmentation".

    Its slope is tanh(1 − Dice): it lets go as Dice nears 1, where the Dice loss pulls on.
    """
    dice = _dice(settings, targets)
    return lambda logits, target: log_cosh(dice(logits, target))


def _cross_entropy(_settings: LossSettings, targets: Targets) -> Term:
    """The mean over pixels. Of regions it is binary, and their mean; beside an ignore label their
    sum, as in nnU-Net."""

    def value(logits: Tensor, target: Tensor) -> Tensor:
        logits, counted = _at_least_float32(logits), targets.counted(target)
        reduction = "mean" if counted is None else "none"
        if targets.regions is None:
            classes = targets.classes(target)[:, 0].long()
            values = cross_entropy(logits, classes, reduction)
            return values if counted is None else _mean_over(values[:, None], counted)
        masks = targets.masks(target, logits.shape[1])
        values = F.binary_cross_entropy_with_logits(logits, masks, reduction=reduction)
        return values if counted is None else _mean_over(values, counted)

    return value


def cross_entropy(logits: Tensor, labels: Tensor, reduction: str = "mean") -> Tensor:
    """Mean cross-entropy over all pixels, the same in every run.

    CUDA adds up that of class indices in whatever order its threads come (torch warns of
    ``nll_loss2d``). Of the same labels as probabilities it is a product and a plain sum.

    Args:
        logits: ``[B, C, H, W]``, or with one axis more.
        labels: class indices, ``[B, H, W]`` likewise.
        reduction: ``mean``, or ``none`` for the value of each pixel.
    """
    if not logits.is_cuda:
        return F.cross_entropy(logits, labels, reduction=reduction)
    classes = F.one_hot(labels, logits.shape[1]).movedim(-1, 1)  # [B, C, H, W]
    return F.cross_entropy(logits, classes.to(logits.dtype), reduction=reduction)


def _focal(settings: LossSettings, targets: Targets) -> Term:
    """``−(1 − p_t)^γ log p_t`` (Lin et al. 2017, equation 4), by MONAI, in float32.

    MONAI's mean runs over the channels too: at γ = 0 this is the cross-entropy over C.
    """
    from monai.losses import FocalLoss

    alone = targets.regions is None
    how: dict[str, Any] = {"to_onehot_y": alone, "use_softmax": alone}
    of_pixels = FocalLoss(reduction="none", gamma=focal_gamma(settings), **how)

    def value(logits: Tensor, target: Tensor) -> Tensor:
        counted, channels = targets.counted(target), logits.shape[1]
        given = targets.classes(target) if alone else targets.masks(target, channels)
        values: Tensor = of_pixels(logits, given)
        return values.mean() if counted is None else _mean_over(values, counted, channels)

    return value


def focal_gamma(settings: LossSettings) -> float:
    """Exponent γ in use."""
    return DEFAULT_FOCAL_GAMMA if settings.focal_gamma is None else settings.focal_gamma


def _mean_over(values: Tensor, counted: Tensor, channels: int = 1) -> Tensor:
    """The sum of ``[B, C, …]`` over channels, by their number, as the mean over the pixels that
    count, ``[B, 1, …]``; 0 where none does."""
    pixels = counted.sum().clamp(min=1)
    return torch.where(counted, values, 0.0).sum() / (pixels * channels)


def _at_least_float32(x: Tensor) -> Tensor:
    return x.to(torch.promote_types(x.dtype, torch.float32))


TERMS: Mapping[str, Callable[[LossSettings, Targets], Term]] = {
    "dice": _dice,
    "logcosh_dice": _logcosh_dice,
    "ce": _cross_entropy,
    "focal": _focal,
}

MAIN_LOSSES: Mapping[str, tuple[str, str]] = {
    "dice_ce": ("dice", "ce"),
    "dice_focal": ("dice", "focal"),
    "focal_logcosh_dice": ("logcosh_dice", "focal"),
}
"""Dice term and pixel-wise term of each main loss."""
