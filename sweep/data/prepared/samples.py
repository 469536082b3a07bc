"""The samples of a trainer: 2D views into arrays shared by all trials on a machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Sample:
    """One 2D image with its label; read-only views.

    Args:
        case: identifier of the case, shared by all slices of a volume.
        image: ``[C, H, W]``, normalised.
        label: ``[H, W]``, class indices.
    """

    case: str
    image: NDArray[np.float32]
    label: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class CaseArrays:
    """All slices of one case.

    Args:
        name: identifier of the case.
        images: ``[S, C, H, W]``.
        labels: ``[S, H, W]``.
        foreground: the classes above 0 that occur in ``labels``.
    """

    name: str
    images: NDArray[np.float32]
    labels: NDArray[np.uint8]
    foreground: tuple[int, ...]


class Samples(Sequence[Sample]):
    """The slices of some cases, one after the other; 2D cases have one slice.

    Attributes:
        case_arrays: the whole cases, in order.
    """

    def __init__(self, cases: Sequence[CaseArrays]) -> None:
        self.case_arrays = tuple(cases)
        self._places = tuple((case, slice_) for case in cases for slice_ in range(len(case.labels)))

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
        return Sample(case.name, case.images[slice_], case.labels[slice_])


@dataclass(frozen=True, slots=True)
class PreparedData:
    """A data source, ready for training.

    Args:
        channels: names of the image channels.
        classes: names of the classes; the index is the label's value, 0 the background.
        geometric_classes: indices of the classes that the geometric losses act on.
        training: samples of the training cases.
        validation: samples of the held-out cases.
        test: samples of the cases that no trial trains or validates on; empty without a test split.
        origin: the ``data`` settings that made these samples, read from the packed files and the
            split; empty for samples made by hand.
        warnings: warnings from reading the source.
        sizes: pixels and spacing of the source's images, in words.
    """

    channels: tuple[str, ...]
    classes: tuple[str, ...]
    geometric_classes: tuple[int, ...]
    training: Samples
    validation: Samples
    test: Samples = field(default_factory=lambda: Samples(()))
    origin: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    sizes: str = ""
