"""Rotation and zoom of a batch in a single resampling.

Places along an axis are counted from its middle, so that a map needs no shift: ``matrix @ p`` is
the place in the old image, in voxels, of voxel p of the new one.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from sweep.data.files.resampling import ANISOTROPIC
from sweep.trainer.networks.device import to_device

Matrix = NDArray[np.float64]

_STEPS = 12


@dataclass(frozen=True, slots=True)
class Grid:
    """The voxels of the images.

    Args:
        axes: 2 or 3.
        spacing: mm along each axis of a volume; None if unknown. Slices are turned in pixels.
    """

    axes: int
    spacing: tuple[float, ...] | None = None

    @property
    def in_slices(self) -> bool:
        """Whether volumes are turned and zoomed in their slices alone, which are `ANISOTROPIC`
        times as far apart as the voxels in them."""
        if self.axes == 2 or self.spacing is None:
            return False
        return self.spacing[0] > ANISOTROPIC * min(self.spacing[1:])

    @property
    def angles(self) -> int:
        """Number of angles of a rotation."""
        return 3 if self.axes == 3 and not self.in_slices else 1

    def matrix(self, angles: Sequence[float], zoom: float) -> Matrix:
        """From a voxel of the new image to its place in the old one, ``[axes, axes]``.

        Args:
            angles: in radians, about each axis of a volume in turn, in slices about the first
                alone; clockwise where rows run down.
            zoom: above 1 enlarges.
        """
        planes = ((0, 1),) if self.axes == 2 else ((1, 2), (0, 2), (0, 1))
        matrix = np.eye(self.axes)
        for angle, (row, column) in zip(angles, planes, strict=False):
            turn = np.eye(self.axes)
            turn[row, row] = turn[column, column] = math.cos(angle)
            turn[row, column], turn[column, row] = -math.sin(angle), math.sin(angle)
            matrix = matrix @ turn
        if self.axes == 3 and self.spacing is not None:  # a rotation in mm
            matrix = matrix * np.array(self.spacing) / np.array(self.spacing)[:, None]
        zooms = [1.0 if self.in_slices and axis == 0 else zoom for axis in range(self.axes)]
        return matrix / zooms

    def reach(self, size: Sequence[int], largest_angle: float, largest_zoom: float) -> list[int]:
        """Sides of a box of the old image that holds all of a new one of ``size``.

        The angles are those of a lattice of step h. A side as a function of one angle is a sum of
        |cos|, so between two angles of the lattice it stays below the larger one ÷ cos(h / 2).
        """
        lattice = np.linspace(-largest_angle, largest_angle, _STEPS + 1 if largest_angle else 1)
        extents = [
            np.abs(self.matrix(angles, 1 / largest_zoom)) @ np.array(size)
            for angles in itertools.product(lattice, repeat=self.angles)
        ]
        between = math.cos(largest_angle / _STEPS) ** self.angles
        return [math.ceil(side / between) + 2 for side in np.max(extents, axis=0)]


def sampling_grid(
    matrices: Sequence[Matrix],
    middles: Sequence[Sequence[float]],
    sides: Sequence[int],
    size: Sequence[int],
    device: torch.device,
) -> Tensor:
    """Where the voxels of new boxes are taken from, ``[N, *size, axes]`` for `grid_sample`.

    A sum of one vector for each axis, computed on the CPU and so equal on all devices.
    `affine_grid` multiplies matrices: that is slower, and its last bits depend on N.

    Args:
        matrices: of each box, as of `Grid.matrix`.
        middles: place of the middle of each new box, counted from the middle of the old one.
        sides: of the old boxes.
        size: sides of the new boxes.
    """
    axes = len(size)
    # grid_sample's coordinates run from -1 to 1 between the outer edges of the border voxels.
    maps = np.stack(matrices) * np.array(size) / np.array(sides)[:, None]  # [N, axes, axes]
    shifts = 2 * np.array(middles) / np.array(sides)  # [N, axes]
    grid = torch.empty(len(maps), *size, axes, device=device)
    for target in range(axes):
        vectors = []
        for source, side in enumerate(size):
            part = maps[:, target, source, None] * ((2 * np.arange(side) + 1) / side - 1)
            part = part + (shifts[:, target, None] if source == 0 else 0)
            shape = [side if axis == source else 1 for axis in range(axes)]
            vectors.append(to_device(part.astype(np.float32), device).reshape(-1, *shape))
        *first, last = vectors
        # grid_sample wants the last axis first.
        torch.add(sum(first), last, out=grid[..., axes - 1 - target])
    return grid


def resample(images: Tensor, grid: Tensor, mode: str) -> Tensor:
    """Sample images ``[N, C, (D,) H, W]`` at a `sampling_grid`; what is outside of them is 0."""
    return F.grid_sample(images, grid, mode=mode, padding_mode="zeros", align_corners=False)
