"""Regions as in nnU-Net: classes that are unions of labels, so that they may overlap.

Label files hold integers, as ever. Class 0 is the background, and class k > 0 is region k − 1, with
the network's channel k − 1. Without regions, class k is the label k. `class_mask` is the one place
that knows the difference, and `Labelled` has all that it asks.

Source: nnU-Net 2.8.1, ``utilities/label_handling/label_handling.py`` and
``evaluation/evaluate_predictions.py`` (``region_or_label_to_mask``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

Labels = TypeVar("Labels", NDArray[Any], "Tensor")


@dataclass(frozen=True, slots=True)
class Regions:
    """The regions of a dataset, in the order of the network's channels.

    Args:
        labels: those that each region consists of.
        class_order: the label that each region is written as. A later region overwrites an earlier
            one, as nnU-Net's ``regions_class_order`` says.
    """

    labels: tuple[tuple[int, ...], ...]
    class_order: tuple[int, ...]

    @property
    def all_labels(self) -> tuple[int, ...]:
        """The labels of any region, ascending."""
        return tuple(sorted({label for region in self.labels for label in region}))

    def of_class(self, number: int) -> tuple[int, ...]:
        """The labels of a class; 0 is the background."""
        return self.labels[number - 1] if number else (0,)


def class_mask(labels: Labels, number: int, regions: Regions | None) -> Labels:
    """Which voxels belong to a class.

    Args:
        labels: integers of any shape, NumPy or torch; an ignore label belongs to no class.
        number: of the class.
        regions: of the dataset; None: class k is the label k.
    Returns:
        boolean, of the same shape.
    """
    return labels_mask(labels, (number,) if regions is None else regions.of_class(number))


def labels_mask(labels: Labels, values: tuple[int, ...]) -> Labels:
    """Which voxels have one of the values; boolean, of the same shape."""
    return reduce(lambda a, b: a | b, (labels == value for value in values))


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """What the integers of a dataset's label files mean.

    Args:
        classes: names of the classes by number, the background first. `mask` says which labels
            belong to one.
        ignore: label of voxels that nobody has annotated: they count in no loss and no metric. None
            if there is none.
        regions: what the classes consist of, if they are regions; None: class k is the label k.
    """

    classes: tuple[str, ...]
    ignore: int | None = None
    regions: Regions | None = None

    @property
    def labels(self) -> dict[str, int]:
        """Name → number of the class."""
        return {name: number for number, name in enumerate(self.classes)}

    @property
    def network_channels(self) -> int:
        """Channels of a network's output: one a class; of regions without the background."""
        return len(self.classes) - (self.regions is not None)

    def mask(self, labels: Labels, number: int) -> Labels:
        """Which voxels belong to a class: see `class_mask`."""
        return class_mask(labels, number, self.regions)

    def masks(self, labels: Labels) -> Iterator[Labels]:
        """The mask of each class but the background."""
        return (self.mask(labels, number) for number in range(1, len(self.classes)))

    def held_by(self, labels: NDArray[np.uint8]) -> tuple[int, ...]:
        """The classes above 0 of which there is a voxel, ascending."""
        values = set(np.unique(labels).tolist()) - {0, self.ignore}
        if self.regions is None:
            return tuple(sorted(values))
        own = enumerate(self.regions.labels, 1)
        return tuple(number for number, labels_ in own if values.intersection(labels_))
