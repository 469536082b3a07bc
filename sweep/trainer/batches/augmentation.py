"""Augmentation: what a training sample looks like in one epoch.

It is a pure function of (seed, epoch, turn, index of the sample). So it does not depend on the
sample's batch, on the number of data workers, or on where a run was resumed. Each kind of
augmentation has its own random streams, so trials that differ in one kind share the draws of all
others.
"""

from __future__ import annotations

import math
from enum import IntEnum

import numpy as np
import torch
from monai.networks.layers import AffineTransform
from numpy.random import Generator
from numpy.typing import NDArray

from sweep.data.files.normalize import Normalization
from sweep.data.prepared.samples import Sample, Samples
from sweep.spec.settings.augmentation_settings import AugmentationSettings
from sweep.trainer.batches.gamma import Gamma

Image = NDArray[np.float32]
Label = NDArray[np.uint8]


class _Stream(IntEnum):
    """Number of each random stream. A number is never used for another stream later."""

    ROTATION = 10
    SCALING = 11
    FLIP_ROWS = 12
    FLIP_COLUMNS = 13
    NOISE = 14
    GAMMA = 15


class Augmentation:
    """Gamma, rotation and scaling, flips, then noise, on whole images before they are cropped.

    Args:
        settings: which kinds, how likely and how strong.
        normalization: of the samples; noise stays in [0, 1] if it promises that.
        samples: the training samples.
        seed: of the trial.
    """

    def __init__(
        self,
        settings: AugmentationSettings,
        normalization: Normalization,
        samples: Samples,
        *,
        seed: int,
    ) -> None:
        self.settings = settings
        self._normalization = normalization
        self._samples = samples
        self._gamma = Gamma(settings.gamma.mode, normalization, samples)
        self._seed = seed

    def sample(self, index: int, epoch: int, turn: int = 0) -> Sample:
        """Sample ``index`` as it is shown in an epoch.

        Args:
            index: of the sample.
            epoch: from 0.
            turn: how often the epoch has shown this sample before.
        """
        settings, plain = self.settings, self._samples[index]
        image, label = plain.image, plain.label

        def chance(stream: _Stream, probability: float) -> Generator | None:
            """The random stream of an augmentation; None if it does not take place."""
            if probability == 0:
                return None
            rng = np.random.default_rng([self._seed, epoch, turn, index, stream])
            return rng if rng.random() < probability else None

        if rng := chance(_Stream.GAMMA, settings.gamma.probability):
            image = self._gamma.sample(index, _around_one(rng, settings.gamma.largest))
        angle, zoom = 0.0, 1.0
        if rng := chance(_Stream.ROTATION, settings.rotation.probability):
            angle = math.radians(rng.uniform(-settings.rotation.degrees, settings.rotation.degrees))
        if rng := chance(_Stream.SCALING, settings.scaling.probability):
            zoom = _around_one(rng, settings.scaling.largest)
        image, label = turned_and_zoomed(image, label, angle, zoom)
        for stream, axis in ((_Stream.FLIP_ROWS, -2), (_Stream.FLIP_COLUMNS, -1)):
            if chance(stream, settings.flips.probability):
                image, label = np.flip(image, axis), np.flip(label, axis)
        if rng := chance(_Stream.NOISE, settings.noise.probability):
            std = rng.uniform(0, settings.noise.std)
            image = image + rng.normal(0, std, image.shape).astype(np.float32)
            image = image.clip(0, 1) if self._normalization == "minmax" else image
        return Sample(plain.case, image, label)


def _around_one(rng: Generator, largest: float) -> float:
    return rng.uniform(1 / largest, largest)


def turned_and_zoomed(image: Image, label: Label, angle: float, zoom: float) -> tuple[Image, Label]:
    """Turn and zoom about the centre in a single resampling.

    Pixels from outside are background, as dark as the image's darkest pixel. A 0 would be as bright
    as the average of a z-scored image.

    Args:
        image: ``[C, H, W]``, interpolated linearly.
        label: ``[H, W]``; each pixel takes the class of the nearest one.
        angle: in radians, clockwise where rows run down.
        zoom: above 1 enlarges.
    """
    if angle == 0 and zoom == 1:
        return image, label
    # From a pixel of the new image to its place in the old one: p ↦ matrix · (p − centre) + centre.
    cos, sin = math.cos(angle) / zoom, math.sin(angle) / zoom
    matrix = np.array([[cos, -sin], [sin, cos]])
    centre = (np.array(label.shape) - 1) / 2
    theta = torch.from_numpy(np.column_stack([matrix, centre - matrix @ centre])).float()

    def resampled(pixels: Image, mode: str) -> Image:
        transform = AffineTransform(mode=mode, align_corners=True)
        result: Image = transform(torch.from_numpy(pixels)[None], theta)[0].numpy()
        return result

    classes = resampled(label[None].astype(np.float32), "nearest")[0].astype(np.uint8)
    darkest = image.min(axis=(1, 2), keepdims=True)
    return resampled(image - darkest, "bilinear") + darkest, classes
