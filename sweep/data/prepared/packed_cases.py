"""Normalised cases in two flat files that all processes of a machine map into memory.

    images.f32   all images, one after the other, each [S, C, H, W]
    labels.u8    their labels, each [S, H, W]
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

from sweep.data.nnunet_raw.splits import Split
from sweep.data.prepared.samples import CaseArrays, Spacing
from sweep.store.files import parsed

FORMAT = 6
"""Increase it whenever the same settings would give different files."""

_IMAGES, _LABELS, _INDEX = "images.f32", "labels.u8", "index.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What a packed folder records about its cases.

    Args:
        channels: names of the image channels.
        classes: names of the classes, by label value.
        splits: the dataset's own splits; None if it has none.
        settings: the settings that the folder was built with.
        test: the dataset's own test cases; they are in no split.
        warnings: properties of the cases that are valid but probably not intended.
        sizes: of the images, in words.
        file_ending: of the images.
    """

    channels: tuple[str, ...]
    classes: tuple[str, ...]
    splits: tuple[Split, ...] | None
    settings: Mapping[str, Any]
    test: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    sizes: str = ""
    file_ending: str = ""


@dataclass(frozen=True, slots=True)
class _Entry:
    """A case in the index; ``shape`` is that of its label, ``[S, H, W]``."""

    name: str
    shape: tuple[NonNegativeInt, NonNegativeInt, NonNegativeInt]
    foreground: tuple[int, ...]
    spacing: Spacing | None


def write_packed(
    folder: Path, cases: Iterable[CaseArrays], contents: Callable[[], Contents]
) -> None:
    """Pack cases into ``folder``.

    Args:
        contents: called after the last case.
    """
    entries = []
    with (folder / _IMAGES).open("wb") as images, (folder / _LABELS).open("wb") as labels:
        for case in cases:
            images.write(np.ascontiguousarray(case.images, dtype=np.float32).data)
            labels.write(np.ascontiguousarray(case.labels, dtype=np.uint8).data)
            entry = _Entry(case.name, case.labels.shape, case.foreground, case.spacing)
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
        images = _mapped(folder / _IMAGES, np.float32, pixels * channels)
        labels = _mapped(folder / _LABELS, np.uint8, pixels)
        cases, start = {}, 0
        for entry in entries:
            slices, height, width = entry.shape
            stop = start + prod(entry.shape)
            own = images[start * channels : stop * channels]
            cases[entry.name] = CaseArrays(
                name=entry.name,
                images=own.reshape(slices, channels, height, width),
                labels=labels[start:stop].reshape(entry.shape),
                foreground=entry.foreground,
                spacing=entry.spacing,
            )
            start = stop
        return contents, cases
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None


def _mapped(path: Path, dtype: DTypeLike, length: int) -> NDArray[Any]:
    """A read-only flat view of a whole file; raises ValueError if it has another length."""
    mapped = np.memmap(path, dtype=dtype, mode="r")
    if mapped.shape != (length,):
        raise ValueError(f"{path} holds {mapped.size} numbers, not {length}")
    return mapped.view(np.ndarray)
