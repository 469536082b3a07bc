"""The samples of a trainer: views into arrays that all trials on a machine share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from sweep.data.files.nnunet_normalize import DatasetIntensities
from sweep.data.nnunet_raw.regions import Labelled
from sweep.data.nnunet_raw.splits import Groups


@dataclass(frozen=True, slots=True)
class Sample:
    """One image or volume with its label; read-only views.

    Args:
        case: identifier of the case, shared by all slices of a volume.
        image: ``[C, H, W]`` or ``[C, D, H, W]``, normalised.
        label: ``[H, W]`` or ``[D, H, W]``, integers of the label files: see `Labelled`.
    """

    case: str
    image: NDArray[np.float32]
    label: NDArray[np.uint8]


Spacing = tuple[float, ...]
"""Millimetres between two voxels: along ``[S, H, W]`` of a volume, ``[H, W]`` of an image."""


@dataclass(frozen=True, slots=True)
class OwnGrid:
    """The reference of a case on the grid of its own files, for a case that was resampled.

    Args:
        labels: ``[S, H, W]``, as in `CaseArrays`; its shape is that of the own grid.
        spacing: of the own grid.
    """

    labels: NDArray[np.uint8]
    spacing: Spacing


@dataclass(frozen=True, slots=True)
class CaseArrays:
    """All slices of one case; an image has one.

    Args:
        name: identifier of the case.
        images: ``[S, C, H, W]``.
        labels: ``[S, H, W]``, integers of the label files. Without regions they are the numbers of
            the classes, or the label to ignore.
        foreground: the classes above 0 that occur in ``labels``.
        spacing: of these arrays; None where the files have none.
        own: the own grid of the case; None where the arrays above are on it.
    """

    name: str
    images: NDArray[np.float32]
    labels: NDArray[np.uint8]
    foreground: tuple[int, ...]
    spacing: Spacing | None = None
    own: OwnGrid | None = None

    @property
    def reference(self) -> NDArray[np.uint8]:
        """The labels that predictions are measured against, ``[S, H, W]`` on the own grid."""
        return self.labels if self.own is None else self.own.labels

    @property
    def own_spacing(self) -> Spacing | None:
        """Spacing of `reference`."""
        return self.spacing if self.own is None else self.own.spacing


class Samples(Sequence[Sample]):
    """The slices of some cases, one after the other, or the cases as whole volumes.

    Args:
        cases: in order; an image has one slice.
        volumes: whether a sample is a whole volume.

    Attributes:
        case_arrays: the whole cases, in order.
        volumes: as above.
    """

    def __init__(self, cases: Sequence[CaseArrays], *, volumes: bool = False) -> None:
        self.case_arrays = tuple(cases)
        self.volumes = volumes
        self._places = tuple(
            (case, slice_) for case in cases for slice_ in range(1 if volumes else len(case.labels))
        )

    @property
    def cases(self) -> tuple[str, ...]:
        """Identifiers, in order."""
        return tuple(case.name for case in self.case_arrays)

    def __len__(self) -> int:
        return len(self._places)

    def case_of(self, index: int) -> CaseArrays:
        """The case that a sample is a slice of."""
        return self._places[index][0]

    @overload
    def __getitem__(self, index: int) -> Sample: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Sample, ...]: ...
    def __getitem__(self, index: int | slice) -> Sample | tuple[Sample, ...]:
        if isinstance(index, slice):
            return tuple(self[i] for i in range(*index.indices(len(self))))
        case, slice_ = self._places[index]
        if self.volumes:
            return Sample(case.name, case.images.swapaxes(0, 1), case.labels)
        return Sample(case.name, case.images[slice_], case.labels[slice_])


@dataclass(frozen=True, slots=True)
class PreparedData(Labelled):
    """A data source, ready for training.

    Args:
        channels: names of the image channels.
        geometric_classes: numbers of the classes that the geometric losses act on.
        training: samples of the training cases.
        validation: samples of the held-out cases.
        test: samples of the cases that no trial trains or validates on; empty without a test split.
        origin: the ``data`` settings that made these samples, read from the packed files and the
            split; empty for samples made by hand.
        warnings: warnings from reading the source.
        sizes: pixels and spacing of the source's images, in words.
        file_ending: of the source's images; empty for samples made by hand.
        intensities: by which they were normalised, if by those of several cases.
        groups: of the source's cases (`data.groups`).
    """

    channels: tuple[str, ...]
    geometric_classes: tuple[int, ...]
    training: Samples
    validation: Samples
    test: Samples = field(default_factory=lambda: Samples(()))
    origin: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    sizes: str = ""
    file_ending: str = ""
    intensities: DatasetIntensities | None = None
    groups: Groups = field(default_factory=dict)

    def on_all_cases(self) -> PreparedData:
        """The training and validation cases together, on both sides; test cases stay apart."""
        cases = (*self.training.case_arrays, *self.validation.case_arrays)
        by_name = sorted(cases, key=lambda case: case.name)
        both = Samples(by_name, volumes=self.training.volumes)
        return replace(self, training=both, validation=both)

    @property
    def spacing(self) -> Spacing | None:
        """Spacing of the training samples along their ``[(D,) H, W]``; None if unknown.

        That to which all were resampled, else their median. Their own is rounded to whole voxels: a
        network that follows it could be another one in each fold.
        """
        if (target := self.origin.get("spacing")) is not None:
            return tuple(map(float, target))
        axes = 3 if self.training.volumes else 2
        known = [case.spacing[-axes:] for case in self.training.case_arrays if case.spacing]
        if not known:
            return None
        return tuple(float(step) for step in np.median(np.array(known), axis=0))
