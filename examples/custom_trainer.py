"""A trainer class of your own in a sweep: noisy discs, a small network of three convolutions.

    python -m sweep.run examples/custom.yaml

The sweep treats it as it treats the trainers of MONAI and nnU-Net. The guard ends a diverging trial
in its step and names the loss term. Warm-ups are shared. Trials are pruned, resumed and ranked.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from sweep import CustomTraining, Validation


class DiscTraining(CustomTraining):
    """Segments discs of one brightness in noise."""

    def build_model(self) -> nn.Module:
        width = int(self.options.number("width", 8))
        return nn.Sequential(
            nn.Conv2d(1, width, 5, padding=2),
            nn.ReLU(),
            nn.Conv2d(width, width, 5, padding=2),
            nn.ReLU(),
            nn.Conv2d(width, 2, 1),
        )

    def batches(self, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        for _ in range(8):
            yield discs(4, self.options.number("noise", 0.3))

    def validate(self, epoch: int) -> Validation:
        torch.manual_seed(0)  # the same images in every epoch and every trial
        images, labels = discs(16, self.options.number("noise", 0.3))
        self.model.eval()
        with torch.inference_mode():
            found = self.model(images.to(self.device)).argmax(dim=1, keepdim=True).cpu()
        both = (found * labels).sum().item()
        return Validation(dice=2 * both / (found.sum() + labels.sum()).item())


def discs(count: int, noise: float, side: int = 32) -> tuple[Tensor, Tensor]:
    """Images ``[B, 1, H, W]`` and labels of the same shape, drawn from torch's generator."""
    centre, radius = torch.rand(count, 2, 1, 1) * side, torch.rand(count, 1, 1) * 6 + 4
    y, x = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    inside = (y - centre[:, 0]) ** 2 + (x - centre[:, 1]) ** 2 <= radius**2  # [B, H, W]
    labels = inside[:, None].long()
    return labels + noise * torch.randn(labels.shape), labels
