"""Intensity normalisation, per case and channel."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Normalization = Literal["zscore", "minmax"]


def normalize(image: NDArray[np.float32], method: Normalization) -> NDArray[np.float32]:
    """Normalise each channel by its own statistics over all pixels; a constant channel becomes 0.

    Args:
        image: ``[C, …spatial]``.
        method: ``zscore``: (x − mean) / standard deviation; ``minmax``: (x − min) / (max − min).

    Returns:
        A new image of the same shape.
    """
    from monai.transforms import NormalizeIntensity, ScaleIntensity

    transform: Any
    if method == "zscore":
        transform = NormalizeIntensity(channel_wise=True)
    else:
        transform = ScaleIntensity(minv=0.0, maxv=1.0, channel_wise=True)
    normalized: NDArray[np.float32] = transform(image.copy()).numpy()  # MONAI works in place
    spatial = tuple(range(1, image.ndim))
    constant = image.min(axis=spatial) == image.max(axis=spatial)
    normalized[constant] = 0  # a mean in float32 can miss the constant, and 1e-6 / 1e-6 is 1
    return normalized
