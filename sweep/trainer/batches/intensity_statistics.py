"""Whether the images that reach the network are what their normalisation promises."""

from __future__ import annotations

from torch import Tensor

from sweep.data.files.normalize import Normalization

_SHIFT = 0.3  # of the mean, in standard deviations; clipping z-scored Gaussian noise shifts by 0.4
_STRETCH = 1.5  # of the standard deviation, up or down; clipping gives 0.58 of it
_ROUNDING = 1e-3


def check_statistics(images: Tensor, plain: Tensor, normalization: Normalization) -> str | None:
    """Compare what reaches the network with what the normalisation promises.

    Min-max promises [0, 1]. Z-score promises mean 0 and standard deviation 1 of a whole case.
    nnU-Net's promises nothing of a single case, so there only the augmentation is judged.
    Crops, slices and padding change these, so the images are compared with the same images before
    augmentation, and those, roughly, with the promise.

    Args:
        images: ``[N, C, H, W]``, augmented; a few dozen from different cases.
        plain: the same crops of the same images, not augmented.
        normalization: of the data.
    Returns:
        one sentence about the first mistake; None if there is none.
    """
    for channel in range(images.shape[1]):
        shown, prepared = images[:, channel], plain[:, channel]
        if normalization == "minmax":
            message = _check_minmax(shown, prepared)
        else:
            message = _check_moments(shown, prepared, is_zscore=normalization == "zscore")
        if message:
            return f"channel {channel} of the training images {message}"
    return None


def _check_minmax(shown: Tensor, prepared: Tensor) -> str | None:
    for pixels, when in ((prepared, "before"), (shown, "after")):
        low, high = float(pixels.min()), float(pixels.max())
        if not (low >= -_ROUNDING and high <= 1 + _ROUNDING):  # NaN is on neither side
            return f"reaches from {low:.2f} to {high:.2f} {when} augmentation, not from 0 to 1"
    return None


def _check_moments(shown: Tensor, prepared: Tensor, *, is_zscore: bool) -> str | None:
    (mean, std), (mean_before, std_before) = (
        (float(pixels.double().mean()), float(pixels.double().std(correction=0)))
        for pixels in (shown, prepared)
    )
    if std_before == 0:  # constant in every case: normalised to 0
        return None
    now = f"mean {mean:.2f} and standard deviation {std:.2f}"
    before = f"mean {mean_before:.2f} and standard deviation {std_before:.2f}"
    if is_zscore and not (abs(mean_before) <= 1 and 1 / 3 <= std_before <= 3):
        return f"has {before} before augmentation, which is far from the 0 and 1 of z-score"
    if float(shown.min()) >= 0 > float(prepared.min()):
        return f"has no value below 0 after augmentation: it was clipped ({now}, before {before})"
    kept = abs(mean - mean_before) <= _SHIFT * std_before
    if not (kept and 1 / _STRETCH <= std / std_before <= _STRETCH):
        what = "z-score" if is_zscore else "the normalisation"
        return f"has {now} after augmentation, before it {before}: {what} no longer holds"
    return None
