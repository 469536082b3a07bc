"""Validation Dice per case, then averaged, with nnU-Net's treatment of empty references."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from sweep.trainer.evaluation.trivial_predictions import trivial_dice


class DicePerCase:
    """Gathers true and false positives over a validation set and averages Dice over its cases.

    Several samples of the same case (slices of a volume) are counted together before the ratio is
    taken, as one does for a volume. For a case and a class, ``Dice = 2 TP / (2 TP + FP + FN)``.

    Empty references, as nnU-Net's evaluation treats them: where neither reference nor prediction
    holds the class, the case says nothing about it and is left out; where only the prediction does,
    its Dice is 0. Each class is averaged over its cases, then the classes (without background).

    Args:
        classes: number of classes with background (index 0).
    """

    def __init__(self, classes: int) -> None:
        self.classes = classes
        # case -> [3, classes]: pixels predicted, in the reference, in both
        self._counts: dict[str, NDArray[np.int64]] = defaultdict(
            lambda: np.zeros((3, classes), dtype=np.int64)
        )

    def add(self, case: str, prediction: Tensor, reference: Tensor) -> None:
        """Count one sample; both are class indices ``[H, W]``. Higher labels are no class."""
        predicted = prediction.flatten().long()
        expected = reference.flatten().long()
        agreed = expected[predicted == expected]
        for row, labels in enumerate((predicted, expected, agreed)):
            counts = labels.bincount(minlength=self.classes)[: self.classes]
            self._counts[case][row] += counts.cpu().numpy()

    def per_case(self) -> Mapping[str, NDArray[np.float64]]:
        """Dice of each case and foreground class, ``[classes - 1]``; NaN where left out."""
        with np.errstate(invalid="ignore"):
            return {
                case: (2 * both / (predicted + expected))[1:]
                for case, (predicted, expected, both) in self._counts.items()
            }

    def predicted_classes(self) -> int:
        """How many classes, background included, are predicted anywhere."""
        predicted = [counts[0] for counts in self._counts.values()]
        return int(np.count_nonzero(np.sum(predicted, axis=0)))

    def trivial(self) -> float | None:
        """What `mean` would be of the best answer that does not look at the images."""
        references = np.array([counts[1] for counts in self._counts.values()], dtype=np.float64)
        if not references.size:
            return None
        pooled = references.sum(axis=0) / references.sum()
        shares = references / references.sum(axis=1, keepdims=True)  # [cases, classes]
        return trivial_dice(shares[:, 1:], pooled[1:])

    def mean(self) -> float | None:
        """Mean over cases, then classes; None where no case says anything."""
        return _mean_over_cases(list(self.per_case().values()))

    def mean_iou(self) -> float | None:
        """The same of ``IoU = TP / (TP + FP + FN)``, which is ``Dice / (2 − Dice)`` of a case."""
        return _mean_over_cases([dice / (2 - dice) for dice in self.per_case().values()])


def _mean_over_cases(per_case: list[NDArray[np.float64]]) -> float | None:
    table = np.array(per_case)  # [cases, classes - 1]
    per_class = [
        float(column[~np.isnan(column)].mean()) for column in table.T if not np.isnan(column).all()
    ]
    return math.fsum(per_class) / len(per_class) if per_class else None
