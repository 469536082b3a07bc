"""The geometric part of the loss, whichever trainer asks for it: its terms of a batch of outputs.

The functions are in `geometric` (with the table `SHAPE_TERMS`) and `kervadec`. The other properties
of a term are at its weight, in `sweep.spec.settings.geometric_terms`.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from sweep.plugins.plugin_kinds import LOSS_TERM
from sweep.spec.settings.loss_settings import LossSettings
from sweep.trainer.losses.components import components_of, touches_border
from sweep.trainer.losses.geometric import SHAPE_TERMS, ShapeTerm
from sweep.trainer.losses.kervadec import kervadec, signed_distances
from sweep.vocabulary.errors import TrainerError


class LossTerm(Protocol):
    """A geometric term of a plug-in."""

    def __call__(self, p: Tensor, /) -> Tensor:
        """The term of each sample; less is better.

        Args:
            p: soft masks ``[B, H, W]``, float32 in [0, 1]; of several geometric classes, or of the
                slices of a volume, one after the other.
        Returns:
            ``[B]``, with a finite gradient wherever a mask is flat.
        """


REFERENCE_TERMS: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {"kervadec": kervadec}
"""Soft masks and the reference's distance maps, ``[B, (D,) H, W]`` each → scalar."""


def shape_terms(settings: LossSettings) -> Mapping[str, ShapeTerm]:
    """All terms of the shape by name: ours, and those of the plug-ins that the settings name.

    Raises:
        InputError: a plug-in cannot be imported or does not take a soft mask.
    """
    found = settings.plugin_terms
    return {**SHAPE_TERMS, **{name: _of_plugin(entry) for name, entry in found.items()}}


@functools.cache
def _of_plugin(entry: str) -> ShapeTerm:
    term: LossTerm = LOSS_TERM.function(entry, {})

    def values(p: Tensor, *_: Any) -> Tensor:
        found = term(p)
        if not isinstance(found, Tensor) or found.shape != p.shape[:1]:
            what = list(found.shape) if isinstance(found, Tensor) else type(found).__name__
            raise TrainerError(
                f"the loss term `{entry}` must return one value for each of the {len(p)} samples,"
                f" a tensor [{len(p)}], but returned {what}"
            )
        return found

    return ShapeTerm(values)


def soft_masks(logits: Tensor, channels: Sequence[int], *, regions: bool = False) -> Tensor:
    """Probabilities of some classes in float32, each a mask of its own.

    Args:
        logits: ``[B, C, …]``.
        channels: of the classes.
        regions: whether the channels are regions, which may overlap.
    Returns:
        ``[len(channels) · B, …]``: the masks of the first class, then of the next.
    """
    probabilities = logits.float().sigmoid() if regions else logits.float().softmax(dim=1)
    return torch.cat([probabilities[:, channel] for channel in channels])


def soft_areas(logits: Tensor, channels: Sequence[int], *, regions: bool = False) -> Tensor:
    """Soft area, in pixels or voxels, of some classes: ``[B, C, …] -> [B, len(channels)]``."""
    masks = soft_masks(logits, channels, regions=regions)
    return masks.flatten(1).sum(dim=1).view(len(channels), -1).T


def held_where_ignored(p: Tensor, counted: Tensor) -> Tensor:
    """Soft masks that have no gradient in ignored voxels.

    Nobody knows what is there, so no probability moves there. What is predicted there still belongs
    to the shape: cut along the border of what was annotated, a disc would not be round.

    Args:
        p: what `soft_masks` gives, ``[classes · B, …]``.
        counted: where a voxel is not ignored, ``[B, …]``.
    """
    return torch.where(torch.cat([counted] * (len(p) // len(counted))), p, p.detach())


def distances_for(
    settings: LossSettings,
    target: Tensor,
    channels: Sequence[int],
    spacing: Sequence[float] | None = None,
) -> Tensor | None:
    """The distance maps that the terms need which compare with the reference, if any.

    Args:
        target: class indices ``[B, 1, (D,) H, W]``; on another device than the CPU, where the maps
            are computed, this waits for it.
        channels: the classes that the geometric terms act on.
        spacing: as `geometric_terms` is given it.
    Returns:
        maps of the masks that `soft_masks` gives, in their order: ``[N, D, H, W]`` in the finest
        spacing; without a spacing ``[N, H, W]`` in pixels, one for each slice.
    """
    if settings.weights.used.keys().isdisjoint(REFERENCE_TERMS):
        return None
    relative = _relative(spacing)
    labels = target[:, 0].cpu()  # [B, (D,) H, W]
    labels = (labels if relative else as_slices(labels))[:, None]
    maps = [signed_distances(labels, channel, relative) for channel in channels]
    return torch.cat(maps).to(target.device)


def geometric_terms(
    settings: LossSettings,
    p: Tensor,
    distances: Tensor | None = None,
    spacing: Sequence[float] | None = None,
) -> dict[str, Tensor]:
    """Every geometric term that has a weight, before the weight: scalars by name.

    A term of the shape is the mean over the valid masks. One is valid when its soft area is at
    least ``min_area`` pixels, or its soft volume that of a ball with such a section, and, with
    ``border: ignore``, when it does not touch the border. The others are replaced *before* any
    square root, by a mask that is flat nowhere, and left out of the mean after it: masking only the
    result would let their NaN gradients through (0 · inf).

    With ``components: separate``, a term that is known of components is the mean over those of a
    mask (`sweep.trainer.losses.components`), each of which is valid or not by the same rule.

    Args:
        p: soft mask ``[B, (D,) H, W]``, any floating type.
        distances: what `distances_for` gave, on the device of the mask.
        spacing: size of a voxel along D, H, W, in any unit: volumes are looked at as such; None
            looks at them slice by slice.
    Returns:
        of a term of the shape exactly 0 with a zero gradient where no sample is valid.
    """
    used = settings.weights.used
    terms_of_shape = shape_terms(settings)
    relative = _relative(spacing)
    least = settings.min_volume if spacing else settings.min_area
    with torch.autocast(device_type=p.device.type, enabled=False):
        p = p.float()
        masks = p if relative else as_slices(p)
        size = masks.sum(dim=tuple(range(1, masks.ndim))) * math.prod(relative)
        valid = ~(size < least)  # [B]; a NaN mask is valid: it must not be hidden
        at_border = settings.border == "keep"
        if not at_border:
            valid &= ~touches_border(masks) | size.isnan()
        safe = torch.where(valid.view(-1, *[1] * (masks.ndim - 1)), masks, _flat_nowhere(masks))
        parts = None
        if settings.components == "separate":
            parts = components_of(masks, least, relative, at_border=at_border)
        terms, root = {}, (settings.sqrt_epsilon, settings.sqrt_mode)
        for name in (name for name in used if name in terms_of_shape):
            term = terms_of_shape[name]
            if parts is not None and term.of_components is not None:
                each = term.of_components(masks, parts, *root, relative)
                terms[name] = mean_over_valid(parts.mean(each), parts.counts.any(dim=1))
            else:
                terms[name] = mean_over_valid(term.of_masks(safe, *root, relative), valid)
        if distances is not None:
            # Not subject to min_area: it is safe on small masks, and an empty prediction of a large
            # reference is what it is there to mend.
            for name in (name for name in used if name in REFERENCE_TERMS):
                terms[name] = REFERENCE_TERMS[name](masks, distances)
    return terms


def _relative(spacing: Sequence[float] | None) -> list[float]:
    """A spacing in its smallest."""
    return [step / min(spacing) for step in spacing] if spacing else []


def mean_over_valid(values: Tensor, valid: Tensor) -> Tensor:
    """Mean of ``values[valid]``, 0 where none is; boolean indexing would ask the device."""
    return torch.where(valid, values, 0.0).sum() / valid.sum().clamp(min=1)


def as_slices(values: Tensor) -> Tensor:
    """``[B, D, H, W] -> [B · D, H, W]``; what is 2D already stays as it is."""
    return values.flatten(0, 1) if values.ndim == 4 else values


def _flat_nowhere(p: Tensor) -> Tensor:
    """A ramp ``[(D,) H, W]`` whose slope is positive everywhere: safe even for ε = 0."""
    ramp = p.new_zeros(())
    for place, length in enumerate(p.shape[1:]):
        shape = [length if axis == place else 1 for axis in range(p.ndim - 1)]
        top = 0.3 * (place + 1) / (p.ndim - 1)  # another one along each axis
        ramp = ramp + torch.linspace(0, top, length, device=p.device, dtype=p.dtype).view(shape)
    return ramp
