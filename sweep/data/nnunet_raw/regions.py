"""Regions as in nnU-Net: classes that are unions of labels, so that they may overlap.

Label files hold integers, as ever. Class 0 is the background, and class k > 0 is region k − 1, with
the network's channel k − 1. Without regions, class k is the label k. `class_mask` is the one place
that knows the difference.

Source: nnU-Net 2.8.1, ``utilities/label_handling/label_handling.py`` and
``evaluation/evaluate_predictions.py`` (``region_or_label_to_mask``).
"""

from __future__ import annotations

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


def classes_in(labels: NDArray[np.uint8], regions: Regions | None, ignore: int | None) -> list[int]:
    """The classes above 0 of which there is a voxel, ascending."""
    values = [value for value in np.unique(labels).tolist() if value not in (0, ignore)]
    if regions is None:
        return values
    held = set(values)
    return [number for number, own in enumerate(regions.labels, 1) if held.intersection(own)]
