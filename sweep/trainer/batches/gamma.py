"""Gamma augmentation that keeps what the normalisation promises.

A power needs numbers that are not negative, and half of a z-scored image is negative. A plain power
gives NaN there, and clipping at 0 first moves the mean of every image. Three ways are correct:

    before_normalization   x ↦ normalise(((x − min) / (max − min))^γ), min and max of the whole case
    on_minmax              z ↦ z^γ, for z in [0, 1]
    shifted_retained       z ↦ ((z − min) / (max − min))^γ of what is shown, then shifted and scaled
                           so that its mean and standard deviation are what they were

The first is computed from the normalised image z without the original x. Both normalisations are
x ↦ (x − a) / b with b > 0, which cancels in (x − min) / (max − min), so u = (z − min) / (max − min)
is the same for z as for x, and the result is exact: (u^γ − mean) / std for z-score, with mean and
standard deviation of u^γ over the case, and u^γ = z^γ for min-max.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sweep.data.files.normalize import Normalization
from sweep.data.prepared.samples import Samples
from sweep.spec.settings.augmentation_settings import GammaMode
from sweep.trainer.batches.intensities import Box, beside, ranges, retaining
from sweep.trainer.networks.device import to_device

_BINS = 4096  # counts the levels of images of up to 12 bits exactly
_KEPT_CASES = 1024  # at most 64 KiB each for a channel


class Gamma:
    """Applies gamma to samples of a run.

    Args:
        mode: one that fits ``normalization`` (see `GammaSettings.must_fit`).
        normalization: of the samples.
        samples: the training samples.
    """

    def __init__(self, mode: GammaMode, normalization: Normalization, samples: Samples) -> None:
        self._mode = mode
        self._normalization = normalization
        self._samples = samples
        self._levels = lru_cache(maxsize=_KEPT_CASES)(self._levels_of)
        self._cases = {case.name: case for case in samples.case_arrays}

    def changed(
        self,
        images: Tensor,
        exponents: Sequence[float],
        indices: Sequence[int],
        boxes: Sequence[Box],
    ) -> Tensor:
        """Images ``[N, C, (D,) H, W]``, changed in place, each raised to its exponent.

        Args:
            images: samples or parts of them, no darker or brighter than their case.
            exponents: of each image.
            indices: of their samples.
            boxes: the part of each image that is not padding.
        """
        powers = beside(to_device(np.array(exponents, np.float32), images.device), images)
        if self._normalization == "minmax":
            return images.clamp_(0, 1).pow_(powers)
        if self._mode == "shifted_retained":
            low, high = ranges(images, boxes)
            return retaining(images, lambda z: _unit(z, low, high).pow_(powers), boxes)
        pairs = zip(indices, exponents, strict=True)
        found = np.array([self._statistics(index, exponent) for index, exponent in pairs])
        low, high, mean, std = to_device(found.astype(np.float32), images.device).unbind(dim=2)
        raised = _unit(images.clone(), low, high).pow_(powers)
        raised.sub_(beside(mean, images)).div_(beside(std, images))
        # A constant channel was normalised to 0 and stays so.
        return torch.where(beside(high > low, images), raised, images)

    def _statistics(self, index: int, exponent: float) -> list[tuple[float, float, float, float]]:
        """Of each channel of the sample's case: its range, mean and deviation of its powers."""
        levels = self._levels(self._samples.case_of(index).name)
        return [(one.low, one.high, *one.moments(exponent)) for one in levels]

    def _levels_of(self, name: str) -> list[Levels]:
        images = self._cases[name].images
        return [Levels.of(images[:, channel]) for channel in range(images.shape[1])]


def _unit(images: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Images scaled in place from ``[low, high]``, ``[N, C]`` each, to [0, 1]."""
    span = torch.where(high > low, high - low, 1)
    return images.sub_(beside(low, images)).div_(beside(span, images)).clamp_(0, 1)


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
    def of(cls, channel: NDArray[np.float32]) -> Levels:
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

    def moments(self, exponent: float) -> tuple[float, float]:
        """Mean and standard deviation of ``u^exponent`` over the case; 1 for a deviation of 0."""
        powers = self.values**exponent
        mean = float(self.shares @ powers)
        return mean, float(np.sqrt(self.shares @ (powers - mean) ** 2)) or 1.0
