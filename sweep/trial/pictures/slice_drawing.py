"""Draw one slice: its image in grey, and marks to lay over it. NumPy and Pillow only.

Colours are of the palette of Okabe and Ito (https://jfly.uni-koeln.de/color/). False positives and
negatives differ by more than 40 in CIEDE2000 for every kind of colour blindness, in the simulation
of Machado et al. 2009 (https://doi.org/10.1109/TVCG.2009.113). In a print without colours the
pattern tells them apart: false negatives are chequered, voxels of another class striped, and the
prediction's outline is dashed.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import binary_erosion

from sweep.trial.pictures.segmented_case import EXTRA, IGNORED, MISSED, OTHER_CLASS

Mask = NDArray[np.bool_]
Rgba = tuple[int, int, int, int]
Size = tuple[int, int]
"""Height and width in pixels."""

ERROR_COLOURS: dict[int, Rgba] = {
    EXTRA: (213, 94, 0, 170),  # vermillion
    MISSED: (86, 180, 233, 170),  # sky blue, chequered with `CHEQUER`
    OTHER_CLASS: (204, 121, 167, 130),  # reddish purple, opaque on stripes
    IGNORED: (128, 128, 128, 110),
}
CHEQUER: Rgba = (0, 84, 148, 235)
"""Dark blue, so that the fields differ in lightness over every grey."""
REFERENCE: Rgba = (255, 255, 255, 255)
PREDICTION: Rgba = (240, 228, 66, 255)
"""Yellow, and dashed."""
SOFT = (86, 180, 233)
"""Colour of a soft mask; the higher the probability, the more opaque."""
NOT_A_NUMBER: Rgba = (204, 121, 167, 255)
MOST_OPAQUE = 200

SMALLEST, LARGEST = 384, 512
"""Longest side of a picture in pixels: small slices are enlarged by a whole number up to the first,
large ones reduced to the second."""
DARK, BRIGHT = 0.5, 99.5
"""Percentiles of the grey values of a case that are black and white."""
WINDOW = f"black and white are the percentiles {DARK:g} and {BRIGHT:g} of each case"
QUALITY = 80
"""Of the image's WebP. Marks are stored without loss."""


def window_of(image: NDArray[np.float32]) -> tuple[float, float]:
    """The grey values of an image ``[S, H, W]`` that are drawn black and white."""
    finite = image[np.isfinite(image)]
    if not finite.size:
        return 0.0, 1.0
    low, high = np.percentile(finite, [DARK, BRIGHT], overwrite_input=True)  # it is a copy
    return float(low), float(high)


def grey(image: NDArray[np.float32], window: tuple[float, float]) -> NDArray[np.uint8]:
    """A slice ``[H, W]`` as grey levels; what is not finite is black."""
    low, high = window
    scaled = (np.nan_to_num(image, nan=low, posinf=high, neginf=low) - low) / max(high - low, 1e-12)
    levels: NDArray[np.uint8] = (np.clip(scaled, 0, 1) * 255).round().astype(np.uint8)
    return levels


def picture_size(shape: Sequence[int], steps: Sequence[float]) -> Size:
    """Size of the picture of a slice: its proportions are those in millimetres.

    Args:
        shape: height and width in pixels.
        steps: size of a pixel along both.
    """
    finest = min(steps)
    height, width = (side * step / finest for side, step in zip(shape, steps, strict=True))
    longest = max(height, width)
    scale = 1.0
    if longest <= SMALLEST:
        scale = float(SMALLEST // math.ceil(longest))
    elif longest > LARGEST:
        scale = LARGEST / longest
    return max(1, round(height * scale)), max(1, round(width * scale))


def resized_mask(mask: Mask, size: Size) -> Mask:
    """A mask ``[H, W]`` in another size. Reduced, a pixel is set where any of its own was: an error
    of one pixel stays visible."""
    for axis, wanted in enumerate(size):
        edges = np.arange(wanted) * mask.shape[axis] // wanted
        mask = np.logical_or.reduceat(mask, edges, axis=axis)
    return mask


def marks_of_errors(
    prediction: Iterable[Mask], reference: Iterable[Mask], found: NDArray[np.uint8], size: Size
) -> NDArray[np.uint8]:
    """Marks ``[*size, 4]``: errors as areas, then the outlines of each class.

    Args:
        prediction, reference: masks ``[H, W]`` of each class.
        found: `sweep.trial.pictures.segmented_case.errors` of the slice, ``[H, W]``.
    """
    marks = np.zeros((*size, 4), dtype=np.uint8)
    for kind in (IGNORED, OTHER_CLASS, EXTRA, MISSED):
        there = resized_mask(found == kind, size)
        marks[there] = ERROR_COLOURS[kind]
        if kind == OTHER_CLASS:
            marks[there & _stripes(size), 3] = 255
        if kind == MISSED:
            marks[there & _chequered(size, 96)] = CHEQUER
    for mask in reference:
        marks[_outline(mask, size)] = REFERENCE
    for mask in prediction:
        marks[_outline(mask, size) & _chequered(size, 64)] = PREDICTION
    return marks


def marks_of_soft_mask(soft: NDArray[np.float32], reference: Mask, size: Size) -> NDArray[np.uint8]:
    """Marks ``[*size, 4]``: a soft mask ``[H, W]`` in [0, 1], its outline at 0.5 and that of the
    reference. What is not a number has a colour of its own."""
    rows, columns = (
        np.arange(wanted) * side // wanted for wanted, side in zip(size, soft.shape, strict=True)
    )
    large = soft[np.ix_(rows, columns)]
    marks = np.zeros((*size, 4), dtype=np.uint8)
    marks[..., :3] = SOFT
    marks[..., 3] = (np.clip(np.nan_to_num(large), 0, 1) * MOST_OPAQUE).round().astype(np.uint8)
    marks[~np.isfinite(large)] = NOT_A_NUMBER
    marks[_outline(reference, size)] = REFERENCE
    marks[_outline(np.nan_to_num(soft) > 0.5, size) & _chequered(size, 64)] = PREDICTION
    return marks


def encoded_image(levels: NDArray[np.uint8], size: Size) -> bytes:
    """Grey levels ``[H, W]`` as a WebP of another size: pixels stay blocks where it is enlarged."""
    picture = Image.fromarray(levels).resize((size[1], size[0]), Image.Resampling.BOX)
    return _webp(picture.convert("RGB"), quality=QUALITY)


def encoded_marks(marks: NDArray[np.uint8]) -> bytes:
    """Marks ``[H, W, 4]`` as a WebP without loss."""
    return _webp(Image.fromarray(marks), lossless=True)


def _webp(picture: Image.Image, **options: object) -> bytes:
    content = io.BytesIO()
    picture.save(content, format="webp", method=4, **options)
    return content.getvalue()


def _outline(mask: Mask, size: Size) -> Mask:
    """The border of a mask in the picture's size, inside the mask."""
    large = resized_mask(mask, size)
    width = max(1, round(max(size) / 220))
    eroded: Mask = binary_erosion(large, iterations=width)
    return large & ~eroded


def _stripes(size: Size) -> Mask:
    """Diagonal stripes, as wide as the gaps between them."""
    width = max(2, round(max(size) / 128))
    rows, columns = (np.arange(side) for side in size)
    striped: Mask = (rows[:, None] + columns[None, :]) // width % 2 == 0
    return striped


def _chequered(size: Size, fields: int) -> Mask:
    """A pattern with so many fields along the longer side: of any line about half is set."""
    field = max(4, round(max(size) / fields))
    rows, columns = (np.arange(side) // field for side in size)
    chequered: Mask = (rows[:, None] + columns[None, :]) % 2 == 0
    return chequered
