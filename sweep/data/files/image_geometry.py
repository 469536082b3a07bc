"""Geometry of an image (axes, spacing, orientation), and how that of two files differs.

The rules are those of nnU-Net's ``verify_dataset_integrity``: it refuses a label (or a channel)
with another shape or spacing than its image, and warns about another origin or direction. One rule
is added: if two files have different orientations but cover the same grid in world coordinates,
both are reoriented. nnU-Net would overlay them as stored.

nibabel is imported only where it is needed: data from the cache do not need it.
Source: nnU-Net 2.8.1, ``nnunetv2/experiment_planning/verify_dataset_integrity.py``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Orientation = NDArray[np.float64]
"""For each axis ``[3, 2]``: the world axis that it follows, and its direction."""

PLANES = ("sagittal", "coronal", "axial")
"""Name of the slices across each world axis, in nibabel's order: right, anterior, superior."""


@dataclass(frozen=True, slots=True)
class Geometry:
    """The geometry in the header of one file.

    Args:
        shape: pixels along its two or three axes.
        spacing: millimetres between two pixels along each axis; None if the file has no spacing.
        affine: pixel to millimetres in RAS+, ``[4, 4]``; None if the header has none.
    """

    shape: tuple[int, ...]
    spacing: tuple[float, ...] | None = None
    affine: NDArray[np.float64] | None = None

    @property
    def orientation(self) -> Orientation | None:
        """The orientation; None if the header has none or an invalid one."""
        if self.affine is None or not np.isfinite(self.affine).all():
            return None
        from nibabel.orientations import io_orientation

        found: Orientation = io_orientation(self.affine)
        return None if np.isnan(found).any() else found

    @property
    def codes(self) -> str:
        """Direction of each axis, such as ``RAS`` or ``LPS``; empty if the header has none."""
        if self.orientation is None:
            return ""
        from nibabel.orientations import aff2axcodes

        return "".join(aff2axcodes(self.affine))

    def turned(self, orientation: Orientation | None) -> Geometry:
        """The geometry after `turned`."""
        if orientation is None:
            return self
        from nibabel.orientations import inv_ornt_aff

        shape = (*self.shape, 1)[:3]
        spacing = (*(self.spacing or ()), 1.0, 1.0, 1.0)
        order = np.argsort(orientation[:, 0])  # the old axis of each new one
        affine = self.affine
        return Geometry(
            shape=tuple(shape[old] for old in order),
            spacing=tuple(spacing[old] for old in order),
            affine=None if affine is None else affine @ inv_ornt_aff(orientation, shape),
        )


def turned(pixels: Array, orientation: Orientation | None) -> Array:
    """A view with axes to right, anterior, superior; unchanged for None."""
    if orientation is None:
        return pixels
    from nibabel.orientations import apply_orientation

    whole = pixels.reshape(pixels.shape + (1,) * (3 - pixels.ndim))
    view: Array = apply_orientation(whole, orientation)
    return view


def from_lps(
    direction: Array, spacing: Sequence[float], origin: Sequence[float]
) -> NDArray[np.float64]:
    """The affine of an image of two or three axes whose world is ITK's: left, posterior, superior.

    Args:
        direction: of each axis at length 1, in columns.
        spacing: along each axis.
        origin: of the first voxel.
    """
    affine, axes = np.eye(4), len(spacing)
    affine[:axes, :axes] = direction * np.asarray(spacing)
    affine[:axes, 3] = origin
    return np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine


def spatial(shape: Sequence[int]) -> tuple[int, ...]:
    """``shape`` without axes of length 1 behind the third, such as that of a single time."""
    axes = len(shape)
    while axes > 3 and shape[axes - 1] == 1:
        axes -= 1
    return tuple(shape[:axes])


def squeezed(shape: Sequence[int]) -> tuple[int, ...]:
    """``shape`` without axes of length 1, but with at least two axes."""
    axes = list(range(len(shape)))
    while len(axes) > 2 and (flat := [axis for axis in axes if shape[axis] == 1]):
        axes.remove(flat[-1])
    return tuple(axes)


def cover_the_same(one: Geometry, other: Geometry) -> bool:
    """Whether two files have the same grid in world coordinates, whatever their stored orientation.

    False if one of them has no orientation.
    """
    a, b = (each.turned(each.orientation) for each in (one, other))
    if one.orientation is None or other.orientation is None or a.shape != b.shape:
        return False
    assert a.affine is not None
    assert b.affine is not None
    return np.allclose(a.affine, b.affine, rtol=1e-5, atol=1e-3)


def refused(one: Geometry, other: Geometry) -> Iterator[tuple[str, str, str]]:
    """Differences that nnU-Net refuses: ``(what differs, value of one, value of the other)``."""
    a, b = (each.shape + (1,) * (3 - len(each.shape)) for each in (one, other))
    if a != b:
        yield "shape", size(one.shape), size(other.shape)
    # A file of two axes has no spacing along the third.
    axes = min(len(one.shape), len(other.shape))
    first, second = (each.spacing or () for each in (one, other))
    if first and second and not np.allclose(first[:axes], second[:axes]):
        yield "spacing", *unlike(first, second, "×")


def doubtful(one: Geometry, other: Geometry) -> Iterator[tuple[str, str, str]]:
    """Differences that nnU-Net warns about: ``(what differs, value of one, value of the
    other)``."""
    if one.codes != other.codes:
        yield "orientation", one.codes or "none", other.codes or "none"
    if one.affine is None or other.affine is None:
        return
    a, b = one.affine, other.affine
    first, second = _directions(a), _directions(b)
    if one.codes == other.codes and not np.allclose(first, second, atol=1e-4):
        yield "direction", *unlike(first.ravel(), second.ravel(), ", ")
    if not np.allclose(a[:3, 3], b[:3, 3], rtol=1e-5, atol=1e-4):
        yield "origin", *unlike(a[:3, 3], b[:3, 3], ", ")


def _directions(affine: NDArray[np.float64]) -> NDArray[np.float64]:
    """Columns of the matrix at length 1; an empty one stays empty."""
    lengths = np.linalg.norm(affine[:3, :3], axis=0)
    return affine[:3, :3] / np.where(lengths > 0, lengths, 1.0)


def unlike(
    one: Sequence[Any] | Array, other: Sequence[Any] | Array, between: str
) -> tuple[str, str]:
    """Both as text, with just enough digits that they differ."""

    def plain(number: float, digits: int) -> str:
        """1000 and not 1e+03."""
        text = f"{number:.{digits}g}"
        return f"{number:.0f}" if "e+" in text and abs(number) < 1e7 else text

    for digits in range(3, 18):
        texts = [between.join(plain(float(x), digits) for x in values) for values in (one, other)]
        if texts[0] != texts[1]:
            break
    return texts[0], texts[1]


def size(sides: Sequence[float] | Array, form: str = "") -> str:
    """``10×12×8``: pixels or millimetres, each in the format ``form``."""
    return "×".join(f"{side:{form}}" for side in sides)
