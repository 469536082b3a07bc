"""Gamma augmentation that keeps what the normalisation promises.

A power needs numbers that are not negative, and half of a z-scored image is negative. A plain power
gives NaN there, and clipping at 0 first moves the mean of every image. Three ways are correct:

    before_normalization   x ↦ normalise(((x − min) / (max − min))^γ), min and max of the whole case
    on_minmax              z ↦ z^γ, for z in [0, 1]
    shifted_retained       z ↦ ((z − min) / (max − min))^γ of the slice, then shifted and scaled
                           so that its mean and standard deviation are what they were

The first is computed from the normalised image z without the original x. Both normalisations are
x ↦ (x − a) / b with b > 0, which cancels in (x − min) / (max − min), so u = (z − min) / (max − min)
is the same for z as for x, and the result is exact: (u^γ − mean) / std for z-score, with mean and
standard deviation of u^γ over the case, and u^γ = z^γ for min-max.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from monai.transforms import AdjustContrast
from numpy.typing import NDArray

from sweep.data.files.normalize import Normalization
from sweep.data.prepared.samples import Samples
from sweep.spec.settings.augmentation_settings import GammaMode

Image = NDArray[np.float32]

_BINS = 4096  # counts the levels of images of up to 12 bits exactly


class Gamma:
    """Applies gamma to the samples of a run.

    Args:
        mode: one that fits ``normalization`` (see `GammaSettings.must_fit`).
        normalization: of the samples.
        samples: the training samples.
    """

    def __init__(self, mode: GammaMode, normalization: Normalization, samples: Samples) -> None:
        self._mode = mode
        self._normalization = normalization
        self._samples = samples
        self._volumes: dict[str, list[Levels]] = {}  # of each channel of a case

    def sample(self, index: int, gamma: float) -> Image:
        """The image ``[C, H, W]`` of a sample, each channel raised to ``gamma``."""
        image = self._samples[index].image
        if self._normalization == "minmax":
            return image**gamma
        if self._mode == "shifted_retained":
            contrast = AdjustContrast(gamma, retain_stats=True)
            return np.stack([contrast(channel).numpy() for channel in image.copy()])
        case = self._samples.case_of(index)
        levels = self._volumes.get(case.name)
        if levels is None:
            levels = [Levels.of(case.images[:, channel]) for channel in range(case.images.shape[1])]
            if len(case.images) > 1:  # the case has several samples
                self._volumes[case.name] = levels
        channels = zip(image, levels, strict=True)
        return np.stack([level.renormalised(channel, gamma) for channel, level in channels])


@dataclass(frozen=True, slots=True)
class Levels:
    """The distribution of the intensities u in [0, 1] of one channel over a whole case.

    Args:
        low, high: the smallest and the largest z.
        values: ``[N]``, at most `_BINS` levels of u, each the mean of the values of its bin.
        shares: ``[N]``, the share of the pixels at each level; the sum is 1.
    """

    low: float
    high: float
    values: NDArray[np.float64]
    shares: NDArray[np.float64]

    @classmethod
    def of(cls, channel: Image) -> Levels:
        """The levels of ``[S, H, W]``, slice by slice, since a volume may be large."""
        low, high = float(channel.min()), float(channel.max())
        counts, sums = np.zeros(_BINS), np.zeros(_BINS)
        for slice_ in channel:
            u = (slice_.ravel().astype(np.float64) - low) / (high - low or 1.0)
            bins = np.minimum(u * _BINS, _BINS - 1).astype(np.intp)
            counts += np.bincount(bins, minlength=_BINS)
            sums += np.bincount(bins, weights=u, minlength=_BINS)
        filled = counts > 0
        return cls(low, high, sums[filled] / counts[filled], counts[filled] / channel.size)

    def renormalised(self, channel: Image, gamma: float) -> Image:
        """``(u^γ − mean) / std`` of a slice ``[H, W]``, by the statistics of the case."""
        if self.high == self.low:  # a constant channel was normalised to 0
            return channel
        powers = self.values**gamma
        mean = float(self.shares @ powers)
        std = float(np.sqrt(self.shares @ (powers - mean) ** 2))
        u = (channel - self.low) / (self.high - self.low)
        result: Image = ((u**gamma - mean) / std).astype(np.float32)
        return result
