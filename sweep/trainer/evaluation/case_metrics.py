"""Metrics of the validation beside Dice: distances of outlines, plug-ins and shapes, per case.

They are measured in the training process, between two epochs, and only where they are wanted: see
`sweep.spec.settings.evaluation_settings.EvaluationSettings`. What they cost is in
docs/reference/metrics.md.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from sweep.data.nnunet_raw.regions import Labelled
from sweep.data.prepared.samples import CaseArrays, Samples, Spacing
from sweep.plugins.plugin_kinds import METRIC, short_name, takes
from sweep.trainer.evaluation.mask_shape import MEASURES, shape_of
from sweep.trainer.evaluation.surface_distances import SurfaceDistances, diagonal
from sweep.vocabulary.class_scores import DistanceUnit
from sweep.vocabulary.errors import TrainerError

Mask = NDArray[np.bool_]
Labels = NDArray[np.uint8]
Shapes = dict[tuple[str, int, int], dict[str, float] | None]
"""Shape of the reference by case, slice and class; the same in every epoch, so it is kept."""
Values = dict[str, float | None]

SURFACE = frozenset({"hd95", "nsd"})
"""Metrics that are read off the same distances: where one is measured, the other costs nothing."""
OURS = SURFACE | {"iou", "shape"}


class Metric(Protocol):
    """A metric of a plug-in.

    One with a parameter ``spacing`` measures whole cases: it is called once for each case and
    foreground class, as ``metric(prediction, reference, spacing=…)``, with masks ``[H, W]`` of an
    image or ``[D, H, W]`` of a volume, and the millimetres between two voxels along each of their
    axes; None if the images have no spacing. One without measures slices: it is called for each
    slice that has the class, and its values are averaged over the slices of a case.
    """

    def __call__(self, prediction: Mask, reference: Mask, /, **spacing: Any) -> float | None:
        """Measure one foreground class.

        Args:
            prediction: a mask.
            reference: a mask of the same shape; at least one of the two has a voxel.
            spacing: only for a metric of whole cases, as above.

        Returns:
            a finite number. None or NaN: the masks say nothing.
        """


class CaseMetrics:
    """Measures the cases of a validation set, each class of its own.

    The value of a case and class is one of the whole case: of a volume in 3D, also where the
    network sees slices. Shapes are those of each slice of the classes that the geometric losses act
    on, averaged over the slices of a case.

    Empty masks. Where neither prediction nor reference has the class, the case says nothing about
    it and is left out. Where only one of them has it, NSD is 0 and HD95 is the diagonal of the
    image, the largest distance there is, so that predicting nothing is never the better answer. An
    empty mask has no shape: it is left out, of prediction and reference separately.

    Args:
        names: which to measure: ``hd95``, ``nsd``, ``shape`` and plug-ins.
        data: what the labels mean.
        geometric_classes: numbers of those whose shape is measured.
        references: shapes of the references that are known already; is added to.
        unit: of distances; ``mm`` needs the spacing of every case.
        tolerance: of NSD, in that unit; one for all classes, or one for each name, without which a
            class has 1.

    Attributes:
        values: case and number of a class → metric → value; None where the case says nothing.
    """

    def __init__(
        self,
        names: Collection[str],
        data: Labelled,
        geometric_classes: Sequence[int],
        references: Shapes,
        *,
        unit: DistanceUnit = "pixels",
        tolerance: float | Mapping[str, float] = 1.0,
    ) -> None:
        self.values: dict[tuple[str, int], Values] = {}
        self._surface = [name for name in ("hd95", "nsd") if name in names]
        self._plugins = [_Plugin(name) for name in names if name not in OURS]
        self._shape_of = geometric_classes if "shape" in names else ()
        self._data = data
        self._references = references
        self._unit = unit
        self._tolerance = tolerance
        # (measure, label) -> means of cases
        self._shapes: dict[tuple[str, int], list[float]] = defaultdict(list)

    def add(self, case: CaseArrays, prediction: Labels) -> None:
        """Measure one case.

        Args:
            case: with its reference.
            prediction: labels ``[S, H, W]`` on the grid of the reference.
        """
        whole = len(prediction) > 1
        spacing = (case.own_spacing or ())[-3 if whole else -2 :] if self._unit == "mm" else None
        pairs = zip(self._data.masks(prediction), self._data.masks(case.reference), strict=True)
        for label, masks in enumerate(pairs, 1):  # [S, H, W] each
            found = self.values[case.name, label] = {}
            if self._surface:
                one: tuple[Mask, Mask] = masks if whole else (masks[0][0], masks[1][0])
                distances = self._distances(*one, spacing, self._tolerance_of(label))
                found |= {name: distances[name] for name in self._surface}
            for plugin in self._plugins:
                found[plugin.column] = plugin.measure(case.name, label, masks, spacing)
            if label in self._shape_of:
                self._add_shapes(case.name, label, *masks)

    @property
    def columns(self) -> list[str]:
        """The metrics in ``values``."""
        return [*self._surface, *(plugin.column for plugin in self._plugins)]

    def shapes(self) -> Values:
        """Mean shapes over cases, then classes; None where no case has the class."""
        if not self._shape_of:
            return {}
        names = [prefix + name for prefix in ("", "reference_") for name in MEASURES]
        return {name: _mean(self._shape_means(name)) for name in names}

    def _distances(
        self, prediction: Mask, reference: Mask, spacing: Spacing | None, tolerance: float
    ) -> Values:
        steps = spacing or (1.0,) * reference.ndim
        match bool(prediction.any()), bool(reference.any()):
            case True, True:
                threads = torch.get_num_threads()
                found = SurfaceDistances.between(prediction, reference, steps, threads)
                return {"hd95": found.hausdorff(95), "nsd": found.surface_dice(tolerance)}
            case False, False:
                return {"hd95": None, "nsd": None}
            case _:
                return {"hd95": diagonal(reference.shape, steps), "nsd": 0.0}

    def _tolerance_of(self, label: int) -> float:
        if isinstance(self._tolerance, Mapping):
            return self._tolerance.get(self._data.classes[label], 1.0)
        return self._tolerance

    def _add_shapes(self, case: str, label: int, prediction: Mask, reference: Mask) -> None:
        found: dict[str, list[float]] = defaultdict(list)
        for slice_, (ours, theirs) in enumerate(zip(prediction, reference, strict=True)):
            place = case, slice_, label
            if place not in self._references:
                self._references[place] = shape_of(theirs)
            for prefix, shape in (("", shape_of(ours)), ("reference_", self._references[place])):
                for name, value in (shape or {}).items():
                    found[prefix + name].append(value)
        for name, values in found.items():
            self._shapes[name, label].append(math.fsum(values) / len(values))

    def _shape_means(self, name: str) -> list[float]:
        means = (_mean(self._shapes[name, label]) for label in self._shape_of)
        return [mean for mean in means if mean is not None]


class _Plugin:
    """A metric of a user, and the name of its column."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.column = short_name(name)
        self._metric: Metric = METRIC.function(name, {})
        self._whole = takes(self._metric, "spacing")

    def measure(
        self, case: str, label: int, masks: tuple[Mask, Mask], spacing: Spacing | None
    ) -> float | None:
        """The value of a case and class; ``masks`` are ``[S, H, W]``."""
        if self._whole:
            one = masks if len(masks[0]) > 1 else (masks[0][0], masks[1][0])
            calls = [(one, {"spacing": spacing})] if _present(one) else []
        else:
            calls = [(pair, {}) for pair in zip(*masks, strict=True) if _present(pair)]
        numbers = (self._number(label, case, self._metric(*pair, **how)) for pair, how in calls)
        return _mean([number for number in numbers if number is not None])

    def _number(self, label: int, case: str, value: object) -> float | None:
        """What it returned as a number; None and NaN mean that the masks say nothing."""
        if value is None:
            return None
        try:
            number = float(value)  # type: ignore[arg-type]  # numpy's and torch's scalars too
        except (TypeError, ValueError) as error:
            kind = type(value).__name__
            raise TrainerError(
                f"the metric `{self._name}` must return a number, but returned {kind}"
            ) from error
        if math.isinf(number):
            raise TrainerError(
                f"the metric `{self._name}` returned {number} for class {label} of {case}: return"
                " a finite number, or None where an image says nothing"
            )
        return None if math.isnan(number) else number


def distance_unit(*sides: Samples) -> DistanceUnit:
    """Millimetres where every case has a spacing, else pixels for all of them.

    A mean over some cases in millimetres and others in pixels would be of nothing.

    Args:
        sides: all cases of a dataset, so that each fold and the test split have the same unit.
    """
    known = [case.own_spacing is not None for side in sides for case in side.case_arrays]
    return "mm" if known and all(known) else "pixels"


def _present(masks: Iterable[Mask]) -> bool:
    return any(bool(mask.any()) for mask in masks)


def _mean(values: Sequence[float]) -> float | None:
    return math.fsum(values) / len(values) if values else None
