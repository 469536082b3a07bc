"""The users' Dataset501 and Dataset502 as nnU-Net raw datasets, made of the shapes sets.

    nnUNet_raw/Dataset502_Shapes_One/
      dataset.json
      imagesTr, labelsTr   images 0 … count − 1 of the set
      imagesTs, labelsTs   the images after them, which no fold ever trains on

A dataset is there as a whole or not at all: it is written beside its place and then moved there.
Source of the layout: nnU-Net 2.8.1, ``documentation/dataset_format.md``.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from sweep.data.sources.shape_images import write_shapes
from sweep.spec.settings.data_settings import ShapesData
from sweep.store.files import writing
from sweep.vocabulary.errors import InputError

Kind = Literal["one_circle", "several_circles"]
KINDS: Mapping[int, tuple[str, Kind]] = {
    501: ("Dataset501_Shapes_Several", "several_circles"),
    502: ("Dataset502_Shapes_One", "one_circle"),
}
"""Number of the dataset → its folder's name and what its images hold."""


def write_shapes_dataset(raw: Path, number: int, settings: ShapesData, *, test: int) -> Path:
    """Write a dataset below nnU-Net's raw folder; the same settings give the same bytes.

    Args:
        raw: the folder that ``nnUNet_raw`` names; made where it is missing.
        number: 501 or 502; ``settings.kind`` is what that number says.
        settings: difficulty, size, seed, and ``count`` images to train and validate on.
        test: so many images more in ``imagesTs``.
    Returns:
        The dataset's folder.
    Raises:
        InputError: there is a dataset of that number already, or no such number.
        SweepFailed: the folder cannot be written.
    """
    if number not in KINDS:
        known = " and ".join(f"{n} ({name})" for n, (name, _) in KINDS.items())
        raise InputError.single(f"must be one of {known}, but is {number}", key="DATASET")
    name, kind = KINDS[number]
    for other in sorted(raw.glob(f"Dataset{number}_*")):
        raise InputError.single(
            f"there is a dataset {number} already; remove it, or write to another folder",
            file=str(other),
        )
    settings = settings.model_copy(update={"kind": kind})
    with writing(raw):
        raw.mkdir(parents=True, exist_ok=True)
        # A name that nnU-Net does not take for a dataset.
        unfinished = Path(tempfile.mkdtemp(prefix=f".{name}.", dir=raw))
        try:
            dataset = unfinished / name
            write_shapes(dataset, settings, name=name, test=test)
            dataset.rename(raw / name)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    return raw / name
