"""The shape terms of the connected components of a mask, each component a shape of its own.

A mask of k equal discs has 1/k of the 4πA/P² of one of them: its area is k times as large, and its
squared perimeter k² times. With ``loss.components: separate`` each disc counts by itself.

The components are those of the prediction, where ``p`` is above `THRESHOLD`, and each takes along
the soft edge around it. Which pixel belongs to which is computed without a gradient. The terms are
functions of sums over pixels (area, outline, moments), so they are summed by component: that costs
the same for one component as for a hundred, and gives no pixel an edge that the mask has not.

No function reads a value back to the host, except that SciPy labels the masks of a CPU.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from sweep.trainer.losses.mask_operators import (
    BOUNDARY_ABSOLUTE_SHARE,
    SqrtMode,
    gap_and_trace,
    guarded_sqrt,
    lack_of_compactness,
    laplacian,
    squared_slope,
)

THRESHOLD = 0.5
"""A pixel is inside a mask if it is more likely in it than not. So is one that is NaN."""
EDGE = 4
"""Pixels around a component that belong to it: the width of a soft edge."""

_ROUNDS, _JUMPS = 8, 10
"""Of `_labelled_on_device`. Of 512² pixels a spiral needs 2 rounds, noise at the threshold of
percolation 6."""


@dataclass(frozen=True, slots=True)
class Components:
    """The components of N masks, those that count.

    Args:
        slot: component of each pixel, ``[N · pixels]``. Mask n has the numbers from n · S; its
            first one stands for the pixels of no component.
        weights: soft area or volume of each component, ``[N, S]``, without gradient; 0 if it does
            not count.
    """

    slot: Tensor
    weights: Tensor

    @property
    def counts(self) -> Tensor:
        """Whether a component counts, ``[N, S]``."""
        return self.weights != 0  # NaN counts: it must not be hidden

    @property
    def inside(self) -> Tensor:
        """Whether a pixel belongs to a component that counts, ``[N · pixels]``."""
        return self.counts.flatten()[self.slot]

    def total(self, field: Tensor) -> Tensor:
        """Sum of a field ``[N, (D,) H, W]`` over each component, ``[N, S]`` in float64."""
        return _total(field, self.slot, self.weights.shape)

    def mean(self, values: Tensor) -> Tensor:
        """Mean over the components of each mask, by their area: ``[N, S] -> [N]``.

        By area, since a speck that comes or goes at the threshold must not change the value much.
        0 for a mask without a component that counts.
        """
        kept = torch.where(self.counts, values.float(), 0.0)
        return (self.weights * kept).sum(dim=1) / self.weights.sum(dim=1).clamp(min=1e-6)


def components_of(
    p: Tensor, least: float, spacing: Sequence[float] = (), *, at_border: bool = True
) -> Components:
    """The connected components of soft masks ``[N, (D,) H, W]``, diagonal neighbours included.

    Args:
        least: smallest soft area or volume of a component that counts.
        spacing: size of a voxel along D, H, W.
        at_border: whether those count that touch the border of the mask.
    """
    with torch.no_grad():
        hard = is_inside(p)
        label, most = _labelled(hard)
        size = most + 1
        offset = size * torch.arange(len(p), device=p.device)[:, None]  # [N, 1]
        slot = (_with_edges(label).flatten(1) + offset).flatten()
        shape = len(p), size
        area = _total(p, slot, shape).float() * math.prod(spacing)
        counts = ~(area < least)
        counts[:, 0] = False
        if not at_border:  # the soft edge may touch it
            within = (label.flatten(1) + offset).flatten()
            counts &= (_total(hard & _border(p), within, shape) == 0) | area.isnan()
        return Components(slot, torch.where(counts, area, 0.0))


def is_inside(p: Tensor) -> Tensor:
    """Whether each pixel is inside a soft mask; any shape."""
    return ~(p <= THRESHOLD)


def touches_border(p: Tensor) -> Tensor:
    """Whether each soft mask has a pixel inside it at its border: ``[N, (D,) H, W] -> [N]``."""
    return (is_inside(p) & _border(p)).flatten(1).any(dim=1)


def compactness(
    p: Tensor, parts: Components, epsilon: float, mode: SqrtMode, spacing: Sequence[float]
) -> Tensor:
    """As `sweep.trainer.losses.geometric.compactness`, of each component: ``[N, S]``."""
    # Only the pixels of components have a root, so that the others cannot break a gradient.
    safe = torch.where(parts.inside.view_as(p), squared_slope(p, spacing), 1.0)
    voxel = math.prod(spacing)
    outline = parts.total(guarded_sqrt(safe, epsilon, mode)) * voxel
    return lack_of_compactness(parts.total(p) * voxel, outline, p.ndim - 1)


def boundary(
    p: Tensor, parts: Components, _epsilon: float, _mode: SqrtMode, spacing: Sequence[float]
) -> Tensor:
    """As `sweep.trainer.losses.geometric.boundary`, of each component: ``[N, S]``."""
    curvature = laplacian(p, spacing)
    pixels = p[0].numel()
    mean, squares, size = (
        parts.total(field) / pixels for field in (curvature, curvature.square(), curvature.abs())
    )
    return squares - mean.square() + BOUNDARY_ABSOLUTE_SHARE * size


def aspect(
    p: Tensor, parts: Components, epsilon: float, mode: SqrtMode, spacing: Sequence[float]
) -> Tensor:
    """As `sweep.trainer.losses.geometric.aspect`, of each component: ``[N, S]``."""
    places = _places(p, spacing)
    axes = range(len(places))
    area = parts.total(p).clamp(min=1e-6)
    centre = [parts.total(p * place) / area for place in places]
    # In float64 the mean of the squares less the square of the mean keeps enough digits.
    squared, trace = gap_and_trace(
        {
            (i, j): parts.total(p.double() * places[i] * places[j]) / area - centre[i] * centre[j]
            for i in axes
            for j in axes[i:]
        }
    )
    gap = guarded_sqrt(torch.where(parts.counts, squared, 1.0), epsilon, mode)
    return gap / trace.clamp(min=1e-6)


def _total(field: Tensor, slot: Tensor, shape: Sequence[int]) -> Tensor:
    """Sum of a field by slot. In float64, since it is added up pixel by pixel."""
    sums = torch.zeros(math.prod(shape), dtype=torch.float64, device=field.device)
    return sums.index_add(0, slot, field.flatten().double()).view(*shape)


def _places(p: Tensor, spacing: Sequence[float]) -> list[Tensor]:
    """Coordinates along each axis from the middle, each to be broadcast over ``[N, (D,) H, W]``."""
    found = []
    for axis, length in enumerate(p.shape[1:], 1):
        places = torch.arange(length, device=p.device, dtype=torch.float64) - (length - 1) / 2
        step = spacing[axis - 1] if spacing else 1
        found.append((step * places).view([-1 if other == axis else 1 for other in range(p.ndim)]))
    return found


def _border(p: Tensor) -> Tensor:
    """Whether each pixel lies at the border, ``[1, (D,) H, W]``."""
    found = torch.zeros(1, *p.shape[1:], dtype=torch.bool, device=p.device)
    for axis, length in enumerate(p.shape[1:], 1):
        found.select(axis, 0).fill_(True)
        found.select(axis, length - 1).fill_(True)
    return found


def _labelled(hard: Tensor) -> tuple[Tensor, int]:
    """Number of the component of each pixel, ``[N, …]`` from 1, 0 outside; the highest number.

    The component with the first pixel has the highest, on every device.
    """
    if hard.device.type != "cpu":
        return _labelled_on_device(hard)
    structure = np.ones((3,) * (hard.ndim - 1))
    found = [ndimage.label(mask, structure) for mask in hard.numpy()]
    # SciPy numbers them by their first pixel, from 1.
    numbers = [np.where(label > 0, count + 1 - label, 0) for label, count in found]
    return torch.from_numpy(np.stack(numbers)), max(count for _, count in found)


def _labelled_on_device(hard: Tensor) -> tuple[Tensor, int]:
    """The same without waiting for the device: a number is the place of a pixel, from the last one.

    Each pixel points to a pixel of its component with a higher number, its root in the end. In a
    round all trees hook onto the highest neighbouring root, and pointers are shortened by jumps
    (Shiloach and Vishkin 1982, "An O(log n) parallel connectivity algorithm"). The rounds are fixed
    in number, because asking whether more are needed would wait. A mask that needs more has
    components that count as several.
    """
    pixels = hard[0].numel()
    numbers = torch.arange(pixels, 0, -1, device=hard.device).view(1, *hard.shape[1:])
    root = (numbers * hard).flatten(1)  # [N, pixels]
    for _ in range(_ROUNDS):
        best = (_highest_neighbour(root.view(hard.shape)) * hard).flatten(1)
        empty = root.new_zeros(len(root), pixels + 1)
        parent = empty.scatter_reduce(1, root, best, "amax")
        for _ in range(_JUMPS):
            parent = parent.gather(1, parent)
        root = parent.gather(1, root)
    return root.view(hard.shape), pixels


def _with_edges(label: Tensor) -> Tensor:
    """Labels grown by `EDGE` pixels into what is outside; the nearest component takes a pixel."""
    for _ in range(EDGE):
        label = torch.where(label > 0, label, _highest_neighbour(label))
    return label


def _highest_neighbour(label: Tensor) -> Tensor:
    """Highest number among each pixel and its neighbours, diagonal ones included."""
    for axis, length in enumerate(label.shape[1:], 1):
        first, last = label.narrow(axis, 0, length - 1), label.narrow(axis, 1, length - 1)
        highest = label.clone()
        highest.narrow(axis, 0, length - 1).copy_(torch.maximum(first, last))
        after = highest.narrow(axis, 1, length - 1)
        after.copy_(torch.maximum(after, first))
        label = highest
    return label
