"""From a data source to training and validation samples, read and normalised once a machine.

source → raw folder → reader → bias field correction → normalisation → packed arrays in the cache
→ samples
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sweep.data.bias_field import correct_bias_field, simpleitk_version
from sweep.data.brain import write_brain
from sweep.data.cache import cached, default_cache
from sweep.data.check import check_data, geometric_label
from sweep.data.normalize import normalize
from sweep.data.packed import FORMAT, Packed, open_packed, write_packed
from sweep.data.pixels import load_case
from sweep.data.raw import (
    DESCRIPTION_FILE,
    IMAGES_FOLDER,
    LABELS_FOLDER,
    TEST_LABELS_FOLDER,
    RawDataset,
    open_raw,
    open_test,
)
from sweep.data.samples import CaseArrays, PreparedData, Samples
from sweep.data.shapes import write_shapes
from sweep.data.splits import SPLITS_FILE, hold_out, read_splits, split
from sweep.errors import InputError, Mistake
from sweep.spec.settings import TEST_FOLDER, BrainData, DataSettings, NnunetRawData, ShapesData

# All that the other packages need of this one.
NOT_CONTENT = {"fold", "folds", "patch_size", "geometric_class"}
"""Settings that choose among the packed cases, or are the trainer's, and never change a pixel."""

_MOST_MISTAKES = 20  # after so many unreadable cases the rest is not looked at


def prepare(settings: DataSettings, cache: Path | None = None) -> PreparedData:
    """Samples of a data source, mapped from the cache; the first call of a machine fills it.

    Args:
        settings: the trial's ``data``.
        cache: folder to keep packed data in; None for `default_cache`.

    Raises:
        InputError: with every mistake in the settings or, failing that, in the dataset's files.
        SweepFailed: where the cache cannot be written.
    """
    if mistakes := check_data(settings):
        raise InputError(mistakes)
    entry = (cache or default_cache()) / f"{settings.source}-{_digest(settings)}"
    packed = cached(entry, open_packed, lambda folder: _build(settings, folder))
    share = settings.test if _is_share(settings) and isinstance(settings.test, float) else 0.0
    rest, test = hold_out([name for name in packed.cases if name not in packed.test], share)
    if packed.splits is None:
        folds = settings.folds
        training, validation = split(rest, folds, settings.fold)
    else:
        folds = len(packed.splits)
        training, validation = (
            tuple(name for name in side if name not in test)
            for side in packed.splits[settings.fold]
        )
    test = packed.test or test
    labels = {name: value for value, name in enumerate(packed.classes)}
    wanted = settings.geometric_class if isinstance(settings, NnunetRawData) else None
    return PreparedData(
        channels=packed.channels,
        classes=packed.classes,
        geometric_class=geometric_label(labels, wanted),
        training=_samples(packed, training, "training"),
        validation=_samples(packed, validation, "validation"),
        test=_samples(packed, test, "test") if test else Samples(()),
        origin={
            **packed.settings,
            "folds": folds,
            "dealt": packed.splits is None,
            "fold": settings.fold,
            "test": settings.test,
            "geometric_class": wanted,
        },
    )


def _samples(packed: Packed, names: tuple[str, ...], side: str) -> Samples:
    cases: list[CaseArrays] = [packed.cases[name] for name in names]
    if not any(case.foreground for case in cases):
        raise InputError.single(
            f"none of the {len(cases)} {side} cases has a pixel of "
            f"{' or '.join(packed.classes[1:])}; choose another fold or look at the labels",
            key="data.fold",
        )
    return Samples(cases)


def _build(settings: DataSettings, folder: Path) -> None:
    """Fill a cache entry; a source that is generated leaves its raw dataset there to be seen."""
    raw, slice_axis = folder / "raw", 2
    match settings:
        case ShapesData():
            write_shapes(raw, settings)
        case BrainData():
            write_brain(raw, settings)
        case NnunetRawData():
            raw, slice_axis = Path(settings.folder), settings.slice_axis
    dataset = open_raw(raw)
    held_out = [open_test(dataset)] if settings.test and not _is_share(settings) else []
    every = (_normalised_cases(part, settings, slice_axis) for part in [dataset, *held_out])
    write_packed(
        folder,
        chain.from_iterable(every),
        test=[case for part in held_out for case in part.cases],
        channels=dataset.channel_names,
        classes=dataset.classes,
        splits=read_splits(raw, dataset.cases),
        settings=_content(settings),
    )


def _normalised_cases(
    dataset: RawDataset, settings: DataSettings, slice_axis: int
) -> Iterator[tuple[str, NDArray[np.float32], NDArray[np.uint8]]]:
    """Cases as ``(name, image [S, C, H, W], label [S, H, W])``; mistakes are told at the end."""
    mistakes: list[Mistake] = []
    for case in dataset.cases:
        try:
            image, label = load_case(dataset, case)
            if settings.n4:
                image = correct_bias_field(image)
            image = normalize(image, settings.normalization)
        except InputError as error:
            mistakes.extend(error.mistakes)
            if len(mistakes) >= _MOST_MISTAKES:
                break
            continue
        if label.ndim == 2:
            image, label = image[:, None], label[None]  # [C, 1, H, W], [1, H, W]
        else:
            image = np.moveaxis(image, slice_axis + 1, 1)  # [C, S, H, W]
            label = np.moveaxis(label, slice_axis, 0)  # [S, H, W]
        yield case, image.swapaxes(0, 1), label
    if mistakes:
        raise InputError(mistakes)


def _is_share(settings: DataSettings) -> bool:
    """Whether the test is some of the cases that are there anyway, as the folds are."""
    return settings.test != TEST_FOLDER and not isinstance(settings, BrainData)


def _content(settings: DataSettings) -> dict[str, Any]:
    """The settings that the packed pixels depend on; of a folder the one that it really is."""
    chosen = {"test"} if _is_share(settings) or not settings.test else set()
    content = settings.model_dump(mode="json", exclude=NOT_CONTENT | chosen)
    if isinstance(settings, NnunetRawData):
        content["folder"] = str(Path(settings.folder).resolve())
    return content


def _digest(settings: DataSettings) -> str:
    """Name of all that the packed pixels depend on."""
    content = _content(settings) | {"format": FORMAT}
    if isinstance(settings, NnunetRawData):
        content["files"] = _fingerprint(Path(settings.folder), test=settings.test == TEST_FOLDER)
    if settings.n4:
        content["simpleitk"] = simpleitk_version()
    if isinstance(settings, BrainData):
        content["nilearn"] = importlib.metadata.version("nilearn")
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:20]


def _fingerprint(folder: Path, *, test: bool) -> list[tuple[str, int, int]]:
    """Name, size and time of change of every file of a raw dataset."""
    files = [folder / DESCRIPTION_FILE, folder / SPLITS_FILE]
    names = [IMAGES_FOLDER, LABELS_FOLDER, *([TEST_FOLDER, TEST_LABELS_FOLDER] if test else [])]
    files += [file for name in names for file in (folder / name).iterdir()]
    return [
        (str(file.relative_to(folder)), file.stat().st_size, file.stat().st_mtime_ns)
        for file in sorted(files)
        if file.exists()
    ]
