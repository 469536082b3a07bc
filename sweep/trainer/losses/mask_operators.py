"""Roots, derivatives and shapes of soft masks ``[B, (D,) H, W]``, for the geometric terms.

With a spacing the masks are volumes, without one images in pixels. Lengths are in the finest
spacing of the grid, so that a voxel that is thick along one axis counts as thick.

What ε does: sqrt(max(q, ε)) has gradient exactly 0 below ε and jumps there; sqrt(q + ε) is bounded
by 1/(2√ε); sqrt(q + ε) − √ε is too, and is 0 where q is. With ε = 0 all three give inf · 0 = NaN on
any region that is exactly flat.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations
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

    By the isoperimetric inequality no shape exceeds a ratio of 1; a blurred soft mask can, and then
    has nothing to gain, hence the minimum.

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


def gap_and_trace(c: Mapping[tuple[int, int], Tensor]) -> tuple[Tensor, Tensor]:
    """How far the eigenvalues of a covariance are apart, ``Σ (λᵢ − λⱼ)² / (n − 1)``, and their sum.

    Over the pairs of n axes ``Σ (λᵢ − λⱼ)² = Σ (cᵢᵢ − cⱼⱼ)² + 2n Σ cᵢⱼ²``, where nothing cancels:
    the textbook ``trace² − 4 det`` of a = 1000, b = 1000.0001, c = 1e-3 is 0 in float32.

    Args:
        c: the entries (i, j) with i ≤ j, of any shape.
    """
    axes = [i for i, j in c if i == j]
    gaps = [
        (c[i, i] - c[j, j]).square() + 2 * len(axes) * c[i, j].square()
        for i, j in combinations(sorted(axes), 2)
    ]
    trace = torch.stack([c[i, i] for i in axes]).sum(dim=0)
    return torch.stack(gaps).sum(dim=0) / (len(axes) - 1), trace


def squared_slope(p: Tensor, spacing: Sequence[float] = ()) -> Tensor:
    """``|∇p|²`` of each pixel, ``[B, (D,) H, W]``, by the Sobel operator, scaled so that a unit
    ramp has slope 1; the border is no edge."""
    if not spacing:
        dx, dy = sobel(p)
        return dx.square() + dy.square()
    axes = range(1, p.ndim)
    return torch.stack([_slope(p, axis, spacing).square() for axis in axes]).sum(dim=0)


def sobel(p: Tensor) -> tuple[Tensor, Tensor]:
    """Slopes ``(∂p/∂x, ∂p/∂y)`` of each pixel of images, ``[B, H, W]`` each."""
    q = _replicate_border(p)  # [B, H + 2, W + 2]
    dx = q[:, :, 2:] - q[:, :, :-2]  # [B, H + 2, W]
    dy = q[:, 2:] - q[:, :-2]  # [B, H, W + 2]
    return (
        (dx[:, :-2] + 2 * dx[:, 1:-1] + dx[:, 2:]) / 8,
        (dy[:, :, :-2] + 2 * dy[:, :, 1:-1] + dy[:, :, 2:]) / 8,
    )


def laplacian(p: Tensor, spacing: Sequence[float] = ()) -> Tensor:
    """Laplacian of 4 neighbours, of volumes 6, ``[B, (D,) H, W]``; the border is no edge."""
    if spacing:
        parts = []
        for axis, step in enumerate(spacing, 1):
            before, here, after = _neighbours(p, axis)
            parts.append((before - 2 * here + after) / step**2)
        return torch.stack(parts).sum(dim=0)
    q = _replicate_border(p)
    neighbours = q[:, :-2, 1:-1] + q[:, 2:, 1:-1] + q[:, 1:-1, :-2] + q[:, 1:-1, 2:]
    return neighbours - 4 * p


def _slope(p: Tensor, axis: int, spacing: Sequence[float]) -> Tensor:
    """∂p along an axis, smoothed by [1 2 1]/4 along the others: Sobel's operator in space."""
    for other in range(1, p.ndim):
        before, here, after = _neighbours(p, other)
        if other == axis:
            p = (after - before) / (2 * spacing[axis - 1])
        else:
            p = (before + 2 * here + after) / 4
    return p


def _neighbours(p: Tensor, axis: int) -> tuple[Tensor, Tensor, Tensor]:
    """Each voxel's neighbour before, itself and the one after; the border is repeated."""
    length = p.shape[axis]
    first, last = p.narrow(axis, 0, 1), p.narrow(axis, length - 1, 1)
    padded = torch.cat([first, p, last], dim=axis)
    return padded.narrow(axis, 0, length), p, padded.narrow(axis, 2, length)


def _replicate_border(p: Tensor) -> Tensor:
    # By concatenation: the backward of torch's replicate padding is not deterministic on CUDA.
    p = torch.cat([p[:, :1], p, p[:, -1:]], dim=1)
    return torch.cat([p[:, :, :1], p, p[:, :, -1:]], dim=2)
