"""How round, how convex and how elongated a mask is, by scikit-image."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Parts = NDArray[np.int64]
"""Number of the part that each pixel belongs to, ``[H, W]``; 0 for none, as around the border."""
Areas = NDArray[np.int64]
Values = NDArray[np.float64]

MEASURES = ("compactness", "solidity", "eccentricity")

FEW_PIXELS = 36
"""Up to this size of its bounding box, the hull of a part is made once however often it occurs."""
_NEIGHBOURS = ((0, 1, 1.0), (1, 0, 1.0), (1, 1, math.sqrt(0.5)), (1, -1, math.sqrt(0.5)))
"""Directions of lines through an image, as rows and columns, and the distance between two lines."""


def shape_of(mask: NDArray[Any]) -> dict[str, float] | None:
    """Shape of a mask ``[H, W]``: the mean over its connected parts, weighted by their areas.

    By parts, since the shape of several circles together says nothing; by area, so that a few stray
    pixels do not outweigh what was segmented.

    - ``compactness``: ``4πA / P²``, at most 1, a disc's. P is Crofton's estimate of the perimeter
      in pixels: right to 2 % on digital discs, where counting border pixels is off by up to 9 %.
    - ``solidity``: area over that of the convex hull, in (0, 1].
    - ``eccentricity``: of the ellipse with the same second moments; 0 for a circle, towards 1 for
      a line.

    A network that has learnt little predicts hundreds of parts. So all are measured at once, but
    for their hulls.

    Returns:
        by name; None for an empty mask, which has no shape.
    """
    from skimage.measure import label

    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    if not rows.size:
        return None
    # The parts lie in this box, which is often a hundredth of the image.
    box = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    parts = np.pad(label(box, connectivity=2), 1)
    areas = np.bincount(parts.ravel())[1:]
    values = [_compactness(parts, areas), _solidity(parts, areas), _eccentricity(parts, areas)]
    means = np.average(values, axis=1, weights=areas)
    return dict(zip(MEASURES, means.tolist(), strict=True))


def _compactness(parts: Parts, areas: Areas) -> Values:
    """Of each part. The perimeter is π/4 times the sum over four directions of how often lines of
    this direction enter the part, times their distance."""
    perimeter = np.zeros(len(areas))
    for down, right, distance in _NEIGHBOURS:
        before = np.roll(parts, (down, right), axis=(0, 1))  # 0, or the same part
        entered = np.bincount(parts[before == 0], minlength=len(areas) + 1)[1:]
        perimeter += math.pi / 4 * distance * entered
    found: Values = np.minimum(1, 4 * math.pi * areas / perimeter**2)
    return found


def _eccentricity(parts: Parts, areas: Areas) -> Values:
    """Of each part, from the second moments around a pixel near its centre."""
    y, x = np.nonzero(parts)
    own = parts[y, x] - 1

    def total(values: NDArray[np.int64]) -> Values:  # whole numbers, far below 2^53
        return np.bincount(own, weights=values).astype(np.float64)

    y, x = (along - (total(along) // areas).astype(np.int64)[own] for along in (y, x))
    sum_y, sum_x = total(y), total(x)
    yy, xx = areas * total(y * y) - sum_y**2, areas * total(x * x) - sum_x**2
    yx = areas * total(y * x) - sum_y * sum_x
    half, mean = np.hypot((yy - xx) / 2, yx), (yy + xx) / 2  # the axes²: mean ± half
    found: Values = np.sqrt(2 * half / np.maximum(mean + half, 1))
    return found


def _solidity(parts: Parts, areas: Areas) -> Values:
    """Of each part."""
    from scipy.ndimage import find_objects

    found = np.ones(len(areas))
    for number, place in enumerate(find_objects(parts)):
        # A line of pixels has no convex hull in the sense of Qhull, but it is convex.
        part = parts[place] == number + 1
        if min(part.shape) > 1 and areas[number] >= 4:
            few = part.size <= FEW_PIXELS
            hull = _hull_of_few(part.shape, part.tobytes()) if few else _hull(part)
            found[number] = areas[number] / hull
    return found


@lru_cache(maxsize=2**12)
def _hull_of_few(shape: tuple[int, int], pixels: bytes) -> int:
    """`_hull` of a speck; most of them look like another one."""
    return _hull(np.frombuffer(pixels, bool).reshape(shape))


def _hull(part: NDArray[np.bool_]) -> int:
    """Pixels whose centres lie in the convex hull of a part ``[H, W]`` that fills all rows.

    A pixel reaches from the middle of one edge to that of the opposite one, as in scikit-image's
    ``convex_hull_image``, which makes the same hull pixel by pixel, in ten times as long. All is in
    halves of a pixel, so whole numbers.
    """
    from scipy.spatial import ConvexHull

    rows = 2 * np.arange(len(part))
    first, last = 2 * part.argmax(axis=1), 2 * (part.shape[1] - 1 - part[:, ::-1].argmax(axis=1))
    reach = [(0, first - 1), (0, last + 1), (-1, first), (1, first), (-1, last), (1, last)]
    points = np.concatenate([np.column_stack([rows + down, x]) for down, x in reach])
    corners = points[ConvexHull(points).vertices]  # [edges, 2], counter-clockwise
    steps = np.roll(corners, -1, axis=0) - corners
    level = steps[:, 0] == 0
    (y, x), (down, right) = corners[~level].T[..., None], steps[~level].T[..., None]
    along, height = np.sign(down) * (rows - y), np.abs(down)  # [edges, rows], [edges, 1]
    at, passes = x * height + along * right, (along >= 0) & (along <= height)  # at / height: halves
    widest = 2 * part.shape[1]
    left = np.where(passes & (down > 0), -(-at // (2 * height)), -widest).max(axis=0)
    right_end = np.where(passes & (down < 0), at // (2 * height), widest).min(axis=0)
    return int((right_end - left + 1).sum())
