"""``pictures/index.json``: what the pictures in a trial's folder show. Written and read here only.

A picture is two WebP files of one size: the image in grey, and marks to lay over it, with an alpha
channel. So a reader can look at the image alone, and two trials share the image of a case byte for
byte.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass

from sweep.store.files import (
    atomic_write_bytes,
    delete,
    read_bytes,
    read_record,
    sync_folder,
    write_json,
    writing,
)
from sweep.store.layout import TrialPaths
from sweep.vocabulary.class_scores import DistanceUnit
from sweep.vocabulary.errors import ResultsError

FILE_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*\.webp")
"""Names of picture files. An index may come from anywhere: no name leads out of its folder."""

REASONS = ("worst", "median", "best", "differs", "asked")
"""Why a case was chosen: by its Dice among the validation cases of its trial, because leader and
baseline differ most on it, or because a user asked for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One slice.

    Args:
        image, marks: the two files.
        position: number of the slice in its plane, from 0.
        wrong: pixels of the slice on its own grid whose classes are not those of the reference; of
            a batch 0.
        priority: what should be kept where space is short, the lowest first. 0 is the slice with
            the most wrong pixels.
        size: width and height in pixels of the files.
    """

    image: str
    marks: str
    position: int
    wrong: int
    priority: int
    size: tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plane:
    """Slices of one case in one direction.

    Args:
        axis: of the arrays, across the slices.
        name: ``image`` of a 2D image; ``axial``, ``coronal``, ``sagittal``, or ``axis 1``.
        slices: number of slices of the case in this direction; not all have a picture.
        pictures: by position.
    """

    axis: int
    name: str
    slices: int
    pictures: tuple[Picture, ...]

    @property
    def first(self) -> Picture:
        """The one to show first: with the most errors."""
        return min(self.pictures, key=lambda one: (one.priority, one.position))


@dataclass(frozen=True, slots=True, kw_only=True)
class CasePictures:
    """One validation case.

    Args:
        case: its identifier.
        reasons: some of `REASONS`.
        dice, nsd: of the prediction that is drawn, the means over the classes with a value.
        classes: class → metric → value.
        planes: one of an image, three of a volume.
    """

    case: str
    reasons: tuple[str, ...]
    dice: float | None
    nsd: float | None
    classes: Mapping[str, Mapping[str, float | None]]
    planes: tuple[Plane, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplePicture:
    """One sample of the batch at whose step a trial diverged.

    Args:
        case: its identifier.
        label: name of the class whose soft mask is drawn.
        soft_area: sum of the soft mask's pixels; None if that is not finite.
        picture: the image, and over it the soft mask before the step.
    """

    case: str
    label: str
    soft_area: float | None
    picture: Picture


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchPictures:
    """The batch at whose step a trial diverged.

    Args:
        epoch, step: of that step.
        of: number of its samples times classes; not all need have a picture.
        samples: those that have one.
    """

    epoch: int
    step: int
    of: int
    samples: tuple[SamplePicture, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialPictures:
    """Everything that is drawn of one trial.

    Args:
        weights: digest of the weights that predicted; empty without `cases`.
        channel: name of the image channel that is shown.
        window: in words, which grey values are black and white.
        unit: of the tolerance of NSD.
        tolerance: of NSD, in words with its unit.
        cases: the worst first.
        compared_with: the trial with which it was compared on the cases that differ.
        batch: of a diverged trial.
        left_out: pictures that did not fit the space for them.
    """

    weights: str = ""
    channel: str = ""
    window: str = ""
    unit: DistanceUnit | None = None
    tolerance: str = ""
    cases: tuple[CasePictures, ...] = ()
    compared_with: str | None = None
    batch: BatchPictures | None = None
    left_out: int = 0

    @property
    def pictures(self) -> Iterator[Picture]:
        """All of them, in no particular order."""
        for case in self.cases:
            for plane in case.planes:
                yield from plane.pictures
        if self.batch is not None:
            yield from (sample.picture for sample in self.batch.samples)


def read_pictures(trial: TrialPaths) -> TrialPictures | None:
    """What is drawn of a trial; None if nothing is.

    Raises:
        ResultsError: the index is broken.
    """
    if not trial.picture_index.exists():
        return None
    found = read_record(trial.picture_index, TrialPictures)
    for name in (name for one in found.pictures for name in (one.image, one.marks)):
        if not FILE_NAME.fullmatch(name):
            raise ResultsError(f"{trial.picture_index}: broken, {name!r} is no name of a picture")
    return found


def picture_bytes(trial: TrialPaths, name: str) -> bytes:
    """The content of one of its picture files.

    Raises:
        ResultsError: it cannot be read, or is a link.
    """
    return read_bytes(trial.pictures / name)


def write_pictures(trial: TrialPaths, pictures: TrialPictures, files: Mapping[str, bytes]) -> None:
    """Write the files, then the index; delete the files of an earlier index.

    Args:
        trial: an existing folder.
        files: name → content, of all files that ``pictures`` names.

    Raises:
        SweepFailed: the disk is full or the folder is gone.
    """
    with writing(trial.pictures):
        trial.pictures.mkdir(exist_ok=True)
    delete(trial.picture_index)  # it must not name files of which some are new
    for name, content in files.items():
        atomic_write_bytes(trial.pictures / name, content)
    with writing(trial.pictures):
        for file in trial.pictures.glob("*.webp"):
            if file.name not in files:
                file.unlink()
    write_json(trial.picture_index, asdict(pictures), indent=1)
    sync_folder(trial.pictures)
