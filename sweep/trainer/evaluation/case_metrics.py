"""Metrics of the validation beside Dice: surface distance and shape, per case, then averaged.

They cost about 6 ms of CPU time for a 64² image and 18 ms for a 512² one: a fifth of an epoch of
the quickstart, a hundredth of one that trains on 512². So they are not measured in every epoch: see
`sweep.spec.settings.trial_settings.EvaluationSettings`.
"""

from __future__ import annotations

import math
import warnings
from collections import defaultdict
from collections.abc import Collection

import numpy as np
import torch
from numpy.typing import NDArray

from sweep.trainer.evaluation.mask_shape import MEASURES, shape_of

Mask = NDArray[np.uint8]
Shapes = dict[int, dict[str, float] | None]
"""Shape of the reference by the sample's index; the same in every epoch, so it is kept."""


class CaseMetrics:
    """Gathers distances and shapes over a validation set.

    A value of each image, averaged over the images of its case, then over the cases. Distances run
    over all foreground classes, shapes are those of the class that the geometric losses act on.

    Conventions for empty masks. HD95: an image (and class) that is empty in prediction and
    reference is left out; one that is empty in only one of them counts with the image's diagonal,
    the largest distance there is, so that predicting nothing is never the better answer. Shapes: an
    empty mask has none and is left out, of prediction and reference separately.

    Args:
        names: which to measure, of ``hd95`` and ``shape``.
        classes: number of classes with background (index 0).
        geometric_class: whose shape is measured.
        references: shapes of the references that are known already; is added to.
    """

    def __init__(
        self, names: Collection[str], classes: int, geometric_class: int, references: Shapes
    ) -> None:
        self._names = names
        self._classes = classes
        self._class = geometric_class
        self._references = references
        # metric -> case -> values of its images
        self._values: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))

    def add(self, index: int, case: str, prediction: Mask, reference: Mask) -> None:
        """Measure one image.

        Args:
            index: of the sample in the validation set.
            case: that it belongs to.
            prediction, reference: class indices ``[H, W]``.
        """
        if "hd95" in self._names:
            for distance in hausdorff95(prediction, reference, self._classes):
                self._values["hd95"][case].append(distance)
        if "shape" in self._names:
            if index not in self._references:
                self._references[index] = shape_of(reference == self._class)
            self._add_shape("", case, shape_of(prediction == self._class))
            self._add_shape("reference_", case, self._references[index])

    def means(self) -> dict[str, float | None]:
        """Mean over cases by name; None where no case says anything."""
        names = ["hd95"] if "hd95" in self._names else []
        if "shape" in self._names:
            names += [prefix + name for prefix in ("", "reference_") for name in MEASURES]
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
    found = []
    for label in range(1, classes):
        masks = prediction == label, reference == label
        present = [bool(mask.any()) for mask in masks]
        if all(present):
            found.append(_hausdorff95(*masks))
        elif any(present):
            found.append(math.hypot(*reference.shape))
    return found


def _hausdorff95(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> float:
    from monai.metrics import compute_hausdorff_distance

    with warnings.catch_warnings():
        # MONAI 1.5 and 1.6 warn of an argument that they pass to themselves.
        warnings.filterwarnings("ignore", category=FutureWarning, module=r"monai\.")
        a, b = (torch.from_numpy(mask)[None, None] for mask in (first, second))
        distance = compute_hausdorff_distance(a, b, include_background=True, percentile=95)
    return float(distance)
