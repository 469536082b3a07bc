"""Distances between the outlines of two masks, and what is read off them: HD95 and NSD.

The outline of a mask are its voxels with a face neighbour outside the mask; what lies beyond the
image counts as outside. A distance goes from the centre of an outline voxel to the centre of the
nearest one of the other outline. That is the definition of MONAI and of Metrics Reloaded
(Maier-Hein et al. 2024, https://doi.org/10.1038/s41592-023-02151-z), and the values are theirs.
DeepMind's ``surface-distance`` puts the surface between the voxels and weights each element by its
area, so its values differ a little; docs/reference/metrics.md shows by how much.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]

ROUNDING = 1e-6
"""Share of a tolerance by which a distance may exceed it: 0.7 mm three times are not quite 2.1."""
_LEAF = 32
"""Points in a leaf of the trees: twice SciPy's default was the fastest on outlines."""


@dataclass(frozen=True, slots=True)
class SurfaceDistances:
    """Distances of two outlines, neither of them empty.

    Args:
        to_reference: of each outline voxel of the prediction to the reference's outline, ``[N]``.
        to_prediction: the other way round, ``[M]``.
    """

    to_reference: NDArray[np.float64]
    to_prediction: NDArray[np.float64]

    @classmethod
    def between(
        cls, prediction: Mask, reference: Mask, spacing: Sequence[float], threads: int = 1
    ) -> Self:
        """Measure two masks ``[H, W]`` or ``[D, H, W]``, both with a voxel.

        Args:
            spacing: distance between two voxels along each axis; it sets the unit.
            threads: that look for the nearest voxels; the values do not depend on it.
        """
        from scipy.spatial import KDTree

        box = _bounding_box(prediction | reference)
        steps = np.asarray(spacing, dtype=np.float64)
        ours, theirs = (np.argwhere(outline(mask[box])) * steps for mask in (prediction, reference))
        trees = KDTree(ours, leafsize=_LEAF), KDTree(theirs, leafsize=_LEAF)
        to_reference, _ = trees[1].query(ours, workers=threads)
        to_prediction, _ = trees[0].query(theirs, workers=threads)
        return cls(to_reference, to_prediction)

    def hausdorff(self, percentile: float = 95) -> float:
        """The larger of the two directed distances, each a percentile; 100: the Hausdorff distance.

        Between two distances, the percentile is interpolated.
        """
        both = self.to_reference, self.to_prediction
        return max(float(np.percentile(distances, percentile)) for distances in both)

    def surface_dice(self, tolerance: float) -> float:
        """Normalised surface distance: share of both outlines within a tolerance of the other.

        In [0, 1]. Equation: Nikolov et al. 2021, https://doi.org/10.2196/26151, counted in voxels.

        Args:
            tolerance: at least 0, in the unit of the distances.
        """
        limit = tolerance * (1 + ROUNDING)
        both = self.to_reference, self.to_prediction
        within = sum(int(np.count_nonzero(distances <= limit)) for distances in both)
        return within / sum(len(distances) for distances in both)


def outline(mask: Mask) -> Mask:
    """The voxels of a mask with a face neighbour that is not in it, or beyond the array."""
    inner = mask.copy()
    for axis in range(mask.ndim):
        voxels, within = np.moveaxis(mask, axis, 0), np.moveaxis(inner, axis, 0)
        within[1:] &= voxels[:-1]
        within[:-1] &= voxels[1:]
        within[[0, -1]] = False
    return mask & ~inner


def diagonal(shape: Sequence[int], spacing: Sequence[float]) -> float:
    """Length of an image's diagonal, in the unit of ``spacing``: no distance in it is larger."""
    return math.hypot(*(side * step for side, step in zip(shape, spacing, strict=True)))


def _bounding_box(mask: Mask) -> tuple[slice, ...]:
    axes = range(mask.ndim)
    filled = (mask.any(axis=tuple(other for other in axes if other != axis)) for axis in axes)
    ends = (np.flatnonzero(line)[[0, -1]].tolist() for line in filled)
    return tuple(slice(first, last + 1) for first, last in ends)
