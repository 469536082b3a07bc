"""nnU-Net's own loss plus our geometric terms, as one module that nnU-Net calls as its loss.

``L = Σᵢ vᵢ (Dice + CE)(outputᵢ) + g · Σ weight · term(output₀)``

The first part is the object that nnU-Net builds: its batch Dice, its weights of deep supervision,
its ignore label. Its Dice and cross-entropy are recorded, so that a guard can name the broken one.
With another ``loss.main`` than `dice_ce`, the terms of that loss take their places there.
The geometric part sees only the main output, in float32.

Regions. A dataset with regions has a channel for each, which may overlap, under a sigmoid. The
geometric part acts on the channel of one region, and nnU-Net's cross-entropy is binary.

Ignored voxels. Nobody says what is there, so the geometric part moves no probability in them: they
have no gradient. But the shape is measured on the whole of what is predicted. Without the ignored
voxels, a disc would end where the annotation ends and no longer be round, and of scribbles no shape
at all would be left.

Volumes. By default a 3D patch ``[B, C, D, H, W]`` is treated as ``B · D`` images ``[H, W]``. D is
the axis of the coarsest spacing, since nnU-Net transposes it there. Within a slice pixels are close
to square, so the weights and ``min_area`` mean the same as in 2D. ``volume`` treats whole bodies
with nnU-Net's spacing. It sees more than a slice, but depends on that spacing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from sweep.nnunet.training.nnunet_main_loss import in_place_of
from sweep.spec.settings.geometric_terms import Geometry
from sweep.spec.settings.loss_settings import LossSettings
from sweep.trainer.losses.geometric_loss import (
    distances_for,
    geometric_terms,
    held_where_ignored,
    soft_masks,
)
from sweep.trainer.losses.main_losses import MAIN_LOSSES


class NnunetLoss(nn.Module):
    """Main and geometric loss of a batch of patches.

    Args:
        own: result of nnU-Net's ``_build_loss``: a ``DC_and_CE_loss``, possibly wrapped for deep
            supervision. Its weights are set to those of ``settings``.
        settings: weights, ε and the rest.
        geometric_classes: channels of the output that the geometric terms act on.
        geometry: how 3D patches are treated; without effect in 2D.
        spacing: of a voxel along D, H, W, for ``volume``.
        regions: whether the channels are regions, and targets have a channel for each.
        ignore_label: value of ignored voxels. With ``regions`` any number: the last channel of the
            targets then marks them. None: no voxel is ignored.

    ``factor`` is g: set it before each epoch. ``terms`` holds the unweighted terms of the last
    call, with their graph; Dice as ``1 − Dice``, where nnU-Net has ``−Dice``. They are named as in
    `sweep.trainer.losses.main_losses`.
    """

    def __init__(
        self,
        own: nn.Module,
        settings: LossSettings,
        geometric_classes: tuple[int, ...],
        *,
        geometry: Geometry = "slices",
        spacing: Sequence[float] = (1.0, 1.0, 1.0),
        regions: bool = False,
        ignore_label: int | None = None,
    ) -> None:
        super().__init__()
        self.settings = settings
        self.geometric_classes = geometric_classes
        self.geometry = geometry
        self.spacing = tuple(spacing)
        self.regions = regions
        self.ignore_label = ignore_label
        self.factor = 0.0
        self.terms: dict[str, Tensor] = {}
        self.own = own
        self._shares: tuple[float, ...] = getattr(own, "weight_factors", (1.0,))
        pair: Any = own.loss if hasattr(own, "weight_factors") else own
        pair.weight_dice, pair.weight_ce = settings.dice_weight, settings.pixel_weight
        self._names = MAIN_LOSSES[settings.main]
        dice, pixel = in_place_of(settings, pair.dc, regions=regions, ignore_label=ignore_label)
        pair.dc, pair.ce = _Recorded(dice or pair.dc), _Recorded(pixel or pair.ce)
        self._pair: Any = pair
        self._weights = settings.weights.model_dump()

    @property
    def main_weights(self) -> dict[str, float]:
        """Weight of each term of the main loss, without those of weight 0."""
        weights = zip(self._names, (self._pair.weight_dice, self._pair.weight_ce), strict=True)
        return {name: float(weight) for name, weight in weights if weight != 0}

    def forward(
        self, output: Tensor | Sequence[Tensor], target: Tensor | Sequence[Tensor]
    ) -> Tensor:
        """The total (scalar).

        Args:
            output: logits ``[B, C, (D,) H, W]``; with deep supervision several, the finest first.
            target: class indices ``[B, 1, (D,) H, W]``, one for each output; of regions 0 or 1 in
                ``[B, C, (D,) H, W]``, with a last channel more for ignored voxels.
        """
        outputs = [output] if isinstance(output, Tensor) else list(output)
        targets = [target] if isinstance(target, Tensor) else list(target)
        device = outputs[0].device.type
        with torch.autocast(device_type=device, enabled=False):
            outputs = [logits.float() for logits in outputs]
            total, self.terms = self._main(outputs, targets)
            if self.factor > 0:
                p = soft_masks(outputs[0], self.geometric_classes, regions=self.regions)
                if (counted := self._counted(targets[0])) is not None:
                    p = held_where_ignored(p, counted)
                by_volume = p.ndim == 4 and self.geometry == "volume"
                spacing = self.spacing if by_volume else None
                distances = distances_for(self.settings, *self._reference(targets[0]), spacing)
                late = geometric_terms(self.settings, p, distances, spacing)
                parts = [self._weights[name] * value for name, value in late.items()]
                total = total + self.factor * torch.stack(parts).sum() if parts else total
                self.terms |= late
        return total

    def _counted(self, target: Tensor) -> Tensor | None:
        """The voxels that are not ignored, ``[B, …]``; None if none can be."""
        if self.ignore_label is None:
            return None
        return ~target[:, -1].bool() if self.regions else target[:, 0] != self.ignore_label

    def _reference(self, target: Tensor) -> tuple[Tensor, Sequence[int]]:
        """Class indices ``[B, 1, …]``, and the classes that the geometric terms act on.

        Regions overlap, so each is a sample of its own, whose only class is 1.
        """
        if not self.regions:
            return target, self.geometric_classes
        return torch.cat([target[:, [region]] for region in self.geometric_classes]).long(), (1,)

    def _main(
        self, outputs: list[Tensor], targets: list[Tensor]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        recorded: tuple[_Recorded, _Recorded] = (self._pair.dc, self._pair.ce)
        for part in recorded:
            part.values.clear()
        supervised = self._pair is not self.own
        total: Any = self.own(*((outputs, targets) if supervised else (outputs[0], targets[0])))
        if not isinstance(total, Tensor):  # a plain 0: nothing counts, and Dice has no weight
            total = outputs[0].sum() * 0
        # nnU-Net skips outputs without a share.
        pairs = zip(self._shares, targets, strict=True)
        shares, scored = zip(*((s, t) for s, t in pairs if s != 0), strict=True)
        sums = {
            name: torch.stack(
                [
                    s * self._averaged(v, t)
                    for s, v, t in zip(shares, self._of_each(part, scored), scored, strict=True)
                ]
            ).sum()
            for name, part in zip(self._names, recorded, strict=True)
            if name in self.main_weights
        }
        if "dice" in sums:
            sums["dice"] = sums["dice"] + sum(shares)
        return total, sums

    def _of_each(self, part: _Recorded, targets: Sequence[Tensor]) -> list[Tensor]:
        """The recorded values, one a target. nnU-Net asks no cross-entropy of class indices that
        are all ignored: it is 0."""
        if len(part.values) == len(targets):
            return part.values
        recorded = iter(part.values)
        counted = [self._counted(target) for target in targets]
        zero = targets[0].new_zeros(())
        return [zero if mask is not None and not mask.any() else next(recorded) for mask in counted]

    def _averaged(self, value: Tensor, target: Tensor) -> Tensor:
        """A recorded value as a scalar.

        Of regions with ignored voxels, the cross-entropy is recorded before nnU-Net averages it.
        """
        counted = self._counted(target)
        if value.ndim == 0 or counted is None:
            return value
        mask = counted.unsqueeze(1)  # [B, 1, …]; nnU-Net divides by its size, not by C times it
        return (value * mask).sum() / mask.sum().clip(min=1e-8)


class _Recorded(nn.Module):
    """A part of a loss that records the value of each call."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner
        self.values: list[Tensor] = []

    def forward(self, *arguments: Any, **named: Any) -> Tensor:
        value: Tensor = self.inner(*arguments, **named)
        self.values.append(value)
        return value
