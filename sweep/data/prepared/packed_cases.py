"""Normalised cases in flat files that all processes of a machine map into memory.

    images.f32   all images, one after the other, each [S, C, H, W]
    labels.u8    their labels, each [S, H, W]
    own.u8       the labels of resampled cases on the grid of their own files
    index.json   names, classes, split, and the shape of each case

The files are written case by case, because their total size is known only at the end.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray
from pydantic import NonNegativeInt

from sweep.data.files.nnunet_normalize import DatasetIntensities
from sweep.data.nnunet_raw.regions import Labelled
from sweep.data.nnunet_raw.splits import Split
from sweep.data.prepared.samples import CaseArrays, OwnGrid, Spacing
from sweep.store.files import parsed

FORMAT = 10
"""Increase it whenever the same settings would give different files."""

_IMAGES, _LABELS, _OWN, _INDEX = "images.f32", "labels.u8", "own.u8", "index.json"
Shape = tuple[NonNegativeInt, NonNegativeInt, NonNegativeInt]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents(Labelled):
    """What a packed folder records about its cases.

    Args:
        channels: names of the image channels.
        splits: the dataset's own splits; None if it has none.
        settings: the settings that the folder was built with.
        test: the dataset's own test cases; they are in no split.
        warnings: properties of the cases that are valid but probably not intended.
        sizes: of the images, in words.
        file_ending: of the images.
        intensities: of the cases for training and validation, where the normalisation needs them.
    """

    channels: tuple[str, ...]
    splits: tuple[Split, ...] | None
    settings: Mapping[str, Any]
    test: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    sizes: str = ""
    file_ending: str = ""
    intensities: DatasetIntensities | None = None


@dataclass(frozen=True, slots=True)
class _Own:
    """The own grid of a case in the index."""

    shape: Shape
    spacing: Spacing


@dataclass(frozen=True, slots=True)
class _Entry:
    """A case in the index; ``shape`` is that of its label, ``[S, H, W]``."""

    name: str
    shape: Shape
    foreground: tuple[int, ...]
    spacing: Spacing | None
    own: _Own | None


def write_packed(
    folder: Path, cases: Iterable[CaseArrays], contents: Callable[[], Contents]
) -> None:
    """Pack cases into ``folder``.

    Args:
        contents: called after the last case.
    """
    entries = []
    with (
        (folder / _IMAGES).open("wb") as images,
        (folder / _LABELS).open("wb") as labels,
        (folder / _OWN).open("wb") as own_labels,
    ):
        for case in cases:
            images.write(np.ascontiguousarray(case.images, dtype=np.float32).data)
            labels.write(np.ascontiguousarray(case.labels, dtype=np.uint8).data)
            own = None
            if case.own is not None:
                own_labels.write(np.ascontiguousarray(case.own.labels, dtype=np.uint8).data)
                own = _Own(case.own.labels.shape, case.own.spacing)
            entry = _Entry(case.name, case.labels.shape, case.foreground, case.spacing, own)
            entries.append(asdict(entry))
    index = {"format": FORMAT, **asdict(contents()), "cases": entries}
    (folder / _INDEX).write_text(json.dumps(index), encoding="utf-8")


def open_packed(folder: Path) -> tuple[Contents, dict[str, CaseArrays]] | None:
    """Map a packed folder into memory: its cases by identifier, in sorted order.

    None if it is missing or damaged.
    """
    try:
        index = json.loads((folder / _INDEX).read_text(encoding="utf-8"))
        if index["format"] != FORMAT:
            return None
        contents = parsed(Contents, index)
        entries = [parsed(_Entry, entry) for entry in index["cases"]]
        channels, pixels = len(contents.channels), sum(prod(entry.shape) for entry in entries)
        owned = sum(prod(entry.own.shape) for entry in entries if entry.own)
        images = _mapped(folder / _IMAGES, np.float32, pixels * channels)
        labels = _mapped(folder / _LABELS, np.uint8, pixels)
        own_labels = _mapped(folder / _OWN, np.uint8, owned)
        cases, start, own_start = {}, 0, 0
        for entry in entries:
            slices, height, width = entry.shape
            stop = start + prod(entry.shape)
            own_images = images[start * channels : stop * channels]
            own = None
            if entry.own is not None:
                own_stop = own_start + prod(entry.own.shape)
                found = own_labels[own_start:own_stop].reshape(entry.own.shape)
                own, own_start = OwnGrid(found, entry.own.spacing), own_stop
            cases[entry.name] = CaseArrays(
                name=entry.name,
                images=own_images.reshape(slices, channels, height, width),
                labels=labels[start:stop].reshape(entry.shape),
                foreground=entry.foreground,
                spacing=entry.spacing,
                own=own,
            )
            start = stop
        return contents, cases
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None


def _mapped(path: Path, dtype: DTypeLike, length: int) -> NDArray[Any]:
    """A read-only flat view of a whole file; raises ValueError if it has another length."""
    if length == 0 and path.stat().st_size == 0:
        return np.empty(0, dtype)  # an empty file cannot be mapped
    mapped = np.memmap(path, dtype=dtype, mode="r")
    if mapped.shape != (length,):
        raise ValueError(f"{path} holds {mapped.size} numbers, not {length}")
    return mapped.view(np.ndarray)
