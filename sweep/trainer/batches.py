"""Training batches as a pure function of (seed, epoch, step).

No generator carries state from one batch to the next: a run that was resumed, or that continues
from another's snapshot, sees the same data, and a single step can be looked at again afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from monai.transforms import RandSpatialCropd, SpatialPadd
from numpy.typing import NDArray
from torch import Tensor

from sweep.data.samples import Samples
from sweep.spec.settings import TrainerSettings

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Batch:
    """One training batch: images ``[B, C, H, W]``, labels ``[B, 1, H, W]``, and their cases."""

    images: Tensor
    labels: Tensor
    cases: tuple[str, ...]


class TrainingBatches:
    """The batches of a run.

    An epoch is a fresh permutation of the samples (several, one after the other, where
    ``steps_per_epoch`` asks for more than one pass); what does not fill a batch is left out.
    Images are zero-padded and randomly cropped to a common size: the patch, or else the largest
    training image, rounded up to what the network can halve.

    Args:
        samples: the training samples.
        settings: batch size and steps an epoch.
        seed: of the trial.
        patch_size: side in pixels, or None for whole images.
        divisor: what the sides must be a multiple of.
    """

    def __init__(
        self,
        samples: Samples,
        settings: TrainerSettings,
        *,
        seed: int,
        patch_size: int | None,
        divisor: int,
    ) -> None:
        self._samples = samples
        self._seed = seed
        self._batch_size = min(settings.batch_size, len(samples))
        self.steps = settings.steps_per_epoch or len(samples) // self._batch_size
        shapes = np.array([sample.label.shape for sample in samples])  # [N, 2]
        largest = np.array([patch_size] * 2) if patch_size else shapes.max(axis=0)
        size = [int(-(-side // divisor) * divisor) for side in largest]
        self._same_size = bool((shapes == size).all())
        self._pad = SpatialPadd(("image", "label"), size)
        self._crop = RandSpatialCropd(("image", "label"), size, random_size=False)

    def indices(self, epoch: int, step: int) -> list[int]:
        """Which samples make up a batch."""
        drawn = np.arange(step * self._batch_size, (step + 1) * self._batch_size)
        passes, places = np.divmod(drawn, len(self._samples))
        orders = {
            n: self._rng(epoch, 1, int(n)).permutation(len(self._samples)) for n in set(passes)
        }
        return [int(orders[n][place]) for n, place in zip(passes, places, strict=True)]

    def batch(self, epoch: int, step: int) -> Batch:
        """The batch of one step; both counted from 0."""
        chosen = [self._samples[index] for index in self.indices(epoch, step)]
        pairs: list[dict[str, Array]] = [{"image": s.image, "label": s.label[None]} for s in chosen]
        if not self._same_size:
            pairs = [self._fit(pair, epoch, step, place) for place, pair in enumerate(pairs)]
        return Batch(
            images=torch.from_numpy(np.stack([pair["image"] for pair in pairs])),
            labels=torch.from_numpy(np.stack([pair["label"] for pair in pairs])),
            cases=tuple(sample.case for sample in chosen),
        )

    def _fit(self, pair: dict[str, Array], epoch: int, step: int, place: int) -> dict[str, Array]:
        """Pad and crop one pair to the common size; where to, its place in the run decides."""
        self._crop.set_random_state(seed=int(self._rng(epoch, 2, step, place).integers(2**31)))
        fitted = self._crop(self._pad({key: np.array(array) for key, array in pair.items()}))
        return {key: fitted[key].numpy() for key in pair}

    def _rng(self, *key: int) -> np.random.Generator:
        return np.random.default_rng([self._seed, *key])
