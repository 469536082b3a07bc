"""From the pixels of a case to the arrays of a trainer, and from a prediction back to its file."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sweep.data.files.image_geometry import Array
from sweep.data.files.normalize import Normalization, correct_bias_field, normalize
from sweep.data.nnunet_raw.case_grid import CaseGrid
from sweep.data.prepared.samples import CaseArrays, Spacing


def prepared_case(
    name: str,
    image: NDArray[np.float32],
    label: NDArray[np.uint8] | None,
    grid: CaseGrid,
    *,
    slice_axis: int,
    normalization: Normalization,
    n4: bool = False,
    file: str = "",
) -> CaseArrays:
    """A case as the network sees it: corrected, normalised, the slice axis first.

    Args:
        image: ``[C, …spatial]``, as `sweep.data.nnunet_raw.pixels.load_image` reads it.
        label: ``[…spatial]``; None: an image to predict, which gets labels of 0.
        grid: of its files.
        slice_axis: of a volume.
        normalization, n4: settings of the data.
        file: the image's, for errors.

    Raises:
        InputError: the bias field cannot be corrected.
    """
    if label is None:
        label = np.zeros(image.shape[1:], dtype=np.uint8)
    if n4:
        image = correct_bias_field(image, file)
    image = normalize(image, normalization)
    if label.ndim == 2:
        image, label = image[:, None], label[None]  # [C, 1, H, W], [1, H, W]
    else:
        image = np.moveaxis(image, slice_axis + 1, 1)  # [C, S, H, W]
        label = np.moveaxis(label, slice_axis, 0)  # [S, H, W]
    return CaseArrays(
        name=name,
        images=image.swapaxes(0, 1),
        labels=label,
        foreground=_foreground(label),
        spacing=array_spacing(grid, slice_axis),
    )


def as_stored(classes: Array, grid: CaseGrid, slice_axis: int) -> Array:
    """Classes ``[S, H, W]`` on a case's own grid with the axes of its first file.

    So they can be written beside it with the same header.

    Args:
        grid: of the case's files.
        slice_axis: the one that the case was prepared with.
    """
    is_volume = len(grid.axes) == 3
    return grid.as_stored(np.moveaxis(classes, 0, slice_axis) if is_volume else classes[0])


def array_spacing(grid: CaseGrid, slice_axis: int) -> Spacing | None:
    """Spacing along the axes of the arrays: the slice axis first in a volume."""
    spacing = grid.geometry.spacing
    if spacing is None:
        return None
    kept = [spacing[axis] for axis in grid.axes]
    if len(kept) == 3:
        kept.insert(0, kept.pop(slice_axis))
    return tuple(float(step) for step in kept)


def _foreground(labels: NDArray[np.uint8]) -> tuple[int, ...]:
    return tuple(value for value in np.unique(labels).tolist() if value > 0)
