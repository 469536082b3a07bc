"""The geometric losses: pure functions of a soft foreground mask ``[B, H, W]`` in [0, 1].

Each returns one value per sample, ``[B]``. `sweep.trainer.losses.geometric_loss` calls them in
float32 with autocast off: sums of squared coordinates of a 512² image reach 2.3e10, far over
float16's 65,504. No function reads a value back to the host.

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

SMALLEST_SQUARED_PERIMETER = 1.0
"""Pixels²; below it a soft mask has no outline worth the name (50 px of area: over 600)."""


def guarded_sqrt(q: Tensor, epsilon: float, mode: SqrtMode) -> Tensor:
    """Square root of ``q >= 0`` whose gradient ``epsilon`` bounds by 1/(2√ε); any shape."""
    match mode:
        case "clamp":
            return torch.sqrt(torch.clamp(q, min=epsilon))
        case "offset":
            return torch.sqrt(q + epsilon)
        case "centered":
            return torch.sqrt(q + epsilon) - math.sqrt(epsilon)


def compactness(p: Tensor, epsilon: float, mode: SqrtMode) -> Tensor:
    """``1 − min(1, 4πA / P²)``: 0 for a disc, towards 1 for ragged or elongated masks.

    Soft area ``A = Σ p``, `soft_perimeter` P. By the isoperimetric inequality no shape exceeds
    4πA/P² = 1; a blurred soft mask can, and then has nothing to gain, hence the minimum.

    Args:
        p: soft mask ``[B, H, W]``.
        epsilon, mode: see `soft_perimeter`.
    Returns:
        ``[B]``.
    """
    squared = soft_perimeter(p, epsilon, mode).square().clamp(min=SMALLEST_SQUARED_PERIMETER)
    return 1 - (4 * math.pi * p.sum(dim=(1, 2)) / squared).clamp(max=1)


def soft_perimeter(p: Tensor, epsilon: float, mode: SqrtMode) -> Tensor:
    """``P = Σ |∇p|`` in pixels, slopes by Sobel over 8 so that a unit ramp has slope 1.

    Args:
        p: soft mask ``[B, H, W]``.
        epsilon, mode: see `guarded_sqrt`; applied to the squared slope. In the modes ``clamp`` and
            ``offset`` every flat pixel adds √ε: H·W·√ε in all, which can dwarf the true outline.
    Returns:
        ``[B]``.
    """
    dx, dy = sobel(p)  # [B, H, W] each
    return guarded_sqrt(dx.square() + dy.square(), epsilon, mode).sum(dim=(1, 2))


def boundary(p: Tensor) -> Tensor:
    """``Var(Δp) + 0.1 · mean |Δp|``: the roughness of the mask's edge. ``[B, H, W] -> [B]``.

    Δ is the 4-neighbour Laplacian; there is no square root in it, hence no ε.
    """
    curvature = laplacian(p)
    variance = curvature.var(dim=(1, 2), correction=0)
    return variance + BOUNDARY_ABSOLUTE_SHARE * curvature.abs().mean(dim=(1, 2))


def aspect(p: Tensor, epsilon: float, mode: SqrtMode) -> Tensor:
    """``(λ₊ − λ₋) / (λ₊ + λ₋)`` of the mask's covariance: 0 for a circle, 1 for a line.

    The gap of the eigenvalues of ``[[a, c], [c, b]]`` is ``sqrt((a − b)² + 4c²)``; the textbook
    ``sqrt(trace² − 4 det)`` cancels in float32: a = 1000, b = 1000.0001, c = 1e-3 gives 0, not
    0.002.

    Args:
        p: soft mask ``[B, H, W]``.
        epsilon, mode: see `guarded_sqrt`; applied to the squared gap, in pixels⁴.
    Returns:
        ``[B]``.
    """
    _, height, width = p.shape
    y = torch.arange(height, device=p.device, dtype=p.dtype) - (height - 1) / 2  # [H]
    x = torch.arange(width, device=p.device, dtype=p.dtype) - (width - 1) / 2  # [W]
    area = p.sum(dim=(1, 2)).clamp(min=1e-6)  # [B]
    rows, columns = p.sum(dim=2), p.sum(dim=1)  # [B, H], [B, W]
    y = y - (rows @ y / area)[:, None]  # [B, H], centred on each mask: no cancellation below
    x = x - (columns @ x / area)[:, None]  # [B, W]
    a = (columns * x.square()).sum(dim=1) / area  # variance along x, [B]
    b = (rows * y.square()).sum(dim=1) / area
    c = torch.einsum("bhw,bh,bw->b", p, y, x) / area
    gap = guarded_sqrt((a - b).square() + 4 * c.square(), epsilon, mode)
    return gap / (a + b).clamp(min=1e-6)


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
