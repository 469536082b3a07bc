"""Length of the masks' outlines in pixels, to compare with the bias of ε."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import sobel

from sweep.data.prepared.samples import PreparedData
from sweep.spec.checks.doubtful_settings import bias_warning
from sweep.spec.settings.loss_settings import LossSettings

LOOKED_AT = 200
"""Number of masks for the typical perimeter, spread evenly over the samples."""


def outline_warnings(
    loss: LossSettings, data: PreparedData, patch: Sequence[int] | None
) -> list[str]:
    """Warnings about ε once the masks are known.

    Args:
        loss: loss settings of the trial.
        data: the data with the training masks.
        patch: size of the training patch in pixels; None for whole images.
    """
    if data.training.volumes:
        return []
    typical = typical_perimeter(data)
    if typical is None:
        return []
    pixels = math.prod(patch) if patch else max(sample.label.size for sample in data.training)
    warning = bias_warning(loss, pixels, typical, "the typical mask")
    return [warning] if warning else []


def typical_perimeter(data: PreparedData) -> float | None:
    """Median perimeter in pixels of the nonempty training masks of the geometric classes; None if
    there are none.

    Each class of an image, or of a slice of a volume, is a mask of its own.
    """
    samples, classes = data.training, data.geometric_classes
    step = max(1, len(samples) // LOOKED_AT)
    looked_at = (samples[n].label for n in range(0, len(samples), step))
    images = (image for found in looked_at for image in found.reshape(-1, *found.shape[-2:]))
    perimeters = [perimeter(data.mask(image, number)) for image in images for number in classes]
    outlined = [value for value in perimeters if value > 0]
    return float(np.median(outlined)) if outlined else None


def perimeter(mask: NDArray[Any]) -> float:
    """``Σ |∇m|`` of a mask ``[H, W]``, with Sobel / 8; the image border is not an edge.

    The same measure as `sweep.trainer.losses.geometric.soft_outline` with ε = 0.
    """
    return float(slope(mask).sum())


def slope(mask: NDArray[Any], spacing: Sequence[float] = ()) -> NDArray[np.float64]:
    """``|∇m|`` of each pixel of a mask ``[(D,) H, W]``, by the Sobel operator.

    Args:
        spacing: size of a voxel along D, H, W; none for images.
    """
    squared = np.zeros(mask.shape)
    for axis, step in enumerate(spacing or (1,) * mask.ndim):
        unit = 2 * 4 ** (mask.ndim - 1) * step  # a unit ramp has slope 1
        squared += (sobel(mask.astype(np.float64), axis, mode="nearest") / unit) ** 2
    return np.sqrt(squared)
