"""How round, how convex and how elongated a mask is, by scikit-image."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

MEASURES = ("compactness", "solidity", "eccentricity")

FEW_PIXELS = 36
"""Up to this size of its bounding box, a part is measured once however often it occurs."""


def shape_of(mask: NDArray[Any]) -> dict[str, float] | None:
    """Shape of a mask ``[H, W]``: the mean over its connected parts, weighted by their areas.

    By parts, since the shape of several circles together says nothing; by area, so that a few stray
    pixels do not outweigh what was segmented.

    - ``compactness``: ``4πA / P²``, at most 1, a disc's. P is Crofton's estimate of the perimeter
      in pixels: right to 2 % on digital discs, where counting border pixels is off by up to 9 %.
    - ``solidity``: area over that of the convex hull, in (0, 1].
    - ``eccentricity``: of the ellipse with the same second moments; 0 for a circle, towards 1 for
      a line.

    Returns:
        by name; None for an empty mask, which has no shape.
    """
    from skimage.measure import label, regionprops

    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    if not rows.size:
        return None
    # The parts lie in this box, which is often a hundredth of the image.
    box = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    parts = regionprops(label(box, connectivity=2))
    values = np.array([_measured(part) for part in parts])  # [parts, 3]
    means = np.average(values, axis=0, weights=[part.area for part in parts])
    return dict(zip(MEASURES, means.tolist(), strict=True))


def _measured(part: Any) -> tuple[float, float, float]:
    image = part.image
    if image.size <= FEW_PIXELS:
        return _of_few_pixels(image.shape, image.tobytes())
    return _measures(part)


@lru_cache(maxsize=2**12)
def _of_few_pixels(shape: tuple[int, int], pixels: bytes) -> tuple[float, float, float]:
    """A network that has learnt little predicts hundreds of specks, and most look alike: measured
    one by one they took ten times as long as the epoch that they were predicted in.
    """
    from skimage.measure import regionprops

    image = np.frombuffer(pixels, bool).reshape(shape)
    return _measures(regionprops(image.astype(np.uint8))[0])


def _measures(part: Any) -> tuple[float, float, float]:
    perimeter = part.perimeter_crofton
    compactness = min(1.0, 4 * math.pi * part.area / perimeter**2) if perimeter > 0 else 1.0
    return compactness, _solidity(part), part.eccentricity


def _solidity(part: Any) -> float:
    # A line of pixels has no convex hull in the sense of Qhull, but it is convex.
    line = min(part.image.shape) == 1
    return 1.0 if line or part.area < 4 else float(part.solidity)
