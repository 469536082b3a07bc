"""Intensities of one image: N4 bias field correction, then normalisation per case and channel.

N4 removes slow brightness drift from magnetic resonance images. The smooth field is estimated on a
coarser grid and divided out at full resolution. It uses one thread, so that every machine gets the
same bits from the same SimpleITK.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sweep.data.files.image_geometry import size
from sweep.machine.installed_packages import how_to_install
from sweep.vocabulary.errors import InputError, Mistake

PerCase = Literal["zscore", "minmax"]
Normalization = PerCase | Literal["nnunet"]
"""``data.normalization``; `sweep.data.files.nnunet_normalize` has the last one."""

_SHRINK = 4  # as in SimpleITK's own example: 1/16 of the pixels of an image, 1/64 of a volume
_COARSEST = 32  # pixels per side that suffice to estimate a field


def correct_bias_field(image: NDArray[np.float32], file: str = "") -> NDArray[np.float32]:
    """Divide each channel by its own estimated bias field.

    The field is estimated where Otsu's threshold finds something brighter than the background. It
    needs intensities of at least 0, so lower ones are shifted up first.

    Args:
        image: ``[C, …spatial]``, 2D or 3D, not normalised.
        file: its file, for errors.

    Returns:
        A new image of the same shape.

    Raises:
        InputError: SimpleITK is not installed or cannot process the image.

    Source: Tustison et al. 2010, doi:10.1109/TMI.2010.2046908, as in SimpleITK.
    """
    if absent := how_to_install("n4", "SimpleITK"):
        raise InputError.single(absent, key="data.n4")
    try:
        return np.stack([_corrected(channel) for channel in image])
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1]
        message = f"N4 cannot correct an image of {size(image.shape[1:])} pixels: {reason}"
        raise InputError([Mistake(message, key="data.n4", file=file, kind="n4")]) from error


def _corrected(channel: NDArray[np.float32]) -> NDArray[np.float32]:
    import SimpleITK as sitk  # noqa: N813 (its usual name)

    pixels = channel - min(0.0, float(channel.min()))
    full = sitk.GetImageFromArray(pixels)
    # SimpleITK counts axes backwards.
    factors = [min(_SHRINK, max(1, side // _COARSEST)) for side in reversed(pixels.shape)]
    mask = sitk.OtsuThreshold(full, 0, 1)  # 0 inside, which is below the threshold
    n4 = sitk.N4BiasFieldCorrectionImageFilter()
    n4.SetNumberOfThreads(1)
    n4.Execute(sitk.Shrink(full, factors), sitk.Shrink(mask, factors))
    field = np.exp(sitk.GetArrayFromImage(n4.GetLogBiasFieldAsImage(full)))
    corrected: NDArray[np.float32] = (pixels / field).astype(np.float32)
    return corrected


def normalize(image: NDArray[np.float32], method: PerCase) -> NDArray[np.float32]:
    """Normalise each channel by its own statistics over all pixels; a constant channel becomes 0.

    Args:
        image: ``[C, …spatial]``.
        method: ``zscore``: (x − mean) / standard deviation; ``minmax``: (x − min) / (max − min).

    Returns:
        A new image of the same shape, bit for bit as by MONAI's ``NormalizeIntensity`` and
        ``ScaleIntensity``, whose import takes three times as long as torch's.
    """
    import torch  # here, for it takes seconds, and data that are prepared already do without it

    normalized = image.copy()
    for pixels in torch.from_numpy(normalized):  # the same memory
        if method == "zscore":
            shift, scale = pixels.mean().item(), pixels.std(correction=0).item() or 1.0
        else:
            shift, scale = pixels.min().item(), (pixels.max() - pixels.min()).item()
        pixels.sub_(shift).div_(scale)
    spatial = tuple(range(1, image.ndim))
    constant = image.min(axis=spatial) == image.max(axis=spatial)
    normalized[constant] = 0  # a mean in float32 can miss the constant, and 1e-6 / 1e-6 is 1
    return normalized
