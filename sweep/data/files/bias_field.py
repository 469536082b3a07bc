"""N4 bias field correction: removes slow brightness drift from magnetic resonance images.

The smooth field is estimated on a coarser grid and divided out at full resolution. It uses one
thread, so that every machine gets the same bits from the same SimpleITK.
"""

from __future__ import annotations

import importlib.metadata

import numpy as np
from numpy.typing import NDArray

from sweep.machine.installed_packages import how_to_install
from sweep.vocabulary.errors import InputError

_SHRINK = 4  # as in SimpleITK's own example: 1/16 of the pixels of an image, 1/64 of a volume
_COARSEST = 32  # pixels a side on which a field is still estimated well


def simpleitk_version() -> str:
    return importlib.metadata.version("SimpleITK")


def correct_bias_field(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Divide each channel by its own estimated bias field.

    The field is estimated where Otsu's threshold finds something brighter than the background. It
    needs intensities of at least 0, so lower ones are shifted up first.

    Args:
        image: ``[C, …spatial]``, 2D or 3D, not normalised.

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
        raise InputError.single(
            f"N4 cannot correct an image of {'×'.join(map(str, image.shape[1:]))} pixels: {reason}",
            key="data.n4",
        ) from error


def _corrected(channel: NDArray[np.float32]) -> NDArray[np.float32]:
    import SimpleITK as sitk  # noqa: N813 (everybody's name for it)

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
