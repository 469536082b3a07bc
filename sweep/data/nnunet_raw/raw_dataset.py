"""nnU-Net's raw dataset layout: its files, and everything that can be wrong with them.

    folder/
      dataset.json            channel_names, labels, numTraining, file_ending
      imagesTr/CASE_0000.png  one file per channel: _0000, _0001, …
      labelsTr/CASE.png       integers, as named by ``labels``
      splits_final.json       optional: the split to use instead of k-fold
      imagesTs, labelsTs      optional: cases to test on, as imagesTr and labelsTr

Only names are checked here; `sweep.data.nnunet_raw.pixels` reads and writes the files themselves.
Source: nnU-Net 2.8.1, ``documentation/dataset_format.md``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, replace
from pathlib import Path
from shlex import quote
from typing import Any, TypeGuard
from unicodedata import normalize

from sweep.data.files.image_file import FILE_ENDINGS, absent_reader
from sweep.data.files.json_file import read_object, repeated_keys
from sweep.data.nnunet_raw.labels import (
    BACKGROUND,
    IGNORE,
    ignored_label,
    label_mistakes,
    named_labels,
    regions_of,
)
from sweep.data.nnunet_raw.regions import Labelled
from sweep.data.nnunet_raw.splits import enumerated
from sweep.spec.settings.data_settings import TEST_FOLDER
from sweep.spec.words.phrases import did_you_mean
from sweep.vocabulary.errors import InputError, Mistake

DESCRIPTION_FILE = "dataset.json"
IMAGES_FOLDER = "imagesTr"
LABELS_FOLDER = "labelsTr"
TEST_LABELS_FOLDER = "labelsTs"
EXAMPLE = (
    '{"channel_names": {"0": "T1"}, "labels": {"background": 0, "lesion": 1}, "numTraining": 20,'
    f' "file_ending": ".png"}} beside {IMAGES_FOLDER}/CASE_0000.png and {LABELS_FOLDER}/CASE.png'
)
"""A whole ``dataset.json``, and the files that belong to it."""
_DETACHED = {".mhd": ".mha", ".nhdr": ".nrrd", ".hdr": ".nii.gz", ".img": ".nii.gz"}
"""Endings of headers with their pixels in another file → what holds both."""
_COLOUR_ENDINGS = (".png", ".bmp", ".tif")
"""Numbers of channels that one picture can hold, as in nnU-Net's reader."""


@dataclass(frozen=True, slots=True)
class RawDataset(Labelled):
    """A complete dataset in nnU-Net's raw layout.

    Args:
        folder: folder of ``dataset.json``.
        channel_names: one name per image channel.
        file_ending: one of `FILE_ENDINGS`, also in capital letters.
        cases: sorted identifiers.
        files_per_image: number of channels; 1 if one picture holds them all (RGB, RGBA).
        images_folder, labels_folder: names of the two folders with the cases.
        is_numbered: whether the names of images end in the number of their channel.
    """

    folder: Path
    channel_names: tuple[str, ...]
    file_ending: str
    cases: tuple[str, ...]
    files_per_image: int
    images_folder: str = IMAGES_FOLDER
    labels_folder: str = LABELS_FOLDER
    is_numbered: bool = True

    @property
    def all_labels(self) -> Mapping[int, str]:
        """What a label file may hold: integer → its class or regions; also the ignore label."""
        if self.regions is None:
            found = dict(enumerate(self.classes))
        else:
            found = {0: BACKGROUND}
            for label in self.regions.all_labels:
                pairs = zip(self.classes[1:], self.regions.labels, strict=True)
                found[label] = " and ".join(name for name, own in pairs if label in own)
        return found if self.ignore is None else {**found, self.ignore: IGNORE}

    def image_paths(self, case: str) -> tuple[Path, ...]:
        """The image files of a case, in order of channels."""
        folder = self.folder / self.images_folder
        if not self.is_numbered:
            return (folder / f"{case}{self.file_ending}",)
        return tuple(
            folder / f"{case}_{channel:04d}{self.file_ending}"
            for channel in range(self.files_per_image)
        )

    def label_path(self, case: str) -> Path:
        """The label file of a case."""
        return self.folder / self.labels_folder / f"{case}{self.file_ending}"

    def below(self, path: Path) -> str:
        """A path as seen from the dataset's folder, which may move."""
        return str(path.relative_to(self.folder) if path.is_relative_to(self.folder) else path)


def open_raw(folder: Path | str) -> RawDataset:
    """Check a raw dataset's description and file names. No pixel is read.

    Raises:
        InputError: with all mistakes at once.
    """
    try:
        return _open_raw(Path(folder))
    except OSError as error:
        raise InputError.single(f"cannot be listed: {error}", key="data.folder") from error


def open_test(dataset: RawDataset) -> RawDataset:
    """The cases in ``imagesTs`` and ``labelsTs``. nnU-Net's layout does not require the labels.

    Raises:
        InputError: a folder, a label or a channel is missing, or a case is also a training case.
    """
    files = RawFiles.under(dataset.folder, dataset.file_ending, TEST_FOLDER, TEST_LABELS_FOLDER)
    mistakes = list(files.mistakes(dataset.files_per_image, None))
    if both := sorted(set(dataset.cases) & set(files.images)):
        message = f"has cases that are also in {dataset.images_folder}: {enumerated(both)}"
        mistakes.append(Mistake(message, file=str(dataset.folder / TEST_FOLDER)))
    if mistakes:
        raise InputError(mistakes)
    return replace(
        dataset,
        cases=tuple(sorted(files.images)),
        images_folder=TEST_FOLDER,
        labels_folder=TEST_LABELS_FOLDER,
    )


def _open_raw(folder: Path) -> RawDataset:
    if not folder.is_dir():
        raise InputError.single(
            f"{folder} is not a folder; it must hold {DESCRIPTION_FILE}, {IMAGES_FOLDER} and "
            f"{LABELS_FOLDER}{_dataset_near(folder)}",
            key="data.folder",
        )
    file = folder / DESCRIPTION_FILE
    absent = "is missing; nnU-Net's raw layout describes a dataset there"
    absent += _dataset_near(folder) or (
        f", such as {EXAMPLE}; a script on docs/how-to/first-file.md writes one from images and"
        " masks of other names, formats and classes"
    )
    description = read_object(file, absent)
    if (old := old_format(description, file)) is not None:
        raise InputError([old])
    announced = whole_number(description.get("numTraining"))
    ending, channel_names = description.get("file_ending"), description.get("channel_names")
    messages = [
        *channel_mistakes(description),
        *label_mistakes(description),
        *count_mistakes(announced),
        *ending_mistakes(ending),
    ]
    if "dataset" in description:
        messages.append(
            f"lists its files under `dataset`, which is not read; put them into {IMAGES_FOLDER}"
        )
    mistakes = [*repeated_keys(file), *(Mistake(message, file=str(file)) for message in messages)]
    if not is_ending(ending) or not isinstance(channel_names, dict) or not channel_names:
        raise InputError(mistakes)  # without these two, file names cannot be checked
    if (uninstalled := absent_reader(ending)) is not None:
        mistakes.append(Mistake(uninstalled, file=str(file)))
    files = RawFiles.under(folder, ending)
    files_per_image = files.per_image(len(channel_names))
    mistakes += files.mistakes(files_per_image, announced)
    if mistakes:
        raise InputError(mistakes)
    # By their keys "0", "1", …, or in the order of the file if there are other keys.
    numbered = [str(index) for index in range(len(channel_names))]
    keys = numbered if set(channel_names) == set(numbered) else channel_names
    labels = named_labels(description)
    return RawDataset(
        folder=folder,
        channel_names=tuple(channel_names[key] for key in keys),
        classes=tuple(sorted(labels, key=labels.__getitem__)),
        ignore=ignored_label(description),
        regions=regions_of(description),
        file_ending=ending,
        cases=tuple(sorted(files.images)),
        files_per_image=files_per_image,
    )


def _dataset_near(folder: Path) -> str:
    """Hint at a folder below or above that is a dataset."""
    above, below = (
        [path for path in paths if (path / DESCRIPTION_FILE).is_file()]
        for paths in (
            (folder.parent, folder.parent.parent),
            sorted(folder.iterdir()) if folder.is_dir() else (),
        )
    )
    if len(below) > 1:
        return f"; it holds several datasets, name one: {enumerated([p.name for p in below])}"
    return f"; did you mean {(below or above)[0]}?" if below or above else ""


def old_format(description: Mapping[str, Any], file: Path) -> Mistake | None:
    """A dataset of nnU-Net v1 or of the Medical Segmentation Decathlon, and what converts it.

    Both are described alike, but the images of the second have all channels in a fourth axis.
    """
    if "modality" not in description or "channel_names" in description:
        return None
    folder, instead = file.parent.absolute(), ""
    if RawFiles.under(folder, ".nii.gz").images:
        name = re.sub(r"^Task0*(?=\d{3})", "Dataset", folder.name)
        whose = "nnU-Net v1"
        command = f"convert_old_nnUNet_dataset {quote(str(folder))} {quote(name)}"
    else:
        whose = "the Medical Segmentation Decathlon"
        command = f"convert_MSD_dataset -i {quote(str(folder))}"
        instead = "; the script for volumes on docs/how-to/first-file.md does it without nnU-Net"
    message = (
        f"is one of {whose}; write it as nnU-Net reads it today into the folder $nnUNet_raw, by"
        f" `nnUNetv2_{command}` (extra `nnunet`), and use that folder{instead}"
    )
    return Mistake(message, file=str(file), kind="old format")


def channel_mistakes(description: Mapping[str, Any]) -> Iterator[str]:
    """Mistakes in ``channel_names`` of ``dataset.json``."""
    names = description.get("channel_names")
    if names is None:
        yield '`channel_names` is missing, such as {"0": "T1"}'
    elif not isinstance(names, dict) or not names:
        yield f'`channel_names` must be an object such as {{"0": "T1"}}, not {names!r}'
    elif not all(isinstance(name, str) for name in names.values()):
        yield f"`channel_names` must map to names, not {list(names.values())}"


def whole_number(announced: object) -> object:
    """6 for 6.0, which JSON may contain; anything else unchanged."""
    whole = isinstance(announced, float) and announced.is_integer()
    return int(announced) if whole else announced  # type: ignore[call-overload]


def count_mistakes(announced: object) -> Iterator[str]:
    """Mistakes in ``numTraining`` of ``dataset.json``."""
    count = whole_number(announced)
    if type(count) is not int or count < 1:
        found = "is missing" if count is None else f"is {count!r}"
        yield f"`numTraining` {found}; it must be the number of training cases"


def is_ending(ending: object) -> TypeGuard[str]:
    """Whether it is one of `FILE_ENDINGS`."""
    return isinstance(ending, str) and ending.lower() in FILE_ENDINGS


def ending_mistakes(ending: object) -> Iterator[str]:
    """Mistakes in ``file_ending`` of ``dataset.json``."""
    if is_ending(ending):
        return
    found = "is missing" if ending is None else f"is {ending!r}"
    meant = f".{ending.strip().lstrip('.').lower()}" if isinstance(ending, str) else ""
    hint = did_you_mean(meant) if meant in FILE_ENDINGS else ""
    if meant in _DETACHED:
        to = _DETACHED[meant]
        hint = f"; write header and pixels into one file, as {to}, and set `file_ending` to it"
    yield f"`file_ending` {found}; it must be one of {', '.join(FILE_ENDINGS)}{hint}"


@dataclass(frozen=True, slots=True)
class RawFiles:
    """The files in the two folders: channel numbers of each case, and cases with a label.

    Args:
        images_in, labels_in: the two folders; no labels are expected if the second is None.
        unnumbered: names of images without a channel number.
        dead: broken links; they count as files.
    """

    images_in: Path
    labels_in: Path | None
    ending: str
    images: Mapping[str, set[int]]
    labels: Set[str]
    unnumbered: list[str]
    dead: list[Path]

    @classmethod
    def under(
        cls,
        folder: Path,
        ending: str,
        images_folder: str = IMAGES_FOLDER,
        labels_folder: str | None = LABELS_FOLDER,
    ) -> RawFiles:
        images: dict[str, set[int]] = {}
        unnumbered = []
        images_in = folder / images_folder
        labels_in = None if labels_folder is None else folder / labels_folder
        files = _visible(images_in, ending)
        targets = [] if labels_in is None else _visible(labels_in, ending)
        for stem in (path.name.removesuffix(ending) for path in files):
            if match := re.fullmatch(r"(.+)_(\d{4})", stem, re.DOTALL):
                images.setdefault(match[1], set()).add(int(match[2]))
            else:
                unnumbered.append(stem + ending)
        return cls(
            images_in, labels_in, ending, images,
            labels={path.name.removesuffix(ending) for path in targets},
            unnumbered=sorted(unnumbered),
            dead=sorted(path for path in (*files, *targets) if not path.exists()),
        )  # fmt: skip

    @property
    def single(self) -> bool:
        """Whether every case has only the image file of its first channel."""
        return all(numbers == {0} for numbers in self.images.values())

    @property
    def first(self) -> Path:
        """The first image file; there must be one."""
        case, numbers = min(self.images.items())
        return self.images_in / f"{case}_{min(numbers):04d}{self.ending}"

    def per_image(self, channels: int) -> int:
        """Number of files per image: one per channel, or one RGB(A) picture for all."""
        colours = self.ending.lower() in _COLOUR_ENDINGS and channels in (3, 4)
        return 1 if colours and self.single else channels

    def mistakes(
        self, per_image: int | None, announced: object, *, spare_labels: bool = False
    ) -> Iterator[Mistake]:
        """Mistakes in the files.

        Args:
            per_image: required number per case; None if unknown.
            announced: ``numTraining``; None: do not compare.
            spare_labels: whether labels without an image are allowed.
        """
        images, labels = self.images_in, self.labels_in
        absent = [folder for folder in (images, labels) if folder and not folder.is_dir()]
        for folder in absent:
            yield Mistake("is missing; nnU-Net's raw layout needs this folder", file=str(folder))
        if absent:
            return
        for path in self.dead:
            message = f"is a broken link to {path.readlink()}"
            yield Mistake(message, file=str(path), kind="dead link")
        if self.unnumbered:
            what = f"files without a channel number: {enumerated(self.unnumbered)}"
            yield Mistake(f"{what}; the first channel is CASE_0000{self.ending}", file=str(images))
        if not self.images:
            message = f"holds no image named CASE_0000{self.ending} (the `file_ending`)"
            yield Mistake(message + _instead(images, self.ending), file=str(images))
            return
        unlabelled = [case + self.ending for case in sorted(self.images.keys() - self.labels)]
        if unlabelled and labels is not None:
            message = f"images without a label; missing here: {enumerated(unlabelled)}"
            instead = "" if self.labels else _instead(labels, self.ending)
            instead += _composed_otherwise(self.images.keys() - self.labels, self.labels)
            yield Mistake(message + instead, file=str(labels))
        imageless = [f"{c}_0000{self.ending}" for c in sorted(self.labels - self.images.keys())]
        if imageless and not spare_labels:
            message = f"labels without an image; missing here: {enumerated(imageless)}"
            yield Mistake(message, file=str(images))
        if per_image is not None:
            yield from self._channel_mistakes(per_image)
        if type(announced) is int and 0 < announced != len(self.images):  # else reported elsewhere
            message = f"`numTraining` is {announced}, but {IMAGES_FOLDER} holds {len(self.images)}"
            yield Mistake(f"{message} cases", file=str(images.parent / DESCRIPTION_FILE))

    def _channel_mistakes(self, per_image: int) -> Iterator[Mistake]:
        wanted = set(range(per_image))
        for what, difference in (
            ("channels of `channel_names` that are missing", wanted.difference),
            ("channels that `channel_names` does not name", lambda has: has - wanted),
        ):
            names = [
                f"{case}_{channel:04d}{self.ending}"
                for case, has in sorted(self.images.items())
                for channel in sorted(difference(has))
            ]
            if names:
                yield Mistake(f"{what}: {enumerated(names)}", file=str(self.images_in))


def _composed_otherwise(missing: Set[str], present: Set[str]) -> str:
    """Hint at names that look the same: macOS may write ä as two characters."""
    composed = {normalize("NFC", name) for name in present}
    alike = sorted(name for name in missing if normalize("NFC", name) in composed)
    if not alike:
        return ""
    return (
        f"; {enumerated(alike)} only looks the same as a name there, where an accent or umlaut is a"
        " character of its own (Unicode's NFD, as on macOS): rename one of the files"
    )


def _instead(folder: Path, ending: str) -> str:
    """Hint at a file with another extension than ``ending``."""
    names = (path.name for path in folder.iterdir() if not path.name.startswith("."))
    other = min((name for name in names if not name.endswith(ending)), default="")
    return f"; its files have other extensions, such as {other}" if other else ""


def _visible(folder: Path, ending: str) -> list[Path]:
    """The visible files of ``folder`` that end in ``ending``, including broken links."""
    return [
        path
        for path in (folder.iterdir() if folder.is_dir() else ())
        if path.name.endswith(ending)
        and not path.name.startswith(".")
        and (path.is_file() or (path.is_symlink() and not path.exists()))
    ]
