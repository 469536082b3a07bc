"""Training batches as a pure function of (seed, epoch, step).

No generator carries state from one batch to the next. So a run that was resumed, or that continues
from another run's snapshot, sees the same data, and a single step can be reproduced later. A sample
and its crop depend on the epoch, not on the sample's place in a batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from monai.transforms import RandSpatialCropd, SpatialPadd
from torch import Tensor

from sweep.data.prepared.samples import Sample, Samples
from sweep.spec.settings.trainer_settings import MonaiTrainer
from sweep.trainer.batches.augmentation import Augmentation


@dataclass(frozen=True, slots=True)
class Batch:
    """One training batch: images ``[B, C, H, W]``, labels ``[B, 1, H, W]``, and their cases."""

    images: Tensor
    labels: Tensor
    cases: tuple[str, ...]


class TrainingBatches:
    """The batches of a run.

    An epoch is a fresh permutation of the samples, or several in sequence if ``steps_per_epoch``
    needs more than one pass. Samples that do not fill a batch are left out. Images are zero-padded
    and randomly cropped to a common size: the patch, or else the largest training image, rounded up
    to a multiple of the divisor.

    Args:
        samples: the training samples.
        settings: batch size and steps an epoch.
        augmentation: of the same samples.
        seed: of the trial.
        patch: size along each axis in pixels, or None for whole images.
        divisor: number that each side must be a multiple of, ``[axes]``.
    """

    def __init__(
        self,
        samples: Samples,
        settings: MonaiTrainer,
        augmentation: Augmentation,
        *,
        seed: int,
        patch: Sequence[int] | None,
        divisor: Sequence[int],
    ) -> None:
        self._samples = samples
        self.augmentation = augmentation
        self.seed = seed
        self.patch = patch
        self.batch_size = min(settings.batch_size, len(samples))
        self.steps = settings.steps_per_epoch or len(samples) // self.batch_size
        shapes = np.array([sample.label.shape for sample in samples])  # [N, 2]
        largest = shapes.max(axis=0) if patch is None else patch
        size = [int(-(-side // by) * by) for side, by in zip(largest, divisor, strict=True)]
        self._same_size = bool((shapes == size).all())
        self._pad = SpatialPadd(("image", "label"), size)
        self._crop = RandSpatialCropd(("image", "label"), size, random_size=False)

    def indices(self, epoch: int, step: int) -> list[int]:
        """Indices of the samples of a batch."""
        return [index for _, index in self._drawn(epoch, step)]

    def batch(self, epoch: int, step: int, *, augmented: bool = True) -> Batch:
        """The batch of one step; both counted from 0."""
        drawn = self._drawn(epoch, step)
        shown = [self._shown(epoch, turn, index, augmented=augmented) for turn, index in drawn]
        return Batch(
            images=torch.from_numpy(np.stack([sample.image for sample in shown])),
            labels=torch.from_numpy(np.stack([sample.label for sample in shown]))[:, None],
            cases=tuple(sample.case for sample in shown),
        )

    def _drawn(self, epoch: int, step: int) -> list[tuple[int, int]]:
        """A batch as pairs (turn, index): the pass over the samples, and the sample."""
        drawn = np.arange(step * self.batch_size, (step + 1) * self.batch_size)
        turns, places = np.divmod(drawn, len(self._samples))
        orders = {n: self._rng(epoch, 1, n).permutation(len(self._samples)) for n in set(turns)}
        return [(int(n), int(orders[n][place])) for n, place in zip(turns, places, strict=True)]

    def _shown(self, epoch: int, turn: int, index: int, *, augmented: bool) -> Sample:
        """A sample augmented, padded and cropped to the common size."""
        sample = self._samples[index]
        if augmented:
            sample = self.augmentation.sample(index, epoch, turn)
        if self._same_size:
            return sample
        self._crop.set_random_state(seed=int(self._rng(epoch, 2, turn, index).integers(2**31)))
        pair = {"image": np.array(sample.image), "label": np.array(sample.label[None])}
        fitted = self._crop(self._pad(pair))
        return Sample(sample.case, fitted["image"].numpy(), fitted["label"].numpy()[0])

    def _rng(self, *key: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, *key])
