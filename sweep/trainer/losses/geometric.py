"""The geometric losses: pure functions of soft foreground masks in [0, 1], images or volumes.

Masks are ``[B, H, W]``, or ``[B, D, H, W]`` with a spacing: the size of a voxel along D, H, W, in
its smallest. Each function returns one value per sample, ``[B]``, and reads none back to the host.
`sweep.trainer.losses.geometric_loss` calls them in float32 with autocast off: sums of squared
coordinates of a 512² image reach 2.3e10, far over float16's 65,504. `SHAPE_TERMS` lists them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sweep.trainer.losses import components
from sweep.trainer.losses.components import Components
from sweep.trainer.losses.mask_operators import (
    BOUNDARY_ABSOLUTE_SHARE,
    SqrtMode,
    gap_and_trace,
    guarded_sqrt,
    lack_of_compactness,
    laplacian,
    squared_slope,
)

OfMasks = Callable[[Tensor, float, SqrtMode, Sequence[float]], Tensor]
"""Soft masks ``[B, (D,) H, W]``, ε, how it guards a root, and the spacing of volumes → ``[B]``."""
OfComponents = Callable[[Tensor, Components, float, SqrtMode, Sequence[float]], Tensor]
"""The same of the S components of each mask → ``[B, S]``."""


def compactness(p: Tensor, epsilon: float, mode: SqrtMode, spacing: Sequence[float] = ()) -> Tensor:
    """``1 − min(1, 4πA / P²)``: 0 for a disc, towards 1 for ragged or elongated masks.

    Soft area ``A = Σ p``, `soft_outline` P. Of volumes ``1 − min(1, 36πV² / S³)``, 0 for a ball.
    """
    outline = soft_outline(p, epsilon, mode, spacing)
    return lack_of_compactness(p.sum(dim=_axes(p)) * math.prod(spacing), outline, axes=p.ndim - 1)


def soft_outline(
    p: Tensor, epsilon: float, mode: SqrtMode, spacing: Sequence[float] = ()
) -> Tensor:
    """Perimeter ``P = Σ |∇p|`` in pixels, or surface ``S = Σ |∇p| · voxel``: ``[B]``.

    Args:
        epsilon, mode: see `guarded_sqrt`; applied to the squared slope. In the modes ``clamp`` and
            ``offset`` every flat pixel adds √ε: H·W·√ε in all, which can dwarf the true outline.
    """
    slope = guarded_sqrt(squared_slope(p, spacing), epsilon, mode)
    return slope.sum(dim=_axes(p)) * math.prod(spacing)


def boundary(p: Tensor, spacing: Sequence[float] = ()) -> Tensor:
    """``Var(Δp) + 0.1 · mean |Δp|``: the roughness of the mask's edge, ``[B]``.

    There is no square root in it, hence no ε.
    """
    curvature, axes = laplacian(p, spacing), _axes(p)
    variance = curvature.var(dim=axes, correction=0)
    return variance + BOUNDARY_ABSOLUTE_SHARE * curvature.abs().mean(dim=axes)


def aspect(p: Tensor, epsilon: float, mode: SqrtMode, spacing: Sequence[float] = ()) -> Tensor:
    """``(λ₊ − λ₋) / (λ₊ + λ₋)`` of the mask's covariance: 0 for a circle, 1 for a line.

    Of volumes ``sqrt(½ Σ (λᵢ − λⱼ)²) / Σ λ`` over the pairs of eigenvalues: 0 for a ball.

    Args:
        epsilon, mode: see `guarded_sqrt`; applied to the squared gap, in pixels⁴.
    """
    axes = _axes(p)
    area = p.sum(dim=axes).clamp(min=1e-6)  # [B]
    profiles = [p.sum(dim=[other for other in axes if other != axis]) for axis in axes]
    places = [  # from each mask's own centre: no cancellation below
        _centred(profile, step, area)
        for profile, step in zip(profiles, spacing or (1, 1), strict=True)
    ]
    squared, trace = gap_and_trace(_covariances(p, profiles, places, area))
    return guarded_sqrt(squared, epsilon, mode) / trace.clamp(min=1e-6)


def _axes(p: Tensor) -> tuple[int, ...]:
    return tuple(range(1, p.ndim))


def _centred(profile: Tensor, step: float, area: Tensor) -> Tensor:
    """Places along an axis, from each mask's own centre: ``[B, length]``."""
    length = profile.shape[1]
    places = torch.arange(length, device=profile.device, dtype=profile.dtype) - (length - 1) / 2
    places = places * step
    return places - (profile @ places / area)[:, None]


def _covariances(
    p: Tensor, profiles: Sequence[Tensor], places: Sequence[Tensor], area: Tensor
) -> dict[tuple[int, int], Tensor]:
    """The entries (i, j), i ≤ j, of each mask's covariance, ``[B]`` each.

    Args:
        profiles: sums of the mask across each axis, ``[B, length]``.
        places: centred places along it, likewise.
    """
    if len(places) == 2:
        (rows, columns), (y, x) = profiles, places
        return {
            (1, 1): (columns * x.square()).sum(dim=1) / area,
            (0, 0): (rows * y.square()).sum(dim=1) / area,
            (0, 1): torch.einsum("bhw,bh,bw->b", p, y, x) / area,
        }
    z, y, x = places
    return {
        (0, 0): torch.einsum("bdhw,bd->b", p, z.square()) / area,
        (1, 1): torch.einsum("bdhw,bh->b", p, y.square()) / area,
        (2, 2): torch.einsum("bdhw,bw->b", p, x.square()) / area,
        (0, 1): torch.einsum("bdhw,bd,bh->b", p, z, y) / area,
        (0, 2): torch.einsum("bdhw,bd,bw->b", p, z, x) / area,
        (1, 2): torch.einsum("bdhw,bh,bw->b", p, y, x) / area,
    }


@dataclass(frozen=True, slots=True)
class ShapeTerm:
    """What computes a term of the shape alone.

    Args:
        of_masks: is given volumes only if the mark ``in_volumes`` of its weight says so.
        of_components: None where it is not known of components; it then sees whole masks.
    """

    of_masks: OfMasks
    of_components: OfComponents | None = None


SHAPE_TERMS: Mapping[str, ShapeTerm] = {
    "compactness": ShapeTerm(compactness, components.compactness),
    "boundary": ShapeTerm(lambda p, _, __, spacing: boundary(p, spacing), components.boundary),
    "aspect": ShapeTerm(aspect, components.aspect),
}
