"""Metrics of the validation beside Dice: surface distance and shape, per case, then averaged.

They cost about 6 ms of CPU time for a 64² image and 18 ms for a 512² one: a fifth of an epoch of
the quickstart, a hundredth of one that trains on 512². So they are not measured in every epoch: see
`sweep.spec.settings.evaluation_settings.EvaluationSettings`.
"""

from __future__ import annotations

import math
import warnings
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from sweep.data.prepared.samples import CaseArrays
from sweep.plugins.plugin_kinds import METRIC, short_name
from sweep.trainer.evaluation.mask_shape import MEASURES, shape_of
from sweep.vocabulary.errors import TrainerError

Mask = NDArray[np.uint8]
Shapes = dict[tuple[str, int, int], dict[str, float] | None]
"""Shape of the reference by case, slice and class; the same in every epoch, so it is kept."""


class Metric(Protocol):
    """A metric of a plug-in."""

    def __call__(
        self, prediction: NDArray[np.bool_], reference: NDArray[np.bool_], /
    ) -> float | None:
        """Measure one foreground class of one image.

        Args:
            prediction, reference: masks ``[H, W]``; at least one has a pixel.
        Returns:
            a finite number. None or NaN: the image says nothing.
        """


class CaseMetrics:
    """Gathers distances and shapes over a validation set.

    A value of each image, averaged over the images of its case, then over the cases. Distances run
    over all foreground classes, shapes are those of the classes that the geometric losses act on.

    Conventions for empty masks. HD95: an image (and class) that is empty in prediction and
    reference is left out; one that is empty in only one of them counts with the image's diagonal,
    the largest distance there is, so that predicting nothing is never the better answer. Shapes: an
    empty mask has none and is left out, of prediction and reference separately.

    A plug-in is called for each image and foreground class that is in the prediction or the
    reference. Its values count like distances: the mean over classes and images of a case, then
    over the cases.

    Args:
        names: which to measure: ``hd95``, ``shape`` and plug-ins.
        classes: number of classes with background (index 0).
        geometric_classes: whose shapes are measured, each an image's value of its own.
        references: shapes of the references that are known already; is added to.
    """

    def __init__(
        self,
        names: Collection[str],
        classes: int,
        geometric_classes: Sequence[int],
        references: Shapes,
    ) -> None:
        self._names = names
        self._plugins: dict[str, Metric] = {
            name: METRIC.resolve(name, {}) for name in names if name not in ("hd95", "shape")
        }
        self._classes = classes
        self._shaped = geometric_classes
        self._references = references
        # metric -> case -> values of its images
        self._values: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))

    def add(self, case: CaseArrays, prediction: Mask) -> None:
        """Measure one case.

        Args:
            case: with its reference.
            prediction: class indices ``[S, H, W]`` on the grid of the reference.
        """
        for slice_, masks in enumerate(zip(prediction, case.reference, strict=True)):
            self._add_image(slice_, case.name, *masks)

    def _add_image(self, slice_: int, case: str, prediction: Mask, reference: Mask) -> None:
        if "hd95" in self._names:
            for distance in hausdorff95(prediction, reference, self._classes):
                self._values["hd95"][case].append(distance)
        if "shape" in self._names:
            for label in self._shaped:
                place = case, slice_, label
                if place not in self._references:
                    self._references[place] = shape_of(reference == label)
                self._add_shape("", case, shape_of(prediction == label))
                self._add_shape("reference_", case, self._references[place])
        for name, measure in self._plugins.items():
            for label, masks in present_classes(prediction, reference, self._classes):
                value = measure(*masks)
                if (number := _finite(name, label, case, value)) is not None:
                    self._values[short_name(name)][case].append(number)

    def means(self) -> dict[str, float | None]:
        """Mean over cases by name; None where no case says anything."""
        names = ["hd95"] if "hd95" in self._names else []
        if "shape" in self._names:
            names += [prefix + name for prefix in ("", "reference_") for name in MEASURES]
        names += map(short_name, self._plugins)
        return {name: self._mean(name) for name in names}

    def per_case(self, name: str) -> dict[str, float]:
        """Mean over a case's images, of the cases that say something."""
        return {
            case: math.fsum(values) / len(values) for case, values in self._values[name].items()
        }

    def _add_shape(self, prefix: str, case: str, shape: dict[str, float] | None) -> None:
        for name, value in (shape or {}).items():
            self._values[prefix + name][case].append(value)

    def _mean(self, name: str) -> float | None:
        cases = list(self.per_case(name).values())
        return math.fsum(cases) / len(cases) if cases else None


def hausdorff95(prediction: Mask, reference: Mask, classes: int) -> list[float]:
    """95 % Hausdorff distance in pixels of each foreground class that occurs, by MONAI.

    The larger of the two directed distances between the outlines, each its 95th percentile. Where
    only one of the masks has the class: the image's diagonal.

    Args:
        prediction, reference: class indices ``[H, W]``.
        classes: number of classes with background.
    """
    diagonal = math.hypot(*reference.shape)
    return [
        _hausdorff95(*masks) if all(mask.any() for mask in masks) else diagonal
        for _, masks in present_classes(prediction, reference, classes)
    ]


def present_classes(
    prediction: Mask, reference: Mask, classes: int
) -> Iterator[tuple[int, tuple[NDArray[np.bool_], NDArray[np.bool_]]]]:
    """Each foreground class that is in the prediction or the reference, with both masks of it."""
    for label in range(1, classes):
        masks = prediction == label, reference == label
        if masks[0].any() or masks[1].any():
            yield label, masks


def _finite(name: str, label: int, case: str, value: object) -> float | None:
    """What a plug-in returned as a number; None and NaN mean that the image says nothing."""
    if value is None:
        return None
    try:
        number = float(value)  # type: ignore[arg-type]  # numpy's and torch's scalars too
    except (TypeError, ValueError) as error:
        kind = type(value).__name__
        raise TrainerError(
            f"the metric `{name}` must return a number, but returned {kind}"
        ) from error
    if math.isinf(number):
        raise TrainerError(
            f"the metric `{name}` returned {number} for class {label} of {case}: return a finite"
            " number, or None where an image says nothing"
        )
    return None if math.isnan(number) else number


def _hausdorff95(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> float:
    from monai.metrics import compute_hausdorff_distance

    with warnings.catch_warnings():
        # MONAI 1.5 and 1.6 warn of an argument that they pass to themselves.
        warnings.filterwarnings("ignore", category=FutureWarning, module=r"monai\.")
        a, b = (torch.from_numpy(mask)[None, None] for mask in (first, second))
        distance = compute_hausdorff_distance(a, b, include_background=True, percentile=95)
    return float(distance)
