"""From the pixels of a case to the arrays of a trainer, and from a prediction back to its file."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sweep.data.files.image_geometry import Array, size
from sweep.data.files.nnunet_normalize import DatasetIntensities, normalized_by_name
from sweep.data.files.normalize import Normalization, correct_bias_field, normalize
from sweep.data.files.resampling import (
    resample_image,
    resample_labels,
    resampled_shape,
    separate_axis,
)
from sweep.data.nnunet_raw.case_grid import CaseGrid
from sweep.data.nnunet_raw.pixels import load_case
from sweep.data.nnunet_raw.raw_dataset import RawDataset
from sweep.data.nnunet_raw.regions import Labelled
from sweep.data.prepared.samples import CaseArrays, OwnGrid, Spacing
from sweep.machine.hardware import memory
from sweep.spec.settings.data_settings import BY_NAME
from sweep.vocabulary.errors import InputError, Mistake


def prepared_case(
    dataset: RawDataset,
    name: str,
    image: NDArray[np.float32],
    label: NDArray[np.uint8] | None,
    grid: CaseGrid,
    *,
    slice_axis: int,
    normalization: Normalization,
    intensities: DatasetIntensities | None = None,
    n4: bool = False,
    spacing: Sequence[float] | None = None,
) -> CaseArrays:
    """A case as the network sees it: corrected, normalised, the slice axis first, resampled.

    It is normalised before it is resampled, as in nnU-Net.

    Args:
        dataset: that has the case.
        image: ``[C, …spatial]``, as `sweep.data.nnunet_raw.pixels.load_image` reads it.
        label: ``[…spatial]``; None: an image to predict, which gets labels of 0.
        grid: of its files.
        slice_axis: of a volume.
        normalization, n4: settings of the data.
        intensities: of the dataset that the network is trained on, for `nnunet`.
        spacing: to resample to, as for `resampled`; None: it stays as it is.

    Raises:
        InputError: the bias field cannot be corrected, a channel is not what its name says, or
            nothing sensible is left at ``spacing``.
    """
    if label is None:
        label = np.zeros(image.shape[1:], dtype=np.uint8)
    file = str(dataset.image_paths(name)[0])
    if n4:
        image = correct_bias_field(image, file)
    if normalization == BY_NAME:
        assert intensities is not None, "what prepares the data has looked at all of them"
        image = normalized_by_name(image, dataset.channel_names, intensities, file)
    else:
        image = normalize(image, normalization)
    image = image[:, None] if label.ndim == 2 else np.moveaxis(image, slice_axis + 1, 1)
    label = sliced(label, slice_axis)
    case = CaseArrays(
        name=name,
        images=image.swapaxes(0, 1),  # of [C, S, H, W]
        labels=label,
        foreground=dataset.held_by(label),
        spacing=array_spacing(grid, slice_axis),
    )
    if spacing is None:
        return case
    _require_size(case, spacing, file)
    return resampled(case, spacing, dataset)


def constant_channels(
    dataset: RawDataset, case: str, image: NDArray[np.float32]
) -> Iterator[Mistake]:
    """Constant channels, such as missing sequences filled with 0.

    This is not a mistake: the channel becomes 0, and the other channels and cases remain useful.

    Args:
        dataset: that has the case.
        image: ``[C, …spatial]``, as it is read.
    """
    for index, channel in enumerate(image):
        if channel.min() == channel.max():
            paths, name = dataset.image_paths(case), dataset.channel_names[index]
            yield Mistake(
                f"the channel `{name}` is {channel.flat[0]:g} everywhere: it says nothing"
                " about this case",
                file=str(paths[min(index, len(paths) - 1)].relative_to(dataset.folder)),
                kind=f"constant channel {index}",
            )


def copied_image(
    dataset: RawDataset, case: str, image: NDArray[np.float32], seen: dict[bytes, str]
) -> Iterator[Mistake]:
    """An image that another case has too, to the last pixel.

    Args:
        dataset: that has the case.
        image: ``[C, …spatial]``, as it is read; one that is the same everywhere is no copy.
        seen: digest → the first case with these pixels; is added to.
    """
    if image.min() == image.max():
        return
    digest = hashlib.sha256(str(image.shape).encode())
    digest.update(np.ascontiguousarray(image).data)
    if (first := seen.setdefault(digest.digest(), case)) != case:
        yield Mistake(
            f"holds the same pixels as the image of {first}: a network that has learnt from one of"
            " them knows the other, so Dice is too high where they are on two sides; leave one out,"
            " or keep them together by `data.groups`",
            file=str(dataset.image_paths(case)[0].relative_to(dataset.folder)),
            kind="copied image",
        )


def sliced(label: NDArray[np.uint8], slice_axis: int) -> NDArray[np.uint8]:
    """A label of an image ``[H, W]`` or a volume as ``[S, H, W]``."""
    return label[None] if label.ndim == 2 else np.moveaxis(label, slice_axis, 0)


def written_mask(
    dataset: RawDataset, name: str, folder: Path, slice_axis: int
) -> NDArray[np.uint8]:
    """The labels ``[S, H, W]`` of a predicted mask of a case.

    It is read like a reference, since it lies on the image just so.

    Args:
        folder: of the masks.

    Raises:
        InputError: it cannot be read, or does not fit the image.
    """
    masks = replace(dataset, labels_folder=str(folder.absolute()))
    return sliced(load_case(masks, name)[1], slice_axis)


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


def _require_size(case: CaseArrays, target: Sequence[float], file: str) -> None:
    """Refuse a spacing at which a case is a single pixel, or larger than this machine's memory.

    A header or the setting is then in another unit: in metres, or in centimetres.
    """
    assert case.spacing is not None
    axes, steps = len(target), case.spacing[-len(target) :]
    shape = resampled_shape(case.labels.shape[-axes:], steps, target)
    others = len(case.labels) if axes == 2 else 1
    needed = math.prod(shape) * others * case.images.shape[1] * np.float64().itemsize
    if max(shape) > 1 and needed <= memory():
        return
    cost = f": {needed / 2**30:,.0f} GiB, more than this machine has" if max(shape) > 1 else ""
    message = (
        f"is {size(steps, '.3g')} mm from pixel to pixel, and would be {size(shape)} pixels at"
        f" {size(target, '.3g')} mm{cost}; check both spacings, which are in millimetres"
    )
    raise InputError([Mistake(message, file=file, kind="resampled size")])


def resampled(case: CaseArrays, target: Sequence[float], labelled: Labelled) -> CaseArrays:
    """The case with another spacing, along as many of its last axes as the target has.

    The number of voxels is rounded, so that its spacing is the target up to half a voxel over the
    whole side. A case whose number of voxels stays the same is returned as it is.

    Args:
        case: with a spacing.
        target: millimetres along ``[S, H, W]``, or along ``[H, W]`` for slices by themselves.
        labelled: the data that it is of.
    """
    assert case.spacing is not None
    axes = len(target)
    old, steps = case.labels.shape[-axes:], case.spacing[-axes:]
    shape = resampled_shape(old, steps, target)
    if shape == old:
        return case
    if axes == 3:
        separate = separate_axis(steps, target)
        images = resample_image(case.images.swapaxes(0, 1), shape, separate).swapaxes(0, 1)
        labels = resample_labels(case.labels, shape, separate)
    else:
        images = np.stack([resample_image(one, shape) for one in case.images])
        labels = np.stack([resample_labels(one, shape) for one in case.labels])
    sides = zip(steps, old, shape, strict=True)
    return replace(
        case,
        images=images,
        labels=labels,
        foreground=tuple(n for n in case.foreground if labelled.mask(labels, n).any()),
        spacing=(*case.spacing[:-axes], *(step * before / now for step, before, now in sides)),
        own=OwnGrid(case.labels, case.spacing),
    )
