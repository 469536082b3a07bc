"""What is wrong with a data source, told before a pixel is read or drawn.

Neither torch nor monai is imported here, so that a mistake is told in a moment.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from sweep.data.bias_field import NO_SIMPLEITK, has_simpleitk
from sweep.data.brain import NO_NILEARN, has_nilearn, slabs
from sweep.data.raw import RawDataset, open_raw
from sweep.data.splits import Split, read_splits
from sweep.errors import InputError, Mistake
from sweep.spec.settings import BrainData, CommonData, DataSettings, NnunetRawData, ShapesData


def check_data(settings: DataSettings) -> list[Mistake]:
    """Everything that can be told without reading pixels; empty where nothing is wrong.

    A mistake of the settings has a key and no file, one of the dataset names its file.
    """
    return [*_package_mistakes(settings), *_source_mistakes(settings)]


def geometric_label(
    labels: Mapping[str, int], wanted: str | int | None, *, key: str = "data.geometric_class"
) -> int:
    """The integer of the class that the geometric losses act on.

    Args:
        labels: name → integer, of the dataset.
        wanted: name or integer; None for the first class after the background.
        key: the setting that wants it.

    Raises:
        InputError: where the dataset has no such class, with the near miss.
    """
    if wanted is None:
        return 1
    classes = {name: value for name, value in labels.items() if value > 0}
    if wanted in classes.values():
        return int(wanted)
    if wanted in classes:
        return classes[str(wanted)]
    if wanted in (0, *labels):
        message = f"{wanted!r} is the background"
    else:
        message = f"{wanted!r} is not a class of the dataset"
        if near := difflib.get_close_matches(str(wanted), classes, n=1):
            message += f"; did you mean {near[0]!r}?"
    known = ", ".join(f"{name} ({value})" for name, value in classes.items())
    raise InputError.single(f"{message} (its classes: {known})", key=key)


def _package_mistakes(settings: CommonData) -> Iterator[Mistake]:
    if settings.n4 and not has_simpleitk():
        yield Mistake(NO_SIMPLEITK, key="data.n4")


def _source_mistakes(settings: DataSettings) -> Iterator[Mistake]:
    match settings:
        case ShapesData():
            return _fold_mistakes(settings, settings.count, None)
        case BrainData():
            return _brain_mistakes(settings)
        case NnunetRawData():
            return _raw_mistakes(settings)


def _brain_mistakes(settings: BrainData) -> Iterator[Mistake]:
    if not has_nilearn():
        yield Mistake(NO_NILEARN, key="data.source")
    training, _ = slabs(settings)
    if not training:
        yield Mistake(
            f"{settings.validation_slices} validation slices with a gap of {settings.gap} on each "
            "side leave no slice of the brain to train on",
            key="data.validation_slices",
        )
    if settings.fold != 0:
        yield Mistake(f"the brain has one fixed split: 0, not {settings.fold}", key="data.fold")


def _raw_mistakes(settings: NnunetRawData) -> Iterator[Mistake]:
    try:
        dataset = open_raw(settings.folder)
    except InputError as error:
        yield from error.mistakes
        return
    try:
        splits = read_splits(Path(settings.folder), dataset.cases)
        yield from _fold_mistakes(settings, len(dataset.cases), splits)
    except InputError as error:
        yield from error.mistakes
    yield from _class_mistakes(dataset, settings)


def _class_mistakes(dataset: RawDataset, settings: NnunetRawData) -> Sequence[Mistake]:
    try:
        geometric_label(dataset.labels, settings.geometric_class)
    except InputError as error:
        return error.mistakes
    return ()


def _fold_mistakes(
    settings: CommonData, cases: int, splits: Sequence[Split] | None
) -> Iterator[Mistake]:
    if splits is not None:
        if settings.fold >= len(splits):
            message = f"there is no fold {settings.fold}: splits_final.json has {len(splits)}"
            yield Mistake(f"{message}, counted from 0", key="data.fold")
    elif cases < settings.folds:
        message = f"{cases} cases cannot be dealt to {settings.folds} folds"
        yield Mistake(message, key="data.folds")
