"""Square roots and derivatives of soft masks, for the geometric terms of images and volumes.

What ε does: sqrt(max(q, ε)) has gradient exactly 0 below ε and jumps there; sqrt(q + ε) is bounded
by 1/(2√ε); sqrt(q + ε) − √ε is too, and is 0 where q is. With ε = 0 all three give inf · 0 = NaN on
any region that is exactly flat.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

SqrtMode = Literal["clamp", "offset", "centered"]

BOUNDARY_ABSOLUTE_SHARE = 0.1
"""Weight of the mean absolute Laplacian beside its variance in `boundary`."""


def guarded_sqrt(q: Tensor, epsilon: float, mode: SqrtMode) -> Tensor:
    """Square root of ``q >= 0`` whose gradient ``epsilon`` bounds by 1/(2√ε); any shape."""
    match mode:
        case "clamp":
            return torch.sqrt(torch.clamp(q, min=epsilon))
        case "offset":
            return torch.sqrt(q + epsilon)
        case "centered":
            return torch.sqrt(q + epsilon) - math.sqrt(epsilon)


def sobel(p: Tensor) -> tuple[Tensor, Tensor]:
    """Slopes ``(∂p/∂x, ∂p/∂y)`` per pixel, ``[B, H, W]`` each; the image's border is no edge."""
    q = _replicate_border(p)  # [B, H + 2, W + 2]
    dx = q[:, :, 2:] - q[:, :, :-2]  # [B, H + 2, W]
    dy = q[:, 2:] - q[:, :-2]  # [B, H, W + 2]
    return (
        (dx[:, :-2] + 2 * dx[:, 1:-1] + dx[:, 2:]) / 8,
        (dy[:, :, :-2] + 2 * dy[:, :, 1:-1] + dy[:, :, 2:]) / 8,
    )


def laplacian(p: Tensor) -> Tensor:
    """4-neighbour Laplacian, ``[B, H, W]``; the image's border is no edge."""
    q = _replicate_border(p)
    neighbours = q[:, :-2, 1:-1] + q[:, 2:, 1:-1] + q[:, 1:-1, :-2] + q[:, 1:-1, 2:]
    return neighbours - 4 * p


def _replicate_border(p: Tensor) -> Tensor:
    # By concatenation: the backward of torch's replicate padding is not deterministic on CUDA.
    p = torch.cat([p[:, :1], p, p[:, -1:]], dim=1)
    return torch.cat([p[:, :, :1], p, p[:, :, -1:]], dim=2)
