"""Settings of a data source that act on nothing, as a look at its files shows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from sweep.data.files.image_file import read_header
from sweep.data.files.image_geometry import squeezed
from sweep.data.nnunet_raw.raw_dataset import RawDataset, open_raw, open_test
from sweep.data.nnunet_raw.splits import SPLITS_FILE, read_splits
from sweep.spec.checks.inactive_settings import Rule
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.spec.settings.trial_settings import TEST_FOLDER, NnunetRawData, TrialSettings
from sweep.spec.words.phrases import counted
from sweep.vocabulary.errors import InputError


def idle_by_files(settings: TrialSettings) -> Iterator[Rule]:
    """What a dataset's files leave without effect, as rules beside those of the settings.

    There are none of a dataset that is wrong, which is told elsewhere, nor where it is searched.
    """
    data = settings.data
    searched = settings.space.keys() if isinstance(settings, SweepSpec) else ()
    if not isinstance(data, NnunetRawData) or "data.folder" in searched:
        return
    try:
        dataset = open_raw(data.folder)
        splits = read_splits(Path(data.folder), dataset.cases)
        # Whoever wrote as many folds as the file has asked for what there is.
        if splits is not None and (data.folds != len(splits) or "data.folds" in searched):
            has = counted(len(splits), "split")
            yield Rule(("data.folds",), {}, f"{SPLITS_FILE} counts instead, which has {has}")
        # Headers are read only where an axis is asked for.
        if data.slice_axis != "auto" or "data.slice_axis" in searched:
            parts = [dataset, open_test(dataset)] if data.test == TEST_FOLDER else [dataset]
            if not any(map(_has_a_volume, parts)):
                yield Rule(("data.slice_axis",), {}, "every case is an image, and none a volume")
    except InputError:
        return


def _has_a_volume(dataset: RawDataset) -> bool:
    """Whether any case has three axes; one is enough, so most datasets are told by their first.

    Raises:
        InputError: a file on the way there cannot be read.
    """
    first_files = (dataset.image_paths(case)[0] for case in dataset.cases)
    return dataset.file_ending != ".png" and any(
        len(squeezed(read_header(file)[0].shape)) > 2 for file in first_files
    )
