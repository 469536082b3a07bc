"""A case with its reference and a prediction, and the slices of it that are worth a picture."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sweep.data.nnunet_raw.regions import Labelled

ANATOMICAL = ("sagittal", "coronal", "axial")
"""Planes across the axes to the right, to the front and upwards."""
SLICES = 16
"""Most slices of a volume in one direction, beside the one with the most errors."""

RIGHT, EXTRA, MISSED, OTHER_CLASS, IGNORED = range(5)
"""What a voxel of a prediction is: as in the reference; predicted though it is background there
(false positive); background though it is a class there (false negative); another class; not
annotated."""


@dataclass(frozen=True, slots=True)
class SegmentedCase:
    """A case that is predicted.

    Args:
        name: identifier of the case.
        image: the channel that is shown, ``[S, h, w]``. It may have another number of voxels than
            the labels, but covers the same box.
        reference, prediction: labels ``[S, H, W]``, on the grid of the case's own files.
        spacing: millimetres along the axes of the labels; None: unknown, so voxels are cubes.
        axes: which of ``RAS`` each axis is, 0 to 2; None: unknown.
    """

    name: str
    image: NDArray[np.float32]
    reference: NDArray[np.uint8]
    prediction: NDArray[np.uint8]
    spacing: Sequence[float] | None = None
    axes: Sequence[int] | None = None

    @property
    def directions(self) -> Sequence[int]:
        """Axes along which slices are taken: that of the slices alone for an image."""
        return range(3) if len(self.reference) > 1 else (0,)

    def plane_name(self, axis: int) -> str:
        """``image``, ``axial``, or ``axis 1`` where the orientation is unknown."""
        if len(self.reference) == 1:
            return "image"
        return f"axis {axis + 1}" if self.axes is None else ANATOMICAL[self.axes[axis]]

    def step(self, axis: int) -> float:
        """Size of a voxel along an axis, at least relative to the others."""
        return float((1.0, *(self.spacing or (1.0, 1.0)))[axis - 3])


def errors(
    prediction: NDArray[np.uint8], reference: NDArray[np.uint8], classes: Labelled
) -> NDArray[np.uint8]:
    """What each voxel of a prediction is, as the numbers above; any shape.

    A voxel may belong to several regions. It is a false positive where it has a region too many, a
    false negative where one is missing, and of another class where both is so.
    """
    extra = np.zeros(reference.shape, dtype=bool)
    missed = np.zeros(reference.shape, dtype=bool)
    pairs = zip(classes.masks(prediction), classes.masks(reference), strict=True)
    for ours, theirs in pairs:
        extra |= ours & ~theirs
        missed |= theirs & ~ours
    found = np.zeros(reference.shape, dtype=np.uint8)  # a byte a voxel: volumes are large
    found[extra] = EXTRA
    found[missed] = MISSED
    found[extra & missed] = OTHER_CLASS
    if classes.ignore is not None:
        found[reference == classes.ignore] = IGNORED
    return found


def wrong_pixels(found: NDArray[np.uint8], axis: int) -> NDArray[np.int64]:
    """Number of wrong voxels of each slice along an axis, given `errors` of a volume."""
    wrong = (found != RIGHT) & (found != IGNORED)
    others = tuple(other for other in range(3) if other != axis)
    counted: NDArray[np.int64] = wrong.sum(axis=others)
    return counted


def worst_slice(case: SegmentedCase, found: NDArray[np.uint8], classes: Labelled, axis: int) -> int:
    """The slice with the most wrong voxels, the first of several; where none is wrong, that with
    the most foreground in the reference."""
    counted = wrong_pixels(found, axis)
    if not counted.any():
        counted = _foreground(case, classes, axis)
    return int(counted.argmax())


def shown_slices(
    case: SegmentedCase, classes: Labelled, axis: int, first: int, also: Collection[int] = ()
) -> Mapping[int, int]:
    """The slices along an axis to draw, each with its priority: the lowest first.

    They lie evenly within the foreground of the reference, so that all trials show the same ones,
    and one beyond it on each side.

    Args:
        first: the one that is shown first.
        also: further ones that must be among them.
    """
    inside, last = np.flatnonzero(_foreground(case, classes, axis)), case.reference.shape[axis] - 1
    low, high = (max(0, inside[0] - 1), min(last, inside[-1] + 1)) if inside.size else (0, last)
    found = {first: 0} | {position: 1 for position in also if position != first}
    even = dict.fromkeys(np.linspace(low, high, SLICES).round().astype(int).tolist())
    # Every fourth first, then those between: what does not fit leaves no large gap.
    numbered = sorted(enumerate(even), key=lambda pair: (pair[0] % 4 != 0, pair[0] % 2, pair[0]))
    for rank, (_, position) in enumerate(numbered):
        found.setdefault(position, 2 + rank)
    return dict(sorted(found.items()))


def _foreground(case: SegmentedCase, classes: Labelled, axis: int) -> NDArray[np.int64]:
    """Voxels of the reference in any class, of each slice along an axis."""
    there = np.zeros(case.reference.shape, dtype=bool)
    for mask in classes.masks(case.reference):
        there |= mask
    others = tuple(other for other in range(3) if other != axis)
    counted: NDArray[np.int64] = there.sum(axis=others)
    return counted
