"""Roots, derivatives and the compactness of soft masks, for the geometric terms.

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

SMALLEST_OUTLINE = 1.0
"""Squared perimeter in pixels², or surface. Below it a soft mask has no outline worth the name
(50 px of area: over 600)."""


def guarded_sqrt(q: Tensor, epsilon: float, mode: SqrtMode) -> Tensor:
    """Square root of ``q >= 0`` whose gradient ``epsilon`` bounds by 1/(2√ε); any shape."""
    match mode:
        case "clamp":
            return torch.sqrt(torch.clamp(q, min=epsilon))
        case "offset":
            return torch.sqrt(q + epsilon)
        case "centered":
            return torch.sqrt(q + epsilon) - math.sqrt(epsilon)


def lack_of_compactness(size: Tensor, outline: Tensor, axes: int) -> Tensor:
    """``1 − min(1, 4πA/P²)`` in the plane, ``1 − min(1, 36πV²/S³)`` in space; any shape.

    Args:
        size: area A or volume V.
        outline: perimeter P or surface S.
        axes: 2 or 3.
    """
    if axes == 2:
        ratio = 4 * math.pi * size / outline.square().clamp(min=SMALLEST_OUTLINE)
    else:
        surface = outline.clamp(min=SMALLEST_OUTLINE)
        # The quotient before the cube: S³ of a large volume leaves float32.
        ratio = 36 * math.pi * (size / surface).square() / surface
    return 1 - ratio.clamp(max=1)


def sobel(p: Tensor) -> tuple[Tensor, Tensor]:
    """Slopes ``(∂p/∂x, ∂p/∂y)`` per pixel, ``[B, H, W]`` each; the image's border is no edge."""
    q = _replicate_border(p)  # [B, H + 2, W + 2]
    dx = q[:, :, 2:] - q[:, :, :-2]  # [B, H + 2, W]
    dy = q[:, 2:] - q[:, :-2]  # [B, H, W + 2]
    return (
        (dx[:, :-2] + 2 * dx[:, 1:-1] + dx[:, 2:]) / 8,
        (dy[:, :, :-2] + 2 * dy[:, :, 1:-1] + dy[:, :, 2:]) / 8,
    )


def squared_slope(p: Tensor) -> Tensor:
    """``|∇p|²`` per pixel, ``[B, H, W]``, by `sobel`."""
    dx, dy = sobel(p)
    return dx.square() + dy.square()


def laplacian(p: Tensor) -> Tensor:
    """4-neighbour Laplacian, ``[B, H, W]``; the image's border is no edge."""
    q = _replicate_border(p)
    neighbours = q[:, :-2, 1:-1] + q[:, 2:, 1:-1] + q[:, 1:-1, :-2] + q[:, 1:-1, 2:]
    return neighbours - 4 * p


def _replicate_border(p: Tensor) -> Tensor:
    # By concatenation: the backward of torch's replicate padding is not deterministic on CUDA.
    p = torch.cat([p[:, :1], p, p[:, -1:]], dim=1)
    return torch.cat([p[:, :, :1], p, p[:, :, -1:]], dim=2)
