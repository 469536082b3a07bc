"""nnU-Net's own loss plus our geometric terms, as one module that nnU-Net calls as its loss.

``L = Σᵢ vᵢ (Dice + CE)(outputᵢ) + g · Σ weight · term(output₀)``

The first part is the object that nnU-Net builds: its batch Dice, its weights of deep supervision,
its ignore label. Its Dice and cross-entropy are recorded, so that a guard can name the broken one.
The geometric part sees only the main output, in float32.

Volumes. By default a 3D patch ``[B, C, D, H, W]`` is treated as ``B · D`` images ``[H, W]``. D is
the axis of the coarsest spacing, since nnU-Net transposes it there. Within a slice pixels are close
to square, so the weights and ``min_area`` mean the same as in 2D. ``volume`` treats whole bodies
with nnU-Net's spacing. It sees more than a slice, but depends on that spacing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from sweep.spec.settings.geometric_terms import Geometry
from sweep.spec.settings.loss_settings import LossSettings
from sweep.trainer.losses.geometric_loss import distances_for, geometric_terms, soft_masks


@dataclass(frozen=True, slots=True)
class MainTerm:
    """A term of nnU-Net's own loss."""

    weight: float


class NnunetLoss(nn.Module):
    """Main and geometric loss of a batch of patches.

    Args:
        own: result of nnU-Net's ``_build_loss``: a ``DC_and_CE_loss``, possibly wrapped for deep
            supervision. Its weights are set to those of ``settings``.
        settings: weights, ε and the rest.
        geometric_classes: channels of the output that the geometric terms act on.
        geometry: how 3D patches are treated; without effect in 2D.
        spacing: of a voxel along D, H, W, for ``volume``.

    ``factor`` is g: set it before each epoch. ``terms`` holds the unweighted terms of the last
    call, with their graph; Dice as ``1 − Dice``, where nnU-Net has ``−Dice``.
    """

    def __init__(
        self,
        own: nn.Module,
        settings: LossSettings,
        geometric_classes: tuple[int, ...],
        *,
        geometry: Geometry = "slices",
        spacing: Sequence[float] = (1.0, 1.0, 1.0),
    ) -> None:
        super().__init__()
        self.settings = settings
        self.geometric_classes = geometric_classes
        self.geometry = geometry
        self.spacing = tuple(spacing)
        self.factor = 0.0
        self.terms: dict[str, Tensor] = {}
        self.own = own
        self._shares: tuple[float, ...] = getattr(own, "weight_factors", (1.0,))
        pair: Any = own.loss if hasattr(own, "weight_factors") else own
        pair.weight_dice, pair.weight_ce = settings.dice_weight, settings.pixel_weight
        pair.dc, pair.ce = _Recorded(pair.dc), _Recorded(pair.ce)
        self._pair: Any = pair
        self._weights = settings.weights.model_dump()

    @property
    def main(self) -> Mapping[str, MainTerm]:
        """The terms that act from the first step, without those of weight 0."""
        weights = {"dice": self._pair.weight_dice, "ce": self._pair.weight_ce}
        return {name: MainTerm(float(w)) for name, w in weights.items() if w != 0}

    @property
    def batch_dice(self) -> bool:
        """Whether Dice is computed over the whole batch, as the plans say, or for each sample."""
        inner = self._pair.dc.inner
        return bool(getattr(inner, "_orig_mod", inner).batch_dice)

    def forward(
        self, output: Tensor | Sequence[Tensor], target: Tensor | Sequence[Tensor]
    ) -> Tensor:
        """The total (scalar).

        Args:
            output: logits ``[B, C, (D,) H, W]``; with deep supervision several, the finest first.
            target: class indices ``[B, 1, (D,) H, W]``, one for each output.
        """
        outputs = [output] if isinstance(output, Tensor) else list(output)
        targets = [target] if isinstance(target, Tensor) else list(target)
        device = outputs[0].device.type
        with torch.autocast(device_type=device, enabled=False):
            outputs = [logits.float() for logits in outputs]
            total, self.terms = self._main(outputs, targets)
            if self.factor > 0:
                p = soft_masks(outputs[0], self.geometric_classes)  # [classes · B, (D,) H, W]
                by_volume = p.ndim == 4 and self.geometry == "volume"
                spacing = self.spacing if by_volume else None
                distances = distances_for(
                    self.settings, targets[0], self.geometric_classes, spacing
                )
                late = geometric_terms(self.settings, p, distances, spacing)
                parts = [self._weights[name] * value for name, value in late.items()]
                total = total + self.factor * torch.stack(parts).sum() if parts else total
                self.terms |= late
        return total

    def _main(
        self, outputs: list[Tensor], targets: list[Tensor]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        recorded: tuple[_Recorded, _Recorded] = (self._pair.dc, self._pair.ce)
        for part in recorded:
            part.values.clear()
        supervised = self._pair is not self.own
        total: Tensor = self.own(*((outputs, targets) if supervised else (outputs[0], targets[0])))
        shares = [share for share in self._shares if share != 0]  # nnU-Net skips the others
        sums = {
            name: torch.stack([s * v for s, v in zip(shares, part.values, strict=True)]).sum()
            for name, part in zip(("dice", "ce"), recorded, strict=True)
            if name in self.main
        }
        if "dice" in sums:
            sums["dice"] = sums["dice"] + sum(shares)
        return total, sums


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
