"""Further results of nnU-Net's pseudo validation besides Dice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sweep.trainer.evaluation.trivial_predictions import trivial_dice


class Answers:
    """Counts over all patches of one validation, pooled like its Dice.

    Args:
        ignore_label: voxels with this label do not count; None if there is no such label.
        regions: whether the classes are regions, which may overlap. Targets then have a channel for
            each, and a last one for ignored voxels.
    """

    def __init__(self, ignore_label: int | None, *, regions: bool = False) -> None:
        self._ignored = ignore_label
        self._regions = regions
        self._voxels = 0
        self._predicted: NDArray[np.float64] = np.zeros(0)  # [foreground classes]
        self._expected: NDArray[np.float64] = np.zeros(0)

    def look_at(self, batch: Mapping[str, Any]) -> None:
        """Count the voxels of a batch; of several resolutions, the full one comes first."""
        target = batch["target"]
        finest = target[0] if isinstance(target, list) else target
        if self._ignored is None:
            self._voxels += finest[:, 0].numel()
        elif self._regions:
            self._voxels += int((~finest[:, -1].bool()).sum())
        else:
            self._voxels += int((finest != self._ignored).sum())

    def add(self, outputs: Sequence[Mapping[str, NDArray[np.float32]]]) -> None:
        """Add the results of `validation_step`: true and false positives and negatives by class."""
        hits, extra, missed = (
            np.sum([np.asarray(output[key], dtype=np.float64) for output in outputs], axis=0)
            for key in ("tp_hard", "fp_hard", "fn_hard")
        )
        self._predicted, self._expected = hits + extra, hits + missed

    def predicted_classes(self) -> int:
        """Number of classes, with the background, that are predicted anywhere.

        There is background unless the classes fill all voxels; of regions, unless one does.
        """
        filled = self._predicted.max() if self._regions else self._predicted.sum()
        background = filled < self._voxels
        return int(np.count_nonzero(self._predicted)) + int(background)

    def trivial(self) -> float | None:
        """Pseudo Dice of the best prediction that ignores the images.

        Of regions it is that of all of them everywhere, since they do not exclude each other.
        """
        shares = self._expected / self._voxels
        if self._regions:
            found = shares[shares > 0]
            return float(np.mean(2 * found / (1 + found))) if len(found) else None
        return trivial_dice(shares[None], shares)
