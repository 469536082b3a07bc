"""Reading and writing the pixels of a dataset in nnU-Net's raw layout.

Axes. A PNG is ``[rows, columns]``, as nnU-Net sees it. A NIfTI volume keeps the order of its file
(``[x, y, z]`` for most), where nnU-Net's SimpleITK reader has ``[z, y, x]``: image and label agree,
a 2D sample may be the transpose of nnU-Net's.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sweep.data.raw import DESCRIPTION_FILE, IMAGES_FOLDER, LABELS_FOLDER, RawDataset
from sweep.data.splits import SPLITS_FILE, Split
from sweep.errors import InputError, Mistake

Array = NDArray[Any]

_LARGEST_PIXEL = 1e12  # sums of squares over a volume still fit 32-bit floats


@dataclass(frozen=True, slots=True)
class RawCase:
    """One case to write.

    Args:
        name: its identifier.
        image: ``[C, …spatial]``; 8-bit for PNG.
        label: ``[…spatial]``, 8-bit.
        affine: voxel → millimetres, ``[4, 4]``; NIfTI only.
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
) -> None:
    """Write a dataset in nnU-Net's raw layout; one case at a time is held in memory.

    Args:
        folder: created; must not hold images or labels yet.
        cases: in any order.
        name: of the dataset, for people.
        channel_names, labels, file_ending: as in ``dataset.json``.
        splits: written as ``splits_final.json`` where given.
    """
    images_folder, labels_folder = folder / IMAGES_FOLDER, folder / LABELS_FOLDER
    images_folder.mkdir(parents=True)
    labels_folder.mkdir()
    count = write_cases(images_folder, labels_folder, cases, file_ending)
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


def write_cases(images: Path, labels: Path, cases: Iterable[RawCase], file_ending: str) -> int:
    """Write the files of ``cases`` into two folders that exist, and say how many cases they are."""
    count = 0
    for case in cases:
        for channel, pixels in enumerate(case.image):
            path = images / f"{case.name}_{channel:04d}{file_ending}"
            _write_pixels(path, pixels, case.affine)
        _write_pixels(labels / f"{case.name}{file_ending}", case.label, case.affine)
        count += 1
    return count


def load_case(dataset: RawDataset, case: str) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Read one case; trailing spatial axes of length 1 are dropped.

    Returns:
        The image ``[C, …spatial]`` and the label ``[…spatial]``, 2D or 3D.

    Raises:
        InputError: where a file cannot be read, shapes differ, pixels are not finite, or the label
            holds values that ``dataset.json`` does not name.
    """
    reader = _reader(dataset.file_ending)
    label_path, image_paths = dataset.label_path(case), dataset.image_paths(case)
    label = _squeezed(_read_pixels(reader, label_path))
    channels: list[Array] = []
    mistakes = []
    for path in image_paths:
        pixels = _read_pixels(reader, path)
        if dataset.file_ending == ".png" and pixels.ndim == 3:
            channels.extend(np.moveaxis(pixels, -1, 0))  # RGB(A)
        else:
            channels.append(_squeezed(pixels))
        if any(channel.shape != label.shape for channel in channels):
            message = f"is {_size(channels[-1])} pixels, but {label_path.name} {_size(label)}"
            mistakes.append(Mistake(message, file=str(path)))
    if len(channels) != len(dataset.channel_names):
        message = (
            f"holds {len(channels)} channels, but `channel_names` of {DESCRIPTION_FILE} names "
            f"{len(dataset.channel_names)}"
        )
        mistakes.append(Mistake(message, file=str(image_paths[0])))
    if label.ndim not in (2, 3):
        message = f"has {label.ndim} axes ({_size(label)}); only 2D images and 3D volumes are read"
        mistakes.append(Mistake(message, file=str(label_path)))
    if message := _label_mistake(label, dataset.labels):
        mistakes.append(Mistake(message, file=str(label_path)))
    if mistakes:
        raise InputError(mistakes)
    image = np.stack(channels)  # [C, …spatial]
    if not (np.abs(image) <= _LARGEST_PIXEL).all():  # NaN is not ≤ anything
        raise InputError.single(
            f"holds pixels that are NaN, infinite or beyond ±{_LARGEST_PIXEL:g}",
            file=str(image_paths[0]),
        )
    return image.astype(np.float32), label.astype(np.uint8)


def _label_mistake(label: Array, labels: Mapping[str, int]) -> str:
    unknown = np.setdiff1d(label, list(labels.values()))
    if not unknown.size:
        return ""
    shown = ", ".join(f"{value:g}" for value in unknown[:8].astype(float))
    shown += ", …" if unknown.size > 8 else ""
    named = ", ".join(f"{value} ({name})" for name, value in labels.items())
    return f"holds the values {shown}, but `labels` of {DESCRIPTION_FILE} names only {named}"


def _reader(file_ending: str) -> Any:
    # The readers themselves and not LoadImage: where a file is damaged, that one goes on to try
    # every other reader it knows, and those have other orders of axes.
    from monai.data import NibabelReader, PILReader

    return PILReader(reverse_indexing=False) if file_ending == ".png" else NibabelReader()


def _read_pixels(reader: Any, path: Path) -> Array:
    try:
        opened = reader.read(path)
        try:
            pixels, _ = reader.get_data(opened)
        finally:
            if hasattr(opened, "close"):  # PIL keeps a damaged file open, nibabel none
                opened.close()
        return np.asarray(pixels)
    except Exception as error:  # decoders raise whatever they like on a damaged file
        message = f"cannot be read as an image: {type(error).__name__}: {error}"
        raise InputError.single(message, file=str(path)) from error


def _squeezed(pixels: Array) -> Array:
    while pixels.ndim > 2 and pixels.shape[-1] == 1:
        pixels = pixels[..., 0]
    return pixels


def _size(pixels: Array) -> str:
    return "×".join(map(str, pixels.shape))


def _write_pixels(path: Path, pixels: Array, affine: NDArray[np.float64]) -> None:
    if path.suffix == ".png":
        from PIL import Image

        Image.fromarray(pixels).save(path)
    else:
        import nibabel

        nibabel.save(nibabel.Nifti1Image(pixels, affine), path)


def _write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
