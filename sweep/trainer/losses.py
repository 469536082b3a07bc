"""The training loss: main loss plus ``g(epoch)`` times the weighted geometric terms.

``L = Σᵢ vᵢ (Dice + CE)(outputᵢ) + g · (w_c compactness + w_b boundary + w_a aspect)(output₀)``

With deep supervision the network gives a list of outputs, finest first: the main loss is summed
over all of them with weights 1, 1/2, 1/4, … normalised to 1 (as nnU-Net does), the geometric part
sees the first alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from monai.losses import DiceLoss
from torch import Tensor

from sweep.spec.settings import LossSettings
from sweep.trainer.geometric import geometric_terms


def geometric_factor(epoch: int, warmup_epochs: int, rampup_epochs: int) -> float:
    """``g(epoch)``: 0 in the warm-up, then a linear rise that is above 0 at once and ends at 1.

    The factor is 0 while ``epoch < warmup_epochs`` and 1 from ``warmup_epochs + rampup_epochs`` on;
    the ramp's k-th epoch (from 0) has ``(k + 1) / (rampup_epochs + 1)``.
    """
    if epoch < warmup_epochs:
        return 0.0
    return min(1.0, (epoch - warmup_epochs + 1) / (rampup_epochs + 1))


class TrainingLoss:
    """Computes the total and its terms, so that a guard can name the one that broke.

    Args:
        settings: which terms, with which weights.
        geometric_class: channel of the output that the geometric terms act on.
    """

    def __init__(self, settings: LossSettings, geometric_class: int) -> None:
        self.settings = settings
        self.geometric_class = geometric_class
        self._weights = settings.weights.model_dump()
        self._dice = DiceLoss(
            include_background=False, to_onehot_y=True, softmax=True, batch=True, smooth_nr=1e-5
        )

    def __call__(
        self, outputs: Sequence[Tensor], target: Tensor, factor: float
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss of one batch.

        Args:
            outputs: logits ``[B, C, H, W]``, finest first, all of the target's size.
            target: class indices ``[B, 1, H, W]``.
            factor: g(epoch); at 0 the geometric terms are not computed at all.
        Returns:
            the total (scalar) and the terms before weight and factor (scalars by name).
        """
        terms = self._main(outputs, target)
        total = torch.stack(list(terms.values())).sum()
        if factor > 0:
            probabilities = outputs[0].float().softmax(dim=1)[:, self.geometric_class]  # [B, H, W]
            geometric = geometric_terms(
                probabilities,
                self._weights,
                epsilon=self.settings.sqrt_epsilon,
                mode=self.settings.sqrt_mode,
                min_area=self.settings.min_area,
            )
            for name, value in geometric.items():
                total = total + factor * self._weights[name] * value
            terms |= geometric
        return total, terms

    def _main(self, outputs: Sequence[Tensor], target: Tensor) -> dict[str, Tensor]:
        weights = [0.5**i for i in range(len(outputs))]
        norm = sum(weights)
        dice = [w / norm * self._dice(o, target) for w, o in zip(weights, outputs, strict=True)]
        labels = target[:, 0].long()
        ce = [w / norm * F.cross_entropy(o, labels) for w, o in zip(weights, outputs, strict=True)]
        return {"dice": torch.stack(dice).sum(), "ce": torch.stack(ce).sum()}
