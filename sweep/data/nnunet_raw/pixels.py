"""Read and write the pixels of a dataset in nnU-Net's raw layout.

Axes. A picture is ``[rows, columns]``, as in nnU-Net. A volume is ``[x, y, z]``, reoriented to
right, anterior and superior, while nnU-Net's readers have ``[z, y, x]`` as stored. Image and label
agree, but a 2D sample may be the transpose of nnU-Net's.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sweep.data.files.image_file import has_bands, read_pixels
from sweep.data.files.image_geometry import Array
from sweep.data.nnunet_raw.case_grid import CaseGrid, look_at
from sweep.data.nnunet_raw.labels import as_classes, unnamed_values
from sweep.data.nnunet_raw.raw_dataset import (
    DESCRIPTION_FILE,
    IMAGES_FOLDER,
    LABELS_FOLDER,
    TEST_LABELS_FOLDER,
    RawDataset,
)
from sweep.data.nnunet_raw.splits import SPLITS_FILE, Split
from sweep.spec.settings.data_settings import TEST_FOLDER
from sweep.spec.words.phrases import counted
from sweep.vocabulary.errors import InputError, Mistake, gathering

_LARGEST_PIXEL = 1e12  # sums of squares over a volume still fit 32-bit floats
_FINEST_STEP = 0.1  # of the standard deviation: rounding to it adds an error of 3 %


@dataclass(frozen=True, slots=True)
class RawCase:
    """One case to write.

    Args:
        name: identifier of the case.
        image: ``[C, …spatial]``; 8-bit for PNG.
        label: ``[…spatial]``, 8-bit.
        affine: voxel to millimetres, ``[4, 4]``; NIfTI only.
    """

    name: str
    image: Array
    label: NDArray[np.uint8]
    affine: NDArray[np.float64] = field(default_factory=lambda: np.eye(4))


def write_raw(
    folder: Path,
    cases: Iterable[RawCase],
    *,
    name: str,
    channel_names: Sequence[str],
    labels: Mapping[str, int],
    file_ending: str,
    splits: Sequence[Split] | None = None,
    test: Iterable[RawCase] | None = None,
) -> None:
    """Write a dataset in nnU-Net's raw layout, with one case at a time in memory.

    Args:
        folder: created; must not contain images or labels.
        cases: in any order.
        name: name of the dataset, for people.
        channel_names, labels, file_ending: as in ``dataset.json``.
        splits: written as ``splits_final.json`` where given.
        test: written to ``imagesTs`` and ``labelsTs`` where given.
    """
    count = _write_cases(folder / IMAGES_FOLDER, folder / LABELS_FOLDER, cases, file_ending)
    description = {
        "name": name,
        "channel_names": {str(i): channel for i, channel in enumerate(channel_names)},
        "labels": dict(labels),
        "numTraining": count,
        "file_ending": file_ending,
    }
    _write_json(folder / DESCRIPTION_FILE, description)
    if splits is not None:
        entries = [{"train": training, "val": validation} for training, validation in splits]
        _write_json(folder / SPLITS_FILE, entries)
    if test is not None:
        _write_cases(folder / TEST_FOLDER, folder / TEST_LABELS_FOLDER, test, file_ending)


def _write_cases(images: Path, labels: Path, cases: Iterable[RawCase], file_ending: str) -> int:
    """Make both folders, write the files of ``cases`` to them, and return the number of cases."""
    images.mkdir(parents=True)
    labels.mkdir()
    count = 0
    for case in cases:
        for channel, pixels in enumerate(case.image):
            path = images / f"{case.name}_{channel:04d}{file_ending}"
            _write_pixels(path, pixels, case.affine)
        _write_pixels(labels / f"{case.name}{file_ending}", case.label, case.affine)
        count += 1
    return count


def load_case(
    dataset: RawDataset, case: str, grid: CaseGrid | None = None
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Read one case. Every file is put on the common grid; axes of length 1 are dropped.

    Args:
        grid: the common grid; None: read it from the headers.

    Returns:
        The image ``[C, …spatial]`` and the label ``[…spatial]``, 2D or 3D.

    Raises:
        InputError: a file cannot be read, geometries differ, pixels are nonfinite or too similar
            for 32-bit floats, or the label has values that ``dataset.json`` does not name.
    """
    grid = grid or look_at(dataset, case)
    label_path, image_paths = dataset.label_path(case), dataset.image_paths(case)
    mistakes: list[Mistake] = []
    image: NDArray[np.float32] | None = None
    label: Array | None = None
    with gathering(mistakes):
        image = load_image(dataset, case, grid)
    with gathering(mistakes):
        stored = read_pixels(label_path, palette=False)
        if has_bands(label_path) and stored.ndim > len(grid.stored_shape):
            stored = _said_once(stored, 1)
        label = as_classes(grid.laid(stored, len(image_paths)))
        if label.ndim > len(grid.axes):
            message = (
                f"holds {label.shape[-1]} numbers for each pixel (colours); a label has one, that"
                " of its class: replace each colour by the number of its class"
            )
            mistakes.append(Mistake(message, file=str(label_path), kind="colour label"))
        elif values := unnamed_values(label, dataset.all_labels):
            named = ", ".join(f"{value} ({name})" for value, name in dataset.all_labels.items())
            noun = "values" if "," in values else "value"
            black_and_white = "; store a mask of 0 and 255 as 0 and 1" if values == "255" else ""
            message = (
                f"holds the {noun} {values}, but `labels` of {DESCRIPTION_FILE} names only {named}"
                f"{black_and_white}"
            )
            mistakes.append(Mistake(message, file=str(label_path), kind="label values"))
    if mistakes or image is None or label is None:
        raise InputError(mistakes)
    return image, label.astype(np.uint8)


def load_image(dataset: RawDataset, case: str, grid: CaseGrid) -> NDArray[np.float32]:
    """Read the channels of one case onto its grid, ``[C, …spatial]``, 2D or 3D.

    Raises:
        InputError: a file cannot be read, or its pixels are nonfinite or too similar for 32-bit
            floats.
    """
    image_paths = dataset.image_paths(case)
    mistakes: list[Mistake] = []
    channels: list[NDArray[np.float32]] = []
    for file, path in enumerate(image_paths):
        with gathering(mistakes):
            stored = read_pixels(path)
            is_colour = has_bands(path) and stored.ndim > len(grid.stored_shape)
            if is_colour:  # one file holds all bands of a colour picture
                stored = _said_once(stored, len(dataset.channel_names) // len(image_paths))
                is_colour = stored.ndim > len(grid.stored_shape)
            for pixels in np.moveaxis(stored, -1, 0) if is_colour else [grid.laid(stored, file)]:
                mistakes += _pixel_mistakes(pixels, path)
                with np.errstate(over="ignore"):  # reported above
                    channels.append(pixels.astype(np.float32))
    if channels and len(channels) != len(dataset.channel_names):
        names = dataset.channel_names
        message = (
            f"holds {counted(len(channels), 'channel')}, but `channel_names` of {DESCRIPTION_FILE}"
            f" names {len(names)}: {', '.join(names)}"
        )
        mistakes.append(Mistake(message, file=str(image_paths[0]), kind="channels"))
    if mistakes:
        raise InputError(mistakes)
    return np.stack(channels)


def _said_once(bands: Array, wanted: int) -> Array:
    """A picture ``[rows, columns, bands]`` without bands that say nothing, where fewer are wanted.

    They are a layer of transparency that is opaque everywhere, and colours that are equal: so many
    programs write what is grey. One band that is left is ``[rows, columns]``.
    """
    opaque = np.iinfo(bands.dtype).max if bands.dtype.kind == "u" else None
    if wanted < bands.shape[-1] in (2, 4) and (bands[..., -1] == opaque).all():
        bands = bands[..., :-1]
    if wanted == 1 < bands.shape[-1] and (bands == bands[..., :1]).all():
        bands = bands[..., :1]
    return bands[..., 0] if wanted == bands.shape[-1] == 1 else bands


def _pixel_mistakes(pixels: Array, path: Path) -> Iterator[Mistake]:
    if pixels.dtype.itemsize <= 2 and pixels.dtype.kind in "biu":
        return  # integers: no NaN, and no more digits than a 32-bit float has
    if not (np.abs(pixels) <= _LARGEST_PIXEL).all():  # NaN is not ≤ anything
        message = f"holds pixels that are NaN, infinite or beyond ±{_LARGEST_PIXEL:g}"
        yield Mistake(message, file=str(path), kind="not finite")
        return
    low, high = float(pixels.min()), float(pixels.max())
    largest = max(abs(low), abs(high))
    if low == high or high - low >= largest / 2:  # the usual case, decided without a second pass
        return
    step, contrast = float(np.spacing(np.float32(largest))), float(pixels.std(dtype=np.float64))
    if step > _FINEST_STEP * contrast:
        yield Mistake(
            f"holds pixels from {low:.12g} to {high:.12g}, with a standard deviation of"
            f" {contrast:.3g}: 32-bit floats are {step:g} apart there, so the contrast is lost;"
            " subtract an offset from all pixels",
            file=str(path),
            kind="contrast",
        )


def _write_pixels(path: Path, pixels: Array, affine: NDArray[np.float64]) -> None:
    if path.suffix == ".png":
        from PIL import Image

        Image.fromarray(pixels).save(path)
    else:
        import nibabel

        nibabel.save(nibabel.Nifti1Image(pixels, affine), path)


def _write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
