"""Bring images and labels to another spacing, as nnU-Net does it.

A voxel is a cell and its value belongs to the centre: both grids cover the same box, so nothing
shifts. Images are resampled by splines of order 3. Labels are resampled by linear interpolation of
each class, and a voxel gets the class with the largest share. Where one axis is more than
`ANISOTROPIC` times as coarse as another, slices are resampled in their plane, and along the coarse
axis each new slice is a copy of the nearest one: a spline between slices that are far apart invents
structures.

Source: nnU-Net 2.8.1, ``preprocessing/resampling/default_resampling.py`` and
``experiment_planning/experiment_planners/default_experiment_planner.py``, with batchgenerators
0.25.5, ``augmentations/utils.py`` (`resize_segmentation`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

ANISOTROPIC = 3.0
"""Ratio of two spacings above which the axes are treated separately: nnU-Net's
``ANISO_THRESHOLD``."""

_LOW_PERCENTILE = 10


def target_spacing(spacings: NDArray[np.float64], shapes: NDArray[np.int64]) -> tuple[float, ...]:
    """The median spacing of each axis; finer than that along an axis that is very coarse.

    Where one axis of a volume has more than 3 times the spacing of the others and less than a third
    of their voxels, its 10th percentile is taken: the median would leave the finer cases too few
    slices. It never becomes finer than the other axes.

    Args:
        spacings: millimetres of each case along each axis, ``[N, axes]``; finite.
        shapes: voxels likewise. nnU-Net counts those inside the bounding box of what is not 0.

    Source: nnU-Net 2.8.1, ``ExperimentPlanner.determine_fullres_target_spacing``.
    """
    target, sides = np.median(spacings, axis=0), np.median(shapes, axis=0)
    if len(target) == 3:
        coarse = int(np.argmax(target))
        finer, longer = np.delete(target, coarse).max(), np.delete(sides, coarse).min()
        if target[coarse] > ANISOTROPIC * finer and sides[coarse] * ANISOTROPIC < longer:
            low = float(np.percentile(spacings[:, coarse], _LOW_PERCENTILE))
            target[coarse] = low if low >= finer else finer + 1e-5
    return tuple(target.tolist())


def resampled_shape(
    shape: Sequence[int], spacing: Sequence[float], target: Sequence[float]
) -> tuple[int, ...]:
    """Voxels along each axis after resampling, at least 1, rounded as nnU-Net rounds them."""
    sides = zip(shape, spacing, target, strict=True)
    return tuple(max(1, round(old / new * side)) for side, old, new in sides)


def separate_axis(spacing: Sequence[float], target: Sequence[float]) -> int | None:
    """The axis of a volume along which slices are copied; None: all axes are interpolated.

    The coarsest axis of the present spacing if that is anisotropic, else of the target if that is.
    None also where two axes are equally coarse, and for images.
    """
    if len(spacing) < 3:
        return None
    for steps in (spacing, target):
        coarsest = [axis for axis, step in enumerate(steps) if step == max(steps)]
        if max(steps) > ANISOTROPIC * min(steps):
            return coarsest[0] if len(coarsest) == 1 else None
    return None


def nearest_slices(old: int, new: int) -> NDArray[np.int64]:
    """For each of ``new`` slices the index of the nearest of ``old`` ones, ``[new]``."""
    # Rounded up where two are equally near. Whether they are is decided by rounding errors, in
    # steps that are nnU-Net's: exact numbers would differ for 1 of 60 pairs of `old` and `new`.
    places = old / new * (np.arange(new) + 0.5) - 0.5
    found: NDArray[np.int64] = np.floor(places + 0.5).astype(np.int64)
    return found


def resample_image(
    image: NDArray[np.float32], shape: Sequence[int], separate: int | None = None
) -> NDArray[np.float32]:
    """An image on another number of voxels; it covers the same box.

    Args:
        image: ``[C, …spatial]``, 2D or 3D.
        shape: the new number of voxels along each spatial axis.
        separate: of `separate_axis`.
    Returns:
        ``[C, *shape]``; the values of a channel stay within its range.
    """
    return np.stack([_spline(channel, shape, separate) for channel in image]).astype(np.float32)


def resample_labels(
    labels: NDArray[np.uint8], shape: Sequence[int], separate: int | None = None
) -> NDArray[np.uint8]:
    """Labels on another number of voxels: in each the class with the largest share of it.

    Of two classes with equal shares, that of the nearest old voxel wins.

    Args:
        labels: ``[…spatial]``, class indices.
        shape, separate: as for `resample_image`.
    """
    if separate is not None:
        return _slice_by_slice(resample_labels, labels, shape, separate)
    if labels.shape == tuple(shape):
        return labels
    nearest = _resized(labels, shape, 0)
    found = np.zeros(tuple(shape), dtype=np.uint8)
    largest = np.zeros(tuple(shape))
    for value in np.unique(labels):
        share = _resized(labels == value, shape, 1)
        wins = (share > largest) | ((share == largest) & (nearest == value))
        found[wins], largest[wins] = value, share[wins]
    return found


def _spline(
    pixels: NDArray[np.float32], shape: Sequence[int], separate: int | None = None
) -> NDArray[Any]:
    if separate is not None:
        return _slice_by_slice(_spline, pixels, shape, separate)
    return pixels if pixels.shape == tuple(shape) else _resized(pixels, shape, 3)


def _slice_by_slice(
    resample: Callable[[NDArray[Any], Sequence[int]], NDArray[Any]],
    pixels: NDArray[Any],
    shape: Sequence[int],
    separate: int,
) -> NDArray[Any]:
    """Each slice resampled in its plane, then a copy of the nearest one for each new slice."""
    slices = np.moveaxis(pixels, separate, 0)
    plane = [side for axis, side in enumerate(shape) if axis != separate]
    changed = np.stack([resample(one, plane) for one in slices])
    return np.moveaxis(changed[nearest_slices(len(slices), shape[separate])], 0, separate)


def _resized(pixels: NDArray[Any], shape: Sequence[int], order: int) -> NDArray[np.float64]:
    """A spline of ``order``, in 64-bit floats as in nnU-Net."""
    from skimage.transform import resize

    found: NDArray[np.float64] = resize(
        pixels.astype(np.float64), shape, order=order, mode="edge", anti_aliasing=False
    )
    return found
