"""The settings of the data: one class for each source."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from pathlib import PurePath
from typing import Annotated, Any, ClassVar, Final, Literal, Self, get_args

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from sweep.machine.user_paths import Folder, absolute
from sweep.plugins.entry_names import PLUGIN
from sweep.plugins.plugin_kinds import DATA_SOURCE, required_entry
from sweep.spec.settings.geometric_terms import GeometricClass
from sweep.spec.settings.settings_base import Options, Settings, refusal

TEST_FOLDER = "imagesTs"
"""Value of ``data.test`` that stands for a dataset's own test cases."""
BY_NAME: Final = "nnunet"
"""Value of ``data.normalization``: each channel by its name, after a look at all cases."""
GROUP_FILES = (".csv", ".tsv", ".json")
"""Endings of the files that can name the group of each case."""

FOREGROUND_SHARES = {2: 0.0, 3: 1 / 3}
"""Default of ``data.oversample_foreground`` for slices and volumes."""


def is_groups_file(asked: str) -> bool:
    """Whether ``data.groups`` names a file, and is no pattern."""
    return PurePath(asked).suffix.lower() in GROUP_FILES


def _groups(asked: str) -> str:
    """An absolute path, or a pattern with one group."""
    if is_groups_file(asked):
        return absolute(asked)
    try:
        brackets = re.compile(asked).groups
    except re.error as error:
        raise ValueError(f"is no regular expression: {error}, in {asked!r}") from None
    if brackets != 1:
        raise ValueError(
            "must have one pair of brackets, around what names the patient, as `(patient[0-9]+)`"
            f" has, or end in {', '.join(GROUP_FILES)}; {asked!r} has {brackets or 'none'}"
        )
    return asked


GroupsSource = Annotated[str, Field(min_length=1), AfterValidator(_groups)]
"""A setting that says which cases are of one patient."""


class CommonData(Settings):
    """Settings of every data source."""

    keeps_test_cases: ClassVar[bool] = False
    """Whether its datasets can have their own ``imagesTs``."""
    has_one_split: ClassVar[bool] = False
    """Whether it has one fixed split, test cases included, instead of folds."""
    spatial_makes_cases: ClassVar[bool] = False
    """Whether its volumes are other cases than its slices."""
    size_keys: ClassVar[tuple[str, str] | None] = None
    """Settings for the number of images and their side, known before the images exist."""
    places: ClassVar[tuple[str, ...]] = ()
    """Settings with folders or files that its fingerprint identifies."""

    source: str
    normalization: Literal["zscore", "minmax", "nnunet"] = "zscore"
    """Normalisation of each channel. zscore: zero mean and unit variance in each case. minmax: to
    [0, 1] in each case. nnunet: by the channel's name, as in nnU-Net; `CT` is clipped and scaled
    by the foreground of all cases, docs/reference/data.md."""
    n4: bool = False
    """Correct the bias field of each case and channel (N4) before normalisation."""
    folds: int = Field(default=5, ge=2)
    """Number of cross-validation folds. Cases are split as in nnU-Net."""
    fold: int = Field(default=0, ge=0)
    """The fold held out for validation, counted from 0."""
    test: Annotated[float, Field(ge=0, lt=1)] | Literal["imagesTs"] = 0.0
    """Fraction of the cases kept for testing. No trial sees them; the finalists are evaluated on
    them once.

    imagesTs: the dataset's own test cases in imagesTs and labelsTs (`source: nnunet_raw`).
    """
    patch_size: (
        Annotated[int, Field(ge=16)]
        | Annotated[
            tuple[Annotated[int, Field(ge=4)], ...], Field(strict=False, min_length=2, max_length=3)
        ]
        | None
    ) = None
    """Size of the training patch in voxels: one number for a square or a cube, or a list along
    [rows, columns] of slices or [slices, rows, columns] of volumes; null: whole images."""
    oversample_foreground: Annotated[float, Field(ge=0, le=1)] | None = None
    """Share of the training patches that are centred on a voxel of the foreground, with the classes
    of an image in turn; null: 1/3 of those of volumes, as in nnU-Net, and 0 of those of slices."""

    @property
    def foreground_share(self) -> float:
        """Share of the patches that are centred on foreground."""
        if self.oversample_foreground is None:
            return FOREGROUND_SHARES[self.spatial_dims]
        return self.oversample_foreground

    @property
    def patch(self) -> tuple[int, ...] | None:
        """Size of the training patch along each axis of a sample; None: whole images."""
        if isinstance(self.patch_size, int):
            return (self.patch_size,) * self.spatial_dims
        return self.patch_size

    @property
    def spatial_dims(self) -> int:
        """Number of spatial axes of what the network sees: 2 for images, 3 for volumes."""
        return 2

    @property
    def smallest_input(self) -> tuple[int, ...] | None:
        """Size in pixels of the smallest image that the network sees, as far as it is known before
        the images are."""
        return self.patch

    @model_validator(mode="after")
    def _patch_has_a_side_for_each_axis(self) -> Self:
        if isinstance(self.patch_size, tuple):
            _require_axes("patch_size", self.patch_size, self.spatial_dims, "one number")
        return self

    @field_validator("test")
    @classmethod
    def _has_test_folders(cls, test: float | str) -> float | str:
        if test == TEST_FOLDER and not cls.keeps_test_cases:
            raise ValueError(
                f"`{TEST_FOLDER}` needs `source: nnunet_raw`; must be a share of cases"
            )
        return test

    @field_validator("fold")
    @classmethod
    def _is_one_of_the_folds(cls, fold: int, info: ValidationInfo) -> int:
        folds = info.data.get("folds")
        if folds is not None and fold >= folds:
            raise ValueError(f"must be below `folds`, which is {folds}, but is {fold}")
        return fold


def _require_axes(key: str, value: tuple[Any, ...], axes: int, instead: str) -> None:
    """Refuse a list that does not have a number for each axis of what the network sees."""
    if len(value) != axes:
        what = "images and slices" if axes == 2 else "volumes"
        message = f"must be {instead}, or a list of {axes} for {what}, but is {[*value]}"
        raise refusal(message, key, value=value)


class ShapesData(CommonData):
    """Synthetic circles, generated on your machine. The same seed gives the same pixels."""

    size_keys = ("data.count", "data.size")

    source: Literal["shapes"] = "shapes"
    kind: Literal["one_circle", "several_circles"] = "one_circle"
    """One circle per image (like Dataset502), or several (like Dataset501)."""
    difficulty: float = Field(default=0.3, ge=0, le=1)
    """0: bright discs on a clean background; 1: faint, noisy, with distractors."""
    size: int = Field(default=64, ge=32, le=2048)
    """Side of the square images in pixels."""
    count: int = Field(default=80, ge=5, le=100_000)
    """Number of images."""
    seed: int = Field(default=0, ge=0)
    """Seed of the generator; not the trial's seed."""

    @property
    def smallest_input(self) -> tuple[int, ...] | None:
        return self.patch or (self.size, self.size)


class AnatomyData(CommonData):
    """Settings of data that can be volumes and have several classes."""

    spatial: Literal["slices", "volumes"] = "slices"
    """What the network sees. slices: 2D images, and volumes as their slices. volumes: 3D
    volumes."""
    spacing: (
        Literal["median"]
        | Annotated[
            tuple[Annotated[float, Field(gt=0, allow_inf_nan=False)], ...],
            Field(strict=False, min_length=2, max_length=3),
        ]
        | None
    ) = None
    """Spacing that images are resampled to before training, in millimetres: a list along [rows,
    columns] of slices or [slices, rows, columns] of volumes, the order of `data.patch_size`.

    null: nothing is resampled. median: the median over the cases along each axis, by nnU-Net's
    rule. Predictions are measured on the grid of the image's own file.
    """
    geometric_class: GeometricClass = None
    """Label, by name or number, that the geometric losses act on; null: the first foreground.

    A list names several, and `all` means every foreground label (unless a label has that name).
    Each label is a mask of its own, and a term is the mean over the masks."""

    @property
    def spatial_dims(self) -> int:
        return 3 if self.spatial == "volumes" else 2

    @model_validator(mode="after")
    def _spacing_has_a_number_for_each_axis(self) -> Self:
        if isinstance(self.spacing, tuple):
            _require_axes("spacing", self.spacing, self.spatial_dims, "null, `median`")
        return self


class BrainData(AnatomyData):
    """The MNI152 T1 template that ships with nilearn: axial slices, or blocks as volumes. Training
    and validation lie in different slabs of the one brain."""

    has_one_split = True
    spatial_makes_cases = True

    source: Literal["brain"]
    tissues: Literal["white_matter", "both"] = "white_matter"
    """Classes. white_matter: white matter alone. both: white matter and grey matter."""
    validation_slices: int = Field(default=24, ge=4)
    """Thickness of the validation slab in slices of 1 mm."""
    gap: int = Field(default=8, ge=0)
    """Slices left out on each side of the validation slab, because neighbouring slices are
    alike."""
    step: int = Field(default=2, ge=1)
    """Take every N-th slice. Volumes then have a spacing of N×1×1 mm."""
    threshold: float = Field(default=0.5, gt=0, lt=1)
    """Tissue probability above which a pixel counts as this tissue."""


class RawLayoutData(AnatomyData):
    """Settings of a dataset in nnU-Net's raw layout, wherever it comes from."""

    keeps_test_cases = True

    groups: GroupsSource | None = None
    """What tells which cases are of one patient, so that they are all in training, all in
    validation or all in the test. null: every case stands for itself.

    A regular expression with one pair of brackets around what names the patient in the name of a
    case, such as `(patient[0-9]+)`. Or a file: .csv or .tsv with the columns `case` and `group`, or
    a .json object of cases and their groups."""
    slice_axis: Annotated[int, Field(ge=0, le=2)] | Literal["auto"] = "auto"
    """Axis along which 3D volumes are cut into 2D slices, after reorientation to RAS: 0 sagittal,
    1 coronal, 2 axial slices.

    auto: the axis of the coarsest spacing (median over all volumes); 2 if all are equal.
    """
    fingerprint: str | None = None
    """Fingerprint of the dataset's content. A sweep records it, to refuse changed data and to
    recognise the same data in another folder; null: accept any data."""


class NnunetRawData(RawLayoutData):
    """Any dataset in nnU-Net's raw layout."""

    places = ("folder", "groups")

    source: Literal["nnunet_raw"]
    folder: Folder
    """Folder with dataset.json, imagesTr and labelsTr. It can be relative to the working directory
    and contain `~` and `$VARIABLES`.

    It is stored as an absolute path, because a trial may run in another directory.
    """


class PluginData(RawLayoutData):
    """A dataset that a plug-in writes once on each machine, docs/how-to/plugins.md."""

    places = ("groups",)

    source: Literal["custom"]
    entry: Annotated[str, AfterValidator(partial(required_entry, DATA_SOURCE))]
    """As package.module:attribute, file.py:attribute or by its registered name; `source: ENTRY` is
    short for it."""
    options: Options = Field(default_factory=dict)
    """Keyword arguments of the plug-in. Each can be searched, as data.options.NAME."""


AnyDataSettings = ShapesData | BrainData | NnunetRawData | PluginData
DATA_SOURCES: Mapping[str, type[CommonData]] = {
    get_args(one.model_fields["source"].annotation)[0]: one for one in get_args(AnyDataSettings)
}
"""``data.source`` → its settings."""


def _plugin_or_own(value: Any) -> Any:
    """Read a plug-in's name in ``source`` as ``{source: custom, entry: NAME}``."""
    entry = (
        DATA_SOURCE.entry(value.get("source"), DATA_SOURCES) if isinstance(value, dict) else None
    )
    return value if entry is None else {**value, "source": PLUGIN, "entry": entry}


DataSettings = Annotated[
    AnyDataSettings, Field(discriminator="source"), BeforeValidator(_plugin_or_own)
]
