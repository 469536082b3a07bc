"""What the headers of a raw dataset say: how large its images are, and what stands in them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sweep.data.nnunet_raw.header_survey import SAME, header_doubts, survey
from sweep.data.nnunet_raw.raw_dataset import TEST_LABELS_FOLDER, RawDataset, open_raw, open_test
from sweep.data.nnunet_raw.splits import Split, read_splits
from sweep.data.prepared.case_arrays import array_spacing
from sweep.machine.user_paths import argument
from sweep.nnunet.dataset.nnunet_datasets import NAME, need_dataset
from sweep.nnunet.dataset.nnunet_folders import Folders
from sweep.spec.settings.data_settings import TEST_FOLDER
from sweep.spec.settings.trainer_settings import NnunetTrainer
from sweep.vocabulary.errors import InputError


@dataclass(frozen=True, slots=True)
class DatasetSizes:
    """A raw dataset and the sizes of its images.

    Args:
        dataset: its names, labels and channels.
        splits: its own folds; None if it has none.
        has_test: whether it has test images with labels.
        words: sizes and spacings in words: ``18×76×78, 1.5×1.5×4 mm``.
        doubts: sentences on the headers, such as on spacings that none says.
        shapes: voxels of each case along [slices, rows, columns], ``[N, 3]``; an image has 1 slice.
        spacings: mm likewise, ``[N, 3]``; NaN where a header has none, and along a single slice.
    """

    dataset: RawDataset
    splits: tuple[Split, ...] | None
    has_test: bool
    words: str
    doubts: Sequence[str]
    shapes: NDArray[np.int64]
    spacings: NDArray[np.float64]

    @property
    def all_volumes(self) -> bool:
        return bool((self.shapes[:, 0] > 1).all())

    @property
    def some_volumes(self) -> bool:
        return bool((self.shapes[:, 0] > 1).any())

    def spacing_differs(self, axes: int) -> bool:
        """Whether the spacing along the last ``axes`` differs between cases."""
        own = self.spacings[:, -axes:]
        if not np.isfinite(own).all():
            return False
        usual = np.median(own, axis=0)
        return bool((np.abs(own - usual) > SAME * usual).any())


def dataset_folder(given: str) -> Path:
    """The folder of a dataset, given by its path, or by its name or number in $nnUNet_raw.

    Raises:
        InputError: there is none of this name or number.
    """
    folder = argument(given, "--from")
    if folder.is_dir() or not (given.isdecimal() or NAME.fullmatch(given)):
        return folder.absolute()
    if Folders.here().raw is None:
        message = f"there is no folder {given} here, and nnUNet_raw, which may have one, is not set"
        raise InputError.single(message, key="--from")
    name = int(given) if given.isdecimal() else given
    try:
        return need_dataset(NnunetTrainer(kind="nnunet", dataset=name), "raw").absolute()
    except InputError as error:
        raise InputError.single(error.mistakes[0].message, key="--from") from None


def named_after(sizes: DatasetSizes) -> Path:
    """The file of a sweep of a dataset; its name without extension can be the sweep's."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", sizes.dataset.folder.name).strip("-.")
    return Path(f"{name or 'space'}.yaml")


def dataset_sizes(folder: Path) -> DatasetSizes:
    """Read names and headers of a raw dataset. No pixel is read.

    Raises:
        InputError: with every mistake of the dataset.
    """
    try:
        dataset = open_raw(folder)
    except InputError as error:
        raise InputError(
            [replace(one, key="--from" if one.key else "") for one in error.mistakes]
        ) from None
    found = survey([dataset], "auto", volumes=False)
    if found.mistakes:
        raise InputError(found.mistakes)
    shapes = np.ones((len(found.grids), 3), dtype=np.int64)
    spacings = np.full((len(found.grids), 3), np.nan)
    for row, grid in enumerate(found.grids.values()):
        shape = [grid.geometry.shape[axis] for axis in grid.axes]
        if len(shape) == 3:
            shape.insert(0, shape.pop(found.slice_axis))
        shapes[row, -len(shape) :] = shape
        if (spacing := array_spacing(grid, found.slice_axis)) is not None:
            spacings[row, -len(spacing) :] = spacing
    return DatasetSizes(
        dataset, read_splits(folder, dataset.cases), _has_test(dataset), found.sizes,
        header_doubts(found.grids), shapes, spacings,
    )  # fmt: skip


def _has_test(dataset: RawDataset) -> bool:
    """Whether the test images are complete and labelled. Most datasets have no such labels."""
    if not (dataset.folder / TEST_FOLDER).is_dir():
        return False
    if not (dataset.folder / TEST_LABELS_FOLDER).is_dir():
        return False
    with suppress(InputError):
        return bool(open_test(dataset).cases)
    return False
