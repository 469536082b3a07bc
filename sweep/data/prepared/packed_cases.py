"""Normalised cases in two flat files that all processes of a machine map into memory.

    images.f32   all images, one after the other, each [S, C, H, W]
    labels.u8    their labels, each [S, H, W]
    index.json   names, classes, split, and the shape of each case

The files are written case by case, because their total size is known only at the end.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from sweep.data.nnunet_raw.splits import Split
from sweep.data.prepared.samples import CaseArrays

FORMAT = 4
"""Increase it whenever the same settings would give different files."""

_IMAGES, _LABELS, _INDEX = "images.f32", "labels.u8", "index.json"


@dataclass(frozen=True, slots=True)
class Packed:
    """An open packed folder.

    Args:
        channels: names of the image channels.
        classes: names of the classes, by label value.
        splits: the dataset's own splits, or None where it brings none.
        cases: cases by identifier, in sorted order.
        settings: the recorded settings with which the folder was built.
        test: the dataset's own test cases, which are in no split.
        warnings: warnings from reading the cases.
        sizes: image sizes, in words.
    """

    channels: tuple[str, ...]
    classes: tuple[str, ...]
    splits: tuple[Split, ...] | None
    cases: dict[str, CaseArrays]
    settings: Mapping[str, Any]
    test: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    sizes: str = ""


def write_packed(
    folder: Path,
    cases: Iterable[tuple[str, NDArray[np.float32], NDArray[np.uint8]]],
    *,
    channels: Sequence[str],
    classes: Sequence[str],
    splits: Sequence[Split] | None,
    settings: Mapping[str, Any],
    test: Sequence[str] = (),
    warnings: Callable[[], Sequence[str]] = tuple,
    sizes: str = "",
) -> None:
    """Pack cases ``(name, image [S, C, H, W], label [S, H, W])`` into ``folder``.

    Args:
        warnings: called after the last case.
    """
    entries = []
    with (folder / _IMAGES).open("wb") as images, (folder / _LABELS).open("wb") as labels:
        for name, image, label in cases:
            images.write(np.ascontiguousarray(image, dtype=np.float32).data)
            labels.write(np.ascontiguousarray(label, dtype=np.uint8).data)
            foreground = [value for value in np.unique(label).tolist() if value > 0]
            entries.append({"name": name, "shape": label.shape, "foreground": foreground})
    index = {
        "format": FORMAT,
        "channels": list(channels),
        "classes": list(classes),
        "splits": splits,
        "settings": dict(settings),
        "test": list(test),
        "warnings": list(warnings()),
        "sizes": sizes,
        "cases": entries,
    }
    (folder / _INDEX).write_text(json.dumps(index), encoding="utf-8")


def open_packed(folder: Path) -> Packed | None:
    """Map a packed folder into memory; None if it is missing or damaged."""
    try:
        index = json.loads((folder / _INDEX).read_text(encoding="utf-8"))
        if index["format"] != FORMAT:
            return None
        channels = tuple(index["channels"])
        pixels = sum(prod(_shape(entry)) for entry in index["cases"])
        images = _mapped(folder / _IMAGES, np.float32, pixels * len(channels))
        labels = _mapped(folder / _LABELS, np.uint8, pixels)
        cases, start = {}, 0
        for entry in index["cases"]:
            slices, height, width = _shape(entry)
            stop = start + slices * height * width
            cases[entry["name"]] = CaseArrays(
                name=entry["name"],
                images=images[start * len(channels) : stop * len(channels)].reshape(
                    slices, len(channels), height, width
                ),
                labels=labels[start:stop].reshape(slices, height, width),
                foreground=tuple(entry["foreground"]),
            )
            start = stop
        splits = index["splits"]
        return Packed(
            channels=channels,
            classes=tuple(index["classes"]),
            splits=splits and tuple((tuple(train), tuple(val)) for train, val in splits),
            cases=cases,
            settings=dict(index["settings"]),
            test=tuple(index.get("test", ())),
            warnings=tuple(map(str, index["warnings"])),
            sizes=str(index.get("sizes", "")),
        )
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None


def _shape(entry: Mapping[str, Any]) -> tuple[int, int, int]:
    """``[S, H, W]`` of a case; raises ValueError for anything else."""
    slices, height, width = entry["shape"]
    if not all(type(side) is int and side >= 0 for side in (slices, height, width)):
        raise ValueError(f"not the shape of a case: {entry['shape']}")
    return slices, height, width


def _mapped(path: Path, dtype: DTypeLike, length: int) -> NDArray[Any]:
    """A read-only flat view of a whole file; raises ValueError if it has another length."""
    mapped = np.memmap(path, dtype=dtype, mode="r")
    if mapped.shape != (length,):
        raise ValueError(f"{path} holds {mapped.size} numbers, not {length}")
    return mapped.view(np.ndarray)
