"""Validation Dice per case, then averaged, with nnU-Net's treatment of empty references."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sweep.data.nnunet_raw.regions import Labelled, Regions, class_mask
from sweep.trainer.evaluation.trivial_predictions import trivial_dice
from sweep.vocabulary.class_scores import ClassScore, mean_over_classes

Counts = NDArray[np.int64]
"""Voxels of each class, ``[3, classes]``: predicted, in the reference, in both."""


class DicePerCase:
    """Gathers true and false positives over a validation set and averages Dice over its cases.

    Several samples of the same case (slices of a volume) are counted together before the ratio is
    taken, as one does for a volume. For a case and a class, ``Dice = 2 TP / (2 TP + FP + FN)``.
    Voxels are counted on the device of the predictions. Nothing waits for it until a result is
    read; then the counts of all cases come in one transfer.

    Empty references, as nnU-Net's evaluation treats them: where neither reference nor prediction
    holds the class, the case says nothing about it and is left out; where only the prediction does,
    its Dice is 0. Each class is averaged over its cases, then the classes (without background).

    Args:
        data: what the labels mean.
    """

    def __init__(self, data: Labelled) -> None:
        self.data, self.regions = data, data.regions
        self._counts: dict[str, Tensor] = {}  # case -> [3, classes]
        self._by_label: dict[str, Tensor] = {}  # of regions, case -> [3, labels], background first
        self._read: dict[str, Counts] | None = None

    def add(self, case: str, prediction: Tensor, reference: Tensor) -> None:
        """Count one sample; both are labels of the same shape, on the same device."""
        counts = class_counts(prediction, reference, len(self.data.classes), self.regions)
        _add(self._counts, case, counts)
        if self.regions is not None:  # whose voxels do not add up to those of a case
            labels = 1 + len(self.regions.all_labels)
            _add(self._by_label, case, class_counts(prediction, reference, labels))
        self._read = None

    @property
    def counts(self) -> Mapping[str, Counts]:
        """`Counts` of each case."""
        if self._read is None:
            self._read = _on_cpu(self._counts)
        return self._read

    def scores(self) -> list[ClassScore]:
        """Dice, IoU and numbers of voxels of each case and foreground class.

        ``IoU = TP / (TP + FP + FN)``, which is ``Dice / (2 − Dice)``.
        """
        return [
            ClassScore(
                case=case,
                label=self.data.classes[label],
                n_reference=int(expected),
                n_prediction=int(predicted),
                values=_ratios(int(predicted), int(expected), int(both)),
            )
            for case, counts in self.counts.items()
            for label, (predicted, expected, both) in enumerate(counts.T[1:], 1)
        ]

    def predicted_classes(self) -> int:
        """How many classes, background included, are predicted anywhere.

        Of regions it is how many labels. So it is 1 where all voxels are predicted alike.
        """
        tables = self.counts if self.regions is None else _on_cpu(self._by_label)
        predicted = [counts[0] for counts in tables.values()]
        return int(np.count_nonzero(np.sum(predicted, axis=0)))

    def trivial(self) -> float | None:
        """What `mean` would be of the best answer that does not look at the images."""
        references = np.array([counts[1] for counts in self.counts.values()], dtype=np.float64)
        references = references[references.any(axis=-1)]  # nothing of the others is annotated
        if not references.size:
            return None
        if self.regions is not None:
            return self._trivial_of_regions(self.regions, references)
        pooled = references.sum(axis=0) / references.sum()
        shares = references / references.sum(axis=1, keepdims=True)  # [cases, classes]
        return trivial_dice(shares[:, 1:], pooled[1:])

    def _trivial_of_regions(
        self, regions: Regions, references: NDArray[np.float64]
    ) -> float | None:
        """`trivial` of regions.

        Args:
            references: voxels of each case and class, ``[cases, classes]``.
        """
        sizes = np.array([counts[1].sum() for counts in _on_cpu(self._by_label).values()])
        return trivial_dice(
            references[:, 1:] / sizes[:, None],
            references[:, 1:].sum(axis=0) / sizes.sum(),
            # One label everywhere is all regions that it belongs to.
            [[label in own for own in regions.labels] for label in sorted({*regions.class_order})],
            1 - references[:, 0].sum() / sizes.sum(),
        )

    def mean(self) -> float | None:
        """Mean over cases, then classes; None where no case says anything."""
        return mean_over_classes(self.scores(), "dice")

    def mean_iou(self) -> float | None:
        """The same of IoU."""
        return mean_over_classes(self.scores(), "iou")


def _add(tables: dict[str, Tensor], case: str, counts: Tensor) -> None:
    known = tables.get(case)
    tables[case] = counts if known is None else known + counts


def _on_cpu(tables: Mapping[str, Tensor]) -> dict[str, Counts]:
    """The tables of all cases, in one transfer."""
    together = torch.stack([*tables.values()]).cpu().numpy() if tables else ()
    return dict(zip(tables, together, strict=True))


def class_counts(
    prediction: Tensor, reference: Tensor, classes: int, regions: Regions | None = None
) -> Tensor:
    """`Counts` as a tensor on the device of both, without waiting for it."""
    of_each = []
    for number in range(classes):
        ours, theirs = (class_mask(one, number, regions) for one in (prediction, reference))
        of_each.append(torch.stack([ours.sum(), theirs.sum(), (ours & theirs).sum()]))
    return torch.stack(of_each, dim=1)


def _ratios(predicted: int, expected: int, both: int) -> dict[str, float | None]:
    if predicted + expected == 0:
        return {"dice": None, "iou": None}
    dice = 2 * both / (predicted + expected)
    return {"dice": dice, "iou": both / (predicted + expected - both)}
