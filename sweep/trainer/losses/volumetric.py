"""The geometric terms of whole volumes: `sweep.trainer.losses.geometric`, one dimension up.

Pure functions of a soft foreground mask ``[B, D, H, W]`` in [0, 1], one value per sample, ``[B]``.
Lengths are in the finest spacing of the grid, so that a voxel that is thick along one axis counts
as thick: on an isotropic grid they are voxels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from sweep.trainer.losses.mask_operators import (
    BOUNDARY_ABSOLUTE_SHARE,
    SqrtMode,
    guarded_sqrt,
    lack_of_compactness,
)

AXES = (1, 2, 3)
"""Depth, height and width of ``[B, D, H, W]``."""


def compactness(p: Tensor, spacing: Sequence[float], epsilon: float, mode: SqrtMode) -> Tensor:
    """``1 − min(1, 36πV² / S³)``: 0 for a ball, towards 1 for ragged or elongated masks.

    Soft volume ``V = Σ p · voxel``, `soft_surface` S; no body exceeds 36πV²/S³ = 1 (the
    isoperimetric inequality in space), as no shape exceeds 4πA/P² = 1 in the plane.

    Args:
        p: soft mask ``[B, D, H, W]``.
        spacing: size of a voxel along D, H, W, in its smallest.
    Returns:
        ``[B]``.
    """
    surface = soft_surface(p, spacing, epsilon, mode)
    return lack_of_compactness(p.sum(dim=AXES) * math.prod(spacing), surface, axes=3)


def soft_surface(p: Tensor, spacing: Sequence[float], epsilon: float, mode: SqrtMode) -> Tensor:
    """``S = Σ |∇p| · voxel``; slopes by the Sobel operator, so that a unit ramp has slope 1.

    Args:
        p: soft mask ``[B, D, H, W]``.
        epsilon, mode: see `sweep.trainer.losses.mask_operators.guarded_sqrt`.
    Returns:
        ``[B]``.
    """
    slope = guarded_sqrt(squared_slope(p, spacing), epsilon, mode)
    return slope.sum(dim=AXES) * math.prod(spacing)


def squared_slope(p: Tensor, spacing: Sequence[float]) -> Tensor:
    """``|∇p|²`` per voxel, ``[B, D, H, W]``, by the Sobel operator."""
    return torch.stack([_slope(p, axis, spacing).square() for axis in AXES]).sum(dim=0)


def boundary(p: Tensor, spacing: Sequence[float]) -> Tensor:
    """``Var(Δp) + 0.1 · mean |Δp|`` with the 6-neighbour Laplacian, ``[B, D, H, W] -> [B]``."""
    curvature = laplacian(p, spacing)
    variance = curvature.var(dim=AXES, correction=0)
    return variance + BOUNDARY_ABSOLUTE_SHARE * curvature.abs().mean(dim=AXES)


def laplacian(p: Tensor, spacing: Sequence[float]) -> Tensor:
    """6-neighbour Laplacian, ``[B, D, H, W]``; the border is no edge."""
    return torch.stack(
        [_second_difference(p, axis) / step**2 for axis, step in zip(AXES, spacing, strict=True)]
    ).sum(dim=0)


def aspect(p: Tensor, spacing: Sequence[float], epsilon: float, mode: SqrtMode) -> Tensor:
    """``sqrt(½ Σ (λᵢ − λⱼ)²) / Σ λ`` of the mask's covariance: 0 for a ball, 1 for a line.

    Over the three pairs of eigenvalues; with two eigenvalues and no ½ it is the term of the plane.
    In the entries of the matrix, ``Σ (λᵢ − λⱼ)² = Σ (cᵢᵢ − cⱼⱼ)² + 6 Σ cᵢⱼ²``: no cancellation.

    Args:
        p: soft mask ``[B, D, H, W]``.
        epsilon, mode: applied to the squared gap.
    """
    area = p.sum(dim=AXES).clamp(min=1e-6)  # [B]
    places = [_centred(p, axis, step, area) for axis, step in zip(AXES, spacing, strict=True)]
    z, y, x = places  # [B, D], [B, H], [B, W]
    c = {
        (0, 0): torch.einsum("bdhw,bd->b", p, z.square()) / area,
        (1, 1): torch.einsum("bdhw,bh->b", p, y.square()) / area,
        (2, 2): torch.einsum("bdhw,bw->b", p, x.square()) / area,
        (0, 1): torch.einsum("bdhw,bd,bh->b", p, z, y) / area,
        (0, 2): torch.einsum("bdhw,bd,bw->b", p, z, x) / area,
        (1, 2): torch.einsum("bdhw,bh,bw->b", p, y, x) / area,
    }
    pairs = ((0, 1), (0, 2), (1, 2))
    gaps = torch.stack([(c[i, i] - c[j, j]).square() + 6 * c[i, j].square() for i, j in pairs])
    gap = guarded_sqrt(gaps.sum(dim=0) / 2, epsilon, mode)
    return gap / (c[0, 0] + c[1, 1] + c[2, 2]).clamp(min=1e-6)


def _slope(p: Tensor, axis: int, spacing: Sequence[float]) -> Tensor:
    """∂p along an axis, smoothed by [1 2 1]/4 along the others: Sobel's operator in space."""
    for other in AXES:
        before, here, after = _neighbours(p, other)
        if other == axis:
            p = (after - before) / (2 * spacing[axis - 1])
        else:
            p = (before + 2 * here + after) / 4
    return p


def _second_difference(p: Tensor, axis: int) -> Tensor:
    before, here, after = _neighbours(p, axis)
    return before - 2 * here + after


def _neighbours(p: Tensor, axis: int) -> tuple[Tensor, Tensor, Tensor]:
    """Each voxel's neighbour before, itself and the one after; the border is repeated."""
    length = p.shape[axis]
    first, last = p.narrow(axis, 0, 1), p.narrow(axis, length - 1, 1)
    padded = torch.cat([first, p, last], dim=axis)
    return padded.narrow(axis, 0, length), p, padded.narrow(axis, 2, length)


def _centred(p: Tensor, axis: int, step: float, area: Tensor) -> Tensor:
    """Places along an axis, from each mask's own centre: ``[B, length]``."""
    length = p.shape[axis]
    places = (torch.arange(length, device=p.device, dtype=p.dtype) - (length - 1) / 2) * step
    profile = p.sum(dim=tuple(other for other in AXES if other != axis))  # [B, length]
    return places - (profile @ places / area)[:, None]
