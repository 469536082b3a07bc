"""Whether the images that reach the network are what their normalisation promises."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from sweep.data.files.normalize import Normalization

_SHIFT = 0.3  # of the mean, in standard deviations; clipping z-scored Gaussian noise shifts by 0.4
_STRETCH = 1.5  # of the standard deviation, up or down; clipping gives 0.58 of it
_ROUNDING = 1e-3


@dataclass(frozen=True, slots=True)
class _Channel:
    """Mean, standard deviation and smallest value of one channel of some images."""

    mean: float
    std: float
    low: float

    @classmethod
    def of(cls, pixels: Tensor) -> _Channel:
        wide = pixels.double()
        return cls(float(wide.mean()), float(wide.std(correction=0)), float(wide.min()))

    def __str__(self) -> str:
        return f"mean {self.mean:.2f} and standard deviation {self.std:.2f}"


def check_statistics(images: Tensor, plain: Tensor, normalization: Normalization) -> str | None:
    """Compare what reaches the network with what the normalisation promises.

    Min-max promises [0, 1]. Z-score promises mean 0 and standard deviation 1 of a whole case, which
    crops, slices and padding change; so the images are compared with the same ones before their
    augmentation, and those, roughly, with the promise.

    Args:
        images: ``[N, C, H, W]``, augmented; a few dozen from different cases.
        plain: the same crops of the same images, not augmented.
        normalization: of the data.
    Returns:
        one sentence on the first thing that is wrong; None where all is right.
    """
    for channel in range(images.shape[1]):
        shown, prepared = images[:, channel], plain[:, channel]
        check = _check_minmax if normalization == "minmax" else _check_zscore
        if message := check(shown, prepared):
            return f"channel {channel} of the training images {message}"
    return None


def _check_minmax(shown: Tensor, prepared: Tensor) -> str | None:
    for pixels, when in ((prepared, "before"), (shown, "after")):
        low, high = float(pixels.min()), float(pixels.max())
        if not (low >= -_ROUNDING and high <= 1 + _ROUNDING):  # NaN is on neither side
            return f"reaches from {low:.2f} to {high:.2f} {when} augmentation, not from 0 to 1"
    return None


def _check_zscore(shown: Tensor, prepared: Tensor) -> str | None:
    now, before = _Channel.of(shown), _Channel.of(prepared)
    if before.std == 0:  # constant in every case: normalised to 0
        return None
    if not (abs(before.mean) <= 1 and 1 / 3 <= before.std <= 3):
        return f"has {before} before augmentation, which is far from the 0 and 1 of z-score"
    if now.low >= 0 > before.low:
        return f"has no value below 0 after augmentation: it was clipped ({now}, before {before})"
    kept = abs(now.mean - before.mean) <= _SHIFT * before.std
    if not (kept and 1 / _STRETCH <= now.std / before.std <= _STRETCH):
        return f"has {now} after augmentation, before it {before}: z-score no longer holds"
    return None
