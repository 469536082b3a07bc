"""The geometric losses: pure functions of a soft foreground mask ``[B, H, W]`` in [0, 1].

Each returns one value per sample, ``[B]``. `sweep.trainer.losses.geometric_loss` calls them in
float32 with autocast off: sums of squared coordinates of a 512² image reach 2.3e10, far over
float16's 65,504. No function reads a value back to the host. `SHAPE_TERMS` lists them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sweep.spec.settings.loss_settings import LossSettings
from sweep.trainer.losses import components, volumetric
from sweep.trainer.losses.components import Components
from sweep.trainer.losses.mask_operators import (
    BOUNDARY_ABSOLUTE_SHARE,
    SqrtMode,
    guarded_sqrt,
    lack_of_compactness,
    laplacian,
    squared_slope,
)

OfImages = Callable[[Tensor, float, SqrtMode], Tensor]
"""Soft masks ``[B, H, W]``, ε and how it guards a root → ``[B]``."""
OfVolumes = Callable[[Tensor, Sequence[float], float, SqrtMode], Tensor]
"""The same of soft masks ``[B, D, H, W]``, with the size of a voxel along D, H, W."""

OfComponents = Callable[[Tensor, Components, Sequence[float], float, SqrtMode], Tensor]
"""The same of the S components of each mask ``[B, (D,) H, W]`` → ``[B, S]``; no spacing for
images."""


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
    perimeter = soft_perimeter(p, epsilon, mode)
    return lack_of_compactness(p.sum(dim=(1, 2)), perimeter, axes=2)


def soft_perimeter(p: Tensor, epsilon: float, mode: SqrtMode) -> Tensor:
    """``P = Σ |∇p|`` in pixels, slopes by Sobel over 8 so that a unit ramp has slope 1.

    Args:
        p: soft mask ``[B, H, W]``.
        epsilon, mode: see `guarded_sqrt`; applied to the squared slope. In the modes ``clamp`` and
            ``offset`` every flat pixel adds √ε: H·W·√ε in all, which can dwarf the true outline.
    Returns:
        ``[B]``.
    """
    return guarded_sqrt(squared_slope(p), epsilon, mode).sum(dim=(1, 2))


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


@dataclass(frozen=True, slots=True)
class ShapeTerm:
    """What computes a term of the shape alone.

    Args:
        of_volumes: None where it is not known of volumes; its weight is then marked so.
        of_components: None where it is not known of components; it then sees whole masks.
    """

    of_images: OfImages
    of_volumes: OfVolumes | None = None
    of_components: OfComponents | None = None

    def values(self, p: Tensor, spacing: Sequence[float], settings: LossSettings) -> Tensor:
        """The term of each mask ``[B, (D,) H, W] -> [B]``; no spacing for images."""
        epsilon, mode = settings.sqrt_epsilon, settings.sqrt_mode
        if not spacing:
            return self.of_images(p, epsilon, mode)
        assert self.of_volumes is not None  # `GeometricWeights.must_fit_volumes`
        return self.of_volumes(p, spacing, epsilon, mode)


SHAPE_TERMS: Mapping[str, ShapeTerm] = {
    "compactness": ShapeTerm(compactness, volumetric.compactness, components.compactness),
    "boundary": ShapeTerm(
        lambda p, *_: boundary(p),
        lambda p, spacing, *_: volumetric.boundary(p, spacing),
        components.boundary,
    ),
    "aspect": ShapeTerm(aspect, volumetric.aspect, components.aspect),
}
