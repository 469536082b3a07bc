"""What nnU-Net refuses of a raw dataset: its ``dataset.json`` and the names of its files.

Source: nnU-Net 2.8.1, ``verify_dataset_integrity.py`` and ``utilities/utils.py``.
"""

from __future__ import annotations

import os.path
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sweep.data.nnunet_raw.labels import label_mistakes
from sweep.data.nnunet_raw.raw_dataset import (
    IMAGES_FOLDER,
    RawFiles,
    channel_mistakes,
    count_mistakes,
    ending_mistakes,
    old_format,
    whole_number,
)
from sweep.data.nnunet_raw.splits import enumerated
from sweep.vocabulary.errors import Mistake


def raw_cases(folder: Path, description: Mapping[str, Any]) -> list[str] | None:
    """Sorted identifiers of a raw dataset's cases; None if the description has no file ending."""
    if isinstance(description.get("dataset"), dict):  # it names its files itself
        return sorted(description["dataset"])
    ending = description.get("file_ending")
    if not isinstance(ending, str) or not ending:
        return None
    return sorted(RawFiles.under(folder, ending).images)


def description_mistakes(description: Mapping[str, Any], file: Path) -> Iterator[Mistake]:
    """What nnU-Net refuses of a ``dataset.json``.

    Source: nnU-Net 2.8.1, ``verify_dataset_integrity``, ``LabelManager`` and the readers' endings.
    """
    if (old := old_format(description, file)) is not None:
        yield old
        return
    messages = [
        *channel_mistakes(description),
        *label_mistakes(description, nnunet=True),
        *count_mistakes(description.get("numTraining")),
    ]
    ending = description.get("file_ending")
    has_reader = description.get("overwrite_image_reader_writer", "None") != "None"
    if not (isinstance(ending, str) and has_reader):
        messages += ending_mistakes(ending)
    yield from (Mistake(message, file=str(file)) for message in messages)


def file_mistakes(folder: Path, description: Mapping[str, Any], file: Path) -> Iterator[Mistake]:
    """What nnU-Net refuses of the files of a raw dataset.

    Args:
        folder: the raw dataset.
        description: its ``dataset.json``, read from ``file``.
    """
    if "dataset" in description:
        yield from _listed(folder, description, file)
        return
    ending, names = description.get("file_ending"), description.get("channel_names")
    if not isinstance(ending, str) or not ending:
        return
    files = RawFiles.under(folder, ending)
    channels = len(names) if isinstance(names, dict) and names else None
    if channels is not None and files.images:
        several = channels > 1 and files.single and _holds(files.first, channels)
        channels = 1 if several else files.per_image(channels)
    announced = description.get("numTraining")
    whole = whole_number(announced)
    if isinstance(announced, float) and type(whole) is int:
        yield Mistake(f"`numTraining` must be {whole}, but is {announced}", file=str(file))
    yield from files.mistakes(channels, whole, spare_labels=True)
    hidden = [path.name for path in (folder / IMAGES_FOLDER).glob(f".*{ending}")]
    if hidden:
        yield Mistake(
            f"hidden files, which nnU-Net takes for cases: {enumerated(sorted(hidden))}",
            file=str(folder / IMAGES_FOLDER),
        )


def _holds(image: Path, channels: int) -> bool:
    """Whether a file has this number of channels in a fourth axis, which nnU-Net reads too."""
    import SimpleITK

    reader = SimpleITK.ImageFileReader()
    reader.SetFileName(str(image))
    try:
        reader.ReadImageInformation()
    except RuntimeError:  # reported when it is read
        return False
    return bool(reader.GetDimension() == 4 and reader.GetSize()[3] == channels)


def _listed(folder: Path, description: Mapping[str, Any], file: Path) -> Iterator[Mistake]:
    """Mistakes in ``dataset`` of a description, which names the files of each case."""
    cases, announced = description["dataset"], whole_number(description.get("numTraining"))
    if not isinstance(cases, dict) or not cases:
        yield Mistake(
            "`dataset` must be an object that names the files of each case, such as"
            ' {"CASE": {"images": ["a.nii.gz"], "label": "b.nii.gz"}}',
            file=str(file),
        )
        return
    wrong, missing = [], []
    for case, named in cases.items():
        known = named if isinstance(named, dict) else {}
        images, label = known.get("images"), known.get("label")
        if not isinstance(images, list) or not all(isinstance(x, str) for x in [*images, label]):
            wrong.append(case)
            continue
        paths = (folder / os.path.expandvars(name) for name in [*images, label])
        missing += [str(path) for path in paths if not path.is_file()]
    if wrong:
        message = "`dataset` must give each case `images`, a list, and a `label`, but does not for"
        yield Mistake(f"{message} {enumerated(wrong)}", file=str(file))
    if missing:
        message = f"`dataset` names files that are not there: {enumerated(missing)}"
        yield Mistake(message, file=str(file))
    if type(announced) is int and announced != len(cases):
        message = f"`numTraining` is {announced}, but `dataset` names {len(cases)} cases"
        yield Mistake(message, file=str(file))
