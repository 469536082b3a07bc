"""Find the images to predict: a folder with nnU-Net's names, or a single file."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from sweep.data.files.image_file import READ_ALIKE, absent_reader
from sweep.data.nnunet_raw.raw_dataset import RawDataset, RawFiles
from sweep.data.nnunet_raw.regions import Labelled
from sweep.machine.user_paths import whole_path
from sweep.vocabulary.errors import InputError, Mistake


def open_images(
    source: Path,
    *,
    channels: Sequence[str],
    labelled: Labelled,
    file_ending: str,
    labels_in: Path | None = None,
) -> RawDataset:
    """The images of a folder, or that of a file, as a dataset; no pixel is read.

    Images are named as in nnU-Net's ``imagesTs``: ``CASE_0000.nii.gz`` for the first channel. If
    all channels lie in one file and no name has a channel number, the names are the cases.

    Args:
        source: the folder, or any file of a case.
        channels: names of the channels that the network reads.
        labelled: the classes of the network.
        file_ending: of the images that the network was trained on.
        labels_in: folder of the references, ``CASE.nii.gz``; None: there are none.

    Raises:
        InputError: with every mistake in the names of the files.
    """
    source = whole_path(source)
    if not source.exists():
        raise InputError.single("does not exist", file=str(source))
    if source.is_file() and source.name.startswith("."):
        raise InputError.single("is hidden by the dot that its name begins with", file=str(source))
    folder = source.parent if source.is_file() else source
    ending = _ending(source, file_ending)
    references = "" if labels_in is None else str(whole_path(labels_in))
    files = RawFiles.under(folder.parent, ending, folder.name, references or None)
    if source.is_file():
        files = _only(files, source.name)
    per_image = files.per_image(len(channels))
    is_numbered = per_image > 1 or bool(files.images)
    if not is_numbered:
        cases = {name.removesuffix(ending): {0} for name in files.unnumbered}
        files = replace(files, images=cases, unnumbered=[])
    mistakes = list(files.mistakes(per_image, None, spare_labels=True))
    if (absent := absent_reader(ending)) is not None:
        mistakes.append(Mistake(absent, file=str(source)))
    if mistakes:
        raise InputError(mistakes)
    return RawDataset(
        folder=folder.parent,
        channel_names=tuple(channels),
        file_ending=ending,
        cases=tuple(sorted(files.images)),
        files_per_image=per_image,
        images_folder=folder.name,
        labels_folder=references,
        is_numbered=is_numbered,
        classes=labelled.classes,
        ignore=labelled.ignore,
        regions=labelled.regions,
    )


def _only(files: RawFiles, name: str) -> RawFiles:
    """The files of the case that this file belongs to."""
    stem = name.removesuffix(files.ending)
    if match := re.fullmatch(r"(.+)_\d{4}", stem, re.DOTALL):
        images = {match[1]: files.images[match[1]]}
        return replace(files, images=images, unnumbered=[], dead=[])
    return replace(files, images={}, unnumbered=[name], dead=[])


def _ending(source: Path, wanted: str) -> str:
    """The ending of the images: that of the training images, or one that is read alike.

    Raises:
        InputError: the file has another one, or the folder has files of two endings.
    """
    endings = next((alike for alike in READ_ALIKE if wanted in alike), (wanted,))
    if source.is_file():
        for ending in endings:
            if source.name.endswith(ending):
                return ending
        raise InputError.single(
            f"must end in {' or '.join(endings)}, as the images that the network was trained on",
            file=str(source),
        )
    names = [path.name for path in source.iterdir() if not path.name.startswith(".")]
    found = [ending for ending in endings if any(name.endswith(ending) for name in names)]
    if len(found) > 1:
        raise InputError.single(
            f"holds files that end in {' and in '.join(found)}: convert them to one ending",
            file=str(source),
        )
    return found[0] if found else wanted
