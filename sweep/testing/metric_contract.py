"""What every metric promises."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sweep.plugins.plugin_kinds import takes
from sweep.trainer.evaluation.case_metrics import Metric

Masks = NDArray[np.bool_]
Call = tuple[Masks, Masks, dict[str, Any]]
"""Prediction, reference, and the ``spacing`` of a metric that takes it."""


class MetricContract:
    """Subclass it, and set ``metric`` to the function: ``metric = staticmethod(area_error)``.

    A metric with a parameter ``spacing`` is called with images and volumes, any other with slices.
    """

    metric: Metric

    def test_value_is_a_finite_number_or_nothing_wherever_one_mask_is_not_empty(self) -> None:
        for name, (prediction, reference, how) in self._calls().items():
            value = self.metric(prediction, reference, **how)
            assert value is None or not math.isinf(float(value)), name

    def test_prediction_that_is_right_has_a_value(self) -> None:
        for name, (prediction, reference, how) in self._calls().items():
            if name.startswith("right"):
                value = self.metric(prediction, reference, **how)
                assert value is not None, name
                assert math.isfinite(float(value)), name

    def test_same_masks_have_the_same_value(self) -> None:
        prediction, reference, how = self._overlapping()
        first, second = (self.metric(prediction, reference, **how) for _ in range(2))
        assert first == second

    def test_masks_are_left_as_they_are(self) -> None:
        prediction, reference, how = self._overlapping()
        before = prediction.copy(), reference.copy()
        self.metric(prediction, reference, **how)
        assert np.array_equal(prediction, before[0])
        assert np.array_equal(reference, before[1])

    def _overlapping(self) -> Call:
        return next(call for name, call in self._calls().items() if "overlapping" in name)

    def _calls(self) -> dict[str, Call]:
        """What validation may call it with, by a name."""
        pairs = _pairs()
        if not takes(self.metric, "spacing"):
            return {name: (*masks, {}) for name, masks in pairs.items()}
        found: dict[str, Call] = {}
        for name, masks in pairs.items():
            for spacing in (None, (0.5, 2.0)):
                found[f"{name}, spacing {spacing}"] = *masks, {"spacing": spacing}
            first, second = (np.stack([mask, mask, np.zeros_like(mask)]) for mask in masks)
            for deep in (None, (3.0, 0.5, 2.0)):
                found[f"{name}, volume, spacing {deep}"] = first, second, {"spacing": deep}
        return found


def _pairs() -> dict[str, tuple[Masks, Masks]]:
    """Predictions and references ``[H, W]`` that validation meets."""
    empty, left, middle, dot = (np.zeros((24, 32), bool) for _ in range(4))
    left[4:12, 2:10] = True
    middle[6:14, 6:14] = True
    dot[20, 30] = True
    return {
        "right": (left.copy(), left),
        "overlapping": (middle, left),
        "apart": (dot, left),
        "nothing predicted": (empty, left),
        "nothing there": (left, empty),
        "all predicted": (~empty, left),
        "a single pixel": (dot.copy(), dot),
    }
