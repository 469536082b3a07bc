"""The geometric part of the loss, whichever trainer asks for it: its terms of a batch of outputs.

The functions stand in `geometric` (of images), `volumetric` (of volumes) and `kervadec`; which
function computes which term stands in `SHAPE_TERMS` and `REFERENCE_TERMS`. What else there is to
say of a term stands at its weight, in `sweep.spec.settings.geometric_terms`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sweep.spec.settings.trial_settings import LossSettings
from sweep.trainer.losses import geometric, volumetric
from sweep.trainer.losses.geometric import SqrtMode
from sweep.trainer.losses.kervadec import kervadec, signed_distances

OfImages = Callable[[Tensor, float, SqrtMode], Tensor]
"""Soft masks ``[B, H, W]``, ε and how it guards a root → ``[B]``."""
OfVolumes = Callable[[Tensor, Sequence[float], float, SqrtMode], Tensor]
"""The same of soft masks ``[B, D, H, W]``, with the size of a voxel along D, H, W."""


@dataclass(frozen=True, slots=True)
class ShapeTerm:
    """What computes a term of the shape alone.

    Args:
        of_volumes: None where it is not known of volumes; its weight is then marked so.
    """

    of_images: OfImages
    of_volumes: OfVolumes | None = None


SHAPE_TERMS: Mapping[str, ShapeTerm] = {
    "compactness": ShapeTerm(geometric.compactness, volumetric.compactness),
    "boundary": ShapeTerm(
        lambda p, *_: geometric.boundary(p),
        lambda p, spacing, *_: volumetric.boundary(p, spacing),
    ),
    "aspect": ShapeTerm(geometric.aspect, volumetric.aspect),
}
REFERENCE_TERMS: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {"kervadec": kervadec}
"""Soft masks and the reference's distance maps, ``[B, H, W]`` each → scalar."""


def soft_mask(logits: Tensor, channel: int) -> Tensor:
    """Probability of one class in float32, ``[B, C, …] -> [B, …]``."""
    return logits.float().softmax(dim=1)[:, channel]


def distances_for(settings: LossSettings, target: Tensor, channel: int) -> Tensor | None:
    """The distance maps ``[N, H, W]`` that the terms need which compare with the reference, if any.

    Args:
        target: class indices ``[B, 1, (D,) H, W]``; on another device than the CPU, where the maps
            are computed, this waits for it.
        channel: the class that the geometric terms act on.
    """
    if settings.weights.used.keys().isdisjoint(REFERENCE_TERMS):
        return None
    labels = as_slices(target[:, 0]).cpu()  # [N, H, W]
    return signed_distances(labels[:, None], channel).to(target.device)


def geometric_terms(
    settings: LossSettings,
    p: Tensor,
    distances: Tensor | None = None,
    spacing: Sequence[float] | None = None,
) -> dict[str, Tensor]:
    """Every geometric term that has a weight, before the weight: scalars by name.

    Args:
        p: soft mask ``[B, (D,) H, W]``.
        distances: what `distances_for` gave, on the device of the mask.
        spacing: size of a voxel along D, H, W: volumes are looked at as such; None looks at them
            slice by slice.
    """
    slices = as_slices(p)
    terms = shape_terms(
        slices if spacing is None else p,
        settings.weights.used,
        epsilon=settings.sqrt_epsilon,
        mode=settings.sqrt_mode,
        min_area=settings.min_area,
        spacing=spacing,
    )
    if distances is None:
        return terms
    # Not subject to min_area: it is safe on small masks, and an empty prediction of a large
    # reference is what it is there to mend.
    used = settings.weights.used.keys()
    return terms | {
        name: term(slices, distances) for name, term in REFERENCE_TERMS.items() if name in used
    }


def shape_terms(
    p: Tensor,
    wanted: Mapping[str, float],
    *,
    epsilon: float,
    mode: SqrtMode,
    min_area: float,
    spacing: Sequence[float] | None = None,
) -> dict[str, Tensor]:
    """The terms of the shape alone whose weight is not 0, each the mean over the valid samples.

    A sample is valid when its soft area is at least ``min_area`` pixels, or its soft volume that of
    a ball with such a section. The others are replaced *before* any square root, by a mask that is
    flat nowhere, and left out of the mean after it: masking only the result would let their NaN
    gradients through (0 · inf).

    Args:
        p: soft mask ``[B, H, W]``, or with a ``spacing`` ``[B, D, H, W]``; any floating type.
        wanted: weight of each term by name; other names than those of `SHAPE_TERMS` are passed
            over.
        spacing: size of a voxel along D, H, W, in any unit.
    Returns:
        scalars by name; exactly 0 with a zero gradient where no sample is valid.
    """
    least = min_area if spacing is None else volumetric.smallest_volume(min_area)
    relative = [] if spacing is None else [step / min(spacing) for step in spacing]
    with torch.autocast(device_type=p.device.type, enabled=False):
        p = p.float()
        size = p.sum(dim=tuple(range(1, p.ndim))) * math.prod(relative)  # [B]
        valid = ~(size < least)  # a NaN mask is valid: it must not be hidden
        safe = torch.where(valid.view(-1, *[1] * (p.ndim - 1)), p, _flat_nowhere(p))
        return {
            name: mean_over_valid(_values(SHAPE_TERMS[name], safe, relative, epsilon, mode), valid)
            for name, weight in wanted.items()
            if weight > 0 and name in SHAPE_TERMS
        }


def mean_over_valid(values: Tensor, valid: Tensor) -> Tensor:
    """Mean of ``values[valid]``, 0 where none is; boolean indexing would ask the device."""
    return torch.where(valid, values, 0.0).sum() / valid.sum().clamp(min=1)


def as_slices(values: Tensor) -> Tensor:
    """``[B, D, H, W] -> [B · D, H, W]``; what is 2D already stays as it is."""
    return values.flatten(0, 1) if values.ndim == 4 else values


def _values(
    term: ShapeTerm, p: Tensor, spacing: Sequence[float], epsilon: float, mode: SqrtMode
) -> Tensor:
    if not spacing:
        return term.of_images(p, epsilon, mode)
    assert term.of_volumes is not None  # `GeometricWeights.must_fit_volumes`
    return term.of_volumes(p, spacing, epsilon, mode)


def _flat_nowhere(p: Tensor) -> Tensor:
    """A ramp ``[(D,) H, W]`` whose slope is positive everywhere: safe even for ε = 0."""
    ramp = p.new_zeros(())
    for place, length in enumerate(p.shape[1:]):
        shape = [length if axis == place else 1 for axis in range(p.ndim - 1)]
        top = 0.3 * (place + 1) / (p.ndim - 1)  # another one along each axis
        ramp = ramp + torch.linspace(0, top, length, device=p.device, dtype=p.dtype).view(shape)
    return ramp
