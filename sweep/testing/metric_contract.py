"""What every metric promises."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from sweep.trainer.evaluation.case_metrics import Metric

Masks = NDArray[np.bool_]


class MetricContract:
    """Subclass it, and set ``metric`` to the function: ``metric = staticmethod(area_error)``."""

    metric: Metric

    def test_value_is_a_finite_number_or_nothing_wherever_one_mask_is_not_empty(self) -> None:
        for name, (prediction, reference) in _pairs().items():
            value = self.metric(prediction, reference)
            assert value is None or not math.isinf(float(value)), name

    def test_prediction_that_is_right_has_a_value(self) -> None:
        value = self.metric(*_pairs()["right"])
        assert value is not None
        assert math.isfinite(float(value))

    def test_same_masks_have_the_same_value(self) -> None:
        first, second = (self.metric(*_pairs()["overlapping"]) for _ in range(2))
        assert first == second

    def test_masks_are_left_as_they_are(self) -> None:
        prediction, reference = _pairs()["overlapping"]
        before = prediction.copy(), reference.copy()
        self.metric(prediction, reference)
        assert np.array_equal(prediction, before[0])
        assert np.array_equal(reference, before[1])


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
