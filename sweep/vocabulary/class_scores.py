"""What a prediction scores on each class of each case. Standard library only."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

DistanceUnit = Literal["mm", "pixels"]
"""Unit of HD95, and of the tolerance of NSD: pixels where the images have no spacing."""
UNITS: Mapping[DistanceUnit | None, str] = {"mm": " mm", "pixels": " px", None: ""}
"""The unit after a distance or its name, where there is little room."""

OWN_METRICS = ("dice", "iou", "hd95", "nsd")
"""Metrics of every table of cases, in the order of its columns; those of plug-ins follow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassScore:
    """One row of ``cases.csv``.

    Args:
        case: identifier of the case.
        label: name of the class.
        n_reference, n_prediction: voxels of the class in the reference and in the prediction.
        values: metric → value; None, or left out, where the case says nothing about the class or
            the metric was not measured.
        group: of the case, such as its patient (`data.groups`); None where nothing is grouped.
    """

    case: str
    label: str
    n_reference: int
    n_prediction: int
    values: Mapping[str, float | None] = field(default_factory=dict)
    group: str | None = None

    def value(self, metric: str) -> float | None:
        """A finite value of this metric, or None."""
        found = self.values.get(metric)
        return found if found is not None and math.isfinite(found) else None


Predicted = Callable[[str, float | None, Sequence[ClassScore]], object]
"""Called with each case that is predicted: its name, the seconds that it took (None: its mask was
there and is kept), and its scores."""


def means_of_classes(scores: Iterable[ClassScore], metric: str) -> dict[str, float]:
    """Class → mean over the cases with a value; classes without any value are left out."""
    found: dict[str, list[float]] = {}
    for score in scores:
        if (value := score.value(metric)) is not None:
            found.setdefault(score.label, []).append(value)
    return {label: math.fsum(values) / len(values) for label, values in found.items()}


def mean_over_classes(scores: Iterable[ClassScore], metric: str) -> float | None:
    """Mean over cases, then over classes; None where no case says anything."""
    means = list(means_of_classes(scores, metric).values())
    return math.fsum(means) / len(means) if means else None


def of_class(metric: str, label: str) -> str:
    """The column of a metric of one class: ``val_dice[liver]``."""
    return f"{metric}[{label}]"


def split_class(column: str) -> tuple[str, str | None]:
    """Inverse of `of_class`; any other name as it is, and None.

    >>> split_class("val_dice[left kidney]")
    ('val_dice', 'left kidney')
    """
    metric, bracket, label = column.partition("[")
    if not (metric and bracket and label.endswith("]")):
        return column, None
    return metric, label[:-1]


def without_class(column: str) -> str:
    """The metric of a column, also of one for a class."""
    return split_class(column)[0]
