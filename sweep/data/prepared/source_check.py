"""What is wrong with a data source, told before a pixel is read or drawn.

Neither torch nor monai is imported here, so that a mistake is told in a moment.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from sweep.data.files.bias_field import NO_SIMPLEITK, has_simpleitk
from sweep.data.nnunet_raw.dealt_cases import deal, doubts
from sweep.data.nnunet_raw.raw_dataset import RawDataset, open_raw, open_test
from sweep.data.nnunet_raw.splits import Split, held, hold_out, read_splits
from sweep.data.sources.brain import NO_NILEARN, has_nilearn, held_out_slab, slabs
from sweep.spec.settings.trial_settings import (
    TEST_FOLDER,
    BrainData,
    CommonData,
    DataSettings,
    NnunetRawData,
    ShapesData,
)
from sweep.vocabulary.errors import InputError, Mistake


def check_data(settings: DataSettings) -> list[Mistake]:
    """Everything that can be told without reading pixels; empty where nothing is wrong.

    A mistake of the settings has a key and no file, one of the dataset names its file.
    """
    return [*_package_mistakes(settings), *_source_mistakes(settings)]


def data_doubts(settings: DataSettings) -> list[Mistake]:
    """What names alone show that is allowed but hardly meant, of data without a mistake."""
    if not isinstance(settings, NnunetRawData):
        return []  # pictures that we draw ourselves
    dataset = open_raw(settings.folder)
    splits = read_splits(Path(settings.folder), dataset.cases)
    test = open_test(dataset).cases if settings.test == TEST_FOLDER else ()
    dealt = deal(settings, dataset.cases, splits, test)
    return list(doubts(dealt, dataset.cases, splits, settings.fold))


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
    if settings.test and not held_out_slab(settings):
        yield Mistake(f"{settings.test:g} leaves no slice of the brain", key="data.test")
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
        if settings.test == TEST_FOLDER:
            open_test(dataset)
    except InputError as error:
        yield from error.mistakes
        return
    try:
        splits = read_splits(Path(settings.folder), dataset.cases)
        yield from _fold_mistakes(settings, len(dataset.cases), splits)
        yield from _test_mistakes(settings, dataset.cases, splits)
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
        return
    test = held(range(cases), settings.test) if isinstance(settings.test, float) else 0
    if cases < settings.folds:
        message = f"{cases} cases cannot be dealt to {settings.folds} folds"
        yield Mistake(message, key="data.folds")
    elif cases - test < settings.folds:
        message = f"{test} of {cases} cases for the test leave too few for {settings.folds} folds"
        yield Mistake(message, key="data.test")


def _test_mistakes(
    settings: CommonData, cases: Sequence[str], splits: Sequence[Split] | None
) -> Iterator[Mistake]:
    """A split of the dataset's own of which the test takes all training or validation cases."""
    if splits is None or not isinstance(settings.test, float) or settings.fold >= len(splits):
        return
    _, test = hold_out(cases, settings.test)
    for side, names in zip(("training", "validation"), splits[settings.fold], strict=True):
        if not set(names) - set(test):
            message = f"{settings.test:g} takes every {side} case of split {settings.fold}"
            yield Mistake(message, key="data.test")
