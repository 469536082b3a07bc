"""Training batches as a pure function of (seed, epoch, step), made on the device that trains.

No generator carries state from one batch to the next. So a run that was resumed, or that continues
from another run's snapshot, sees the same data, and a single step can be reproduced later. A sample
and its crop depend on the epoch, not on the sample's place in a batch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sweep.data.nnunet_raw.regions import Regions
from sweep.data.prepared.samples import Samples
from sweep.spec.settings.trainer_settings import MonaiTrainer
from sweep.trainer.batches.affine_resampling import resample, sampling_grid
from sweep.trainer.batches.augmentation import Augmentation, Drawn, Showing, Shown
from sweep.trainer.batches.batch import Batch
from sweep.trainer.batches.batch_ahead import BatchAhead
from sweep.trainer.batches.device_data import Corner, MappedData, data_on, inner_box, new_tensor
from sweep.trainer.batches.foreground_places import ForegroundPlaces
from sweep.trainer.batches.intensities import beside, on_rows
from sweep.trainer.networks.device import to_device

CPU = torch.device("cpu")
_CACHED_VALUES = 2**17


class TrainingBatches:
    """The batches of a run.

    An epoch is a fresh permutation of the samples, or several in sequence if ``steps_per_epoch``
    needs more than one pass. Samples that do not fill a batch are left out. Images are zero-padded
    and randomly cropped to a common size: the patch, or else the largest training image, rounded up
    to a multiple of the divisor. A crop that is centred on foreground is moved where it would leave
    the image.

    A sample is cropped first. Its patch is turned and zoomed about its own middle, from what lies
    around it in the image. Outside of the image is background, as dark as the image's darkest
    voxel; a 0 would be as bright as the average of a z-scored image. Padding stays 0.

    Args:
        samples: the training samples.
        settings: batch size and steps an epoch.
        augmentation: of the same samples.
        seed: of the trial.
        patch: size along each axis in voxels, or None for whole images.
        divisor: number that each side must be a multiple of, ``[axes]``.
        oversample_foreground: share of the patches that are centred on foreground.
        device: that trains.
        origin: what made the samples, so that trials of one process share them on a GPU.
        regions: what the classes consist of, if they are regions.

    Attributes:
        size: of every image of a batch along each axis.
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
        oversample_foreground: float = 0.0,
        device: torch.device = CPU,
        origin: Mapping[str, Any] | None = None,
        regions: Regions | None = None,
    ) -> None:
        self._samples = samples
        self.augmentation = augmentation
        self.seed = seed
        self.patch = patch
        self.foreground = ForegroundPlaces(
            samples, oversample_foreground, seed=seed, regions=regions
        )
        self.batch_size = min(settings.batch_size, len(samples))
        self.steps = settings.steps_per_epoch or len(samples) // self.batch_size
        shapes = np.array([sample.label.shape for sample in samples])  # [N, axes]
        largest = shapes.max(axis=0)
        wanted = largest if patch is None else patch
        self.size = [int(-(-side // by) * by) for side, by in zip(wanted, divisor, strict=True)]
        # Nothing lies outside of the largest image, so a patch is never taken from a larger box.
        limits = np.maximum(largest, self.size).tolist()
        self._around = [*map(min, augmentation.reach(self.size), limits)]
        self._data = data_on(device, samples, origin or {})
        copied = device.type == "cuda" and isinstance(self._data, MappedData)
        self._ahead = BatchAhead(self._made, self.steps, device) if copied else None
        self._device = device
        self._darkest: dict[int, NDArray[np.float32]] = {}
        # A CPU makes few samples at a time, so that they stay in its cache.
        values = len(samples[0].image) * math.prod(self._around)
        cached = max(1, _CACHED_VALUES // values)
        self._part = cached if device.type == "cpu" else self.batch_size

    def indices(self, epoch: int, step: int) -> list[int]:
        """Indices of the samples of a batch."""
        return [showing.index for showing in self._showings(epoch, step)]

    def batch(self, epoch: int, step: int, *, augmented: bool = True) -> Batch:
        """The batch of one step; both counted from 0."""
        if self._ahead is not None and augmented:
            return self._ahead.batch(epoch, step)
        return self.shown(self._showings(epoch, step), augmented=augmented)

    def _made(self, epoch: int, step: int) -> Batch:
        return self.shown(self._showings(epoch, step))

    def shown(self, showings: Sequence[Showing], *, augmented: bool = True) -> Batch:
        """The batch of these samples."""
        cases = tuple(self._samples[showing.index].case for showing in showings)
        if not augmented or self.augmentation.is_off:
            indices = [showing.index for showing in showings]
            corners = [self._corner(showing) for showing in showings]
            return Batch(*self._data.boxes(indices, corners, self.size), cases)
        part = self._part
        if part >= len(showings):
            return Batch(*self._augmented(showings), cases)
        channels, size = len(self._samples[0].image), self.size
        images = new_tensor(torch.float32, (len(showings), channels, *size), pinned=False)
        labels = new_tensor(torch.uint8, (len(showings), 1, *size), pinned=False)
        for start in range(0, len(showings), part):
            rows = slice(start, start + part)
            images[rows], labels[rows] = self._augmented(showings[rows])
        return Batch(images, labels, cases)

    def _showings(self, epoch: int, step: int) -> list[Showing]:
        """The samples of a batch, each with the pass over the samples that it belongs to."""
        drawn = np.arange(step * self.batch_size, (step + 1) * self.batch_size)
        turns, places = np.divmod(drawn, len(self._samples))
        orders = {n: self._rng(epoch, 1, n).permutation(len(self._samples)) for n in set(turns)}
        return [
            Showing(int(orders[n][place]), epoch, int(n))
            for n, place in zip(turns, places, strict=True)
        ]

    def _corner(self, showing: Showing) -> Corner:
        """The first voxel of the crop; below 0 where the sample is smaller and is padded."""
        sides = self._samples[showing.index].label.shape
        spare = [side - length for side, length in zip(sides, self.size, strict=True)]
        if max(spare) <= 0:
            return [-(-left // 2) for left in spare]
        key = (showing.epoch, 2, showing.turn, showing.index)
        centre = self.foreground.centre(
            showing.index, showing.epoch + showing.turn, self._rng(*key, 1)
        )
        if centre is not None:
            return [
                min(max(0, place - length // 2), left) if left > 0 else -(-left // 2)
                for place, length, left in zip(centre, self.size, spare, strict=True)
            ]
        rng = self._rng(*key)
        # The draws of MONAI's RandSpatialCrop, so that the crops of earlier sweeps stay.
        state = np.random.RandomState(int(rng.integers(2**31)))
        return [int(state.randint(0, left + 1)) if left > 0 else -(-left // 2) for left in spare]

    def _augmented(self, showings: Sequence[Showing]) -> tuple[Tensor, Tensor]:
        """Images and labels of samples after augmentation."""
        shown = [
            self._cropped(one.index, self._corner(one), self.size, self.augmentation.drawn(one))
            for one in showings
        ]
        padded = _have_padding(shown, self.size)
        turned = [row for row, one in enumerate(shown) if one.drawn.matrix is not None]
        moved = self._turned([shown[row] for row in turned]) if turned else None
        if moved and len(turned) == len(shown):
            images, labels = moved
        else:
            images, labels = self._boxes(shown, self.size)
            if padded:
                images = _framed(images, shown, self._darkest_of(shown))
            if moved:
                images = on_rows(images, turned, lambda _: moved[0])
                labels = on_rows(labels, turned, lambda _: moved[1])
        images = self.augmentation.recoloured(images, shown)
        if padded:
            images, labels = _framed(images, shown), _framed(labels, shown)
        for axis in range(len(self.size)):
            rows = [row for row, one in enumerate(shown) if axis in one.drawn.flips]
            if rows:
                flip = partial(torch.flip, dims=[axis + 2])
                images, labels = on_rows(images, rows, flip), on_rows(labels, rows, flip)
        return images, labels

    def _turned(self, shown: Sequence[Shown]) -> tuple[Tensor, Tensor]:
        """Crops turned and zoomed about their middles, from a larger box around each."""
        size, around = np.array(self.size), np.array(self._around)
        sides = np.array([self._samples[one.index].label.shape for one in shown])
        corners = np.array([one.corner for one in shown])
        # The whole of a smaller image; of a larger one, no more than lies within.
        starts = np.clip(
            corners - (around - size) // 2,
            np.minimum(0, sides - around),
            np.maximum(0, sides - around),
        )
        wider = [
            self._cropped(one.index, start, self._around, one.drawn)
            for one, start in zip(shown, starts.tolist(), strict=True)
        ]
        images, labels = self._boxes(wider, self._around)
        darkest = beside(self._darkest_of(shown), images)
        images = images.sub_(darkest)  # outside is 0
        if _have_padding(wider, self._around):
            images = _framed(images, wider)
        grid = sampling_grid(
            [one.drawn.matrix for one in shown if one.drawn.matrix is not None],
            corners - starts + (size - around) / 2,
            self._around,
            self.size,
            self._device,
        )
        classes = resample(labels.float(), grid, "nearest").byte()
        return resample(images, grid, "bilinear").add_(darkest), classes

    def _cropped(self, index: int, corner: Corner, size: Sequence[int], drawn: Drawn) -> Shown:
        box = inner_box(corner, size, self._samples[index].label.shape)
        return Shown(index, corner, box, drawn)

    def _boxes(self, shown: Sequence[Shown], size: Sequence[int]) -> tuple[Tensor, Tensor]:
        indices, corners = [one.index for one in shown], [one.corner for one in shown]
        return self._data.boxes(indices, corners, size)

    def _darkest_of(self, shown: Sequence[Shown]) -> Tensor:
        """The smallest value of each channel of whole images, ``[N, C]``."""
        indices = [one.index for one in shown]
        for index in indices:
            if index not in self._darkest:
                image = self._samples[index].image
                self._darkest[index] = image.min(axis=tuple(range(1, image.ndim)))
        return to_device(np.stack([self._darkest[index] for index in indices]), self._device)

    def _rng(self, *key: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, *key])


def _have_padding(shown: Sequence[Shown], size: Sequence[int]) -> bool:
    whole = tuple(slice(0, side) for side in size)
    return any(one.box != whole for one in shown)


def _framed(images: Tensor, shown: Sequence[Shown], fill: Tensor | None = None) -> Tensor:
    """Images ``[N, C, (D,) H, W]`` whose padding is ``fill`` ``[N, C]``, or 0."""
    if fill is None:
        fill = images.new_zeros(images.shape[:2])
    framed = beside(fill, images).expand_as(images).clone()
    for new, old, one in zip(framed, images, shown, strict=True):
        new[:, *one.box] = old[:, *one.box]
    return framed
