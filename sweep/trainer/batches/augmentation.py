"""Augmentation: what a training sample looks like in one epoch.

All parameters are drawn on the CPU, as a pure function of (seed, epoch, turn, index of the sample).
So they do not depend on the sample's batch, on the device, or on where a run was resumed. Each kind
of augmentation has its own random streams, so trials that differ in one kind share the draws of all
others. The images of a batch are changed on their device.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import partial
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor

from sweep.data.files.normalize import Normalization
from sweep.data.prepared.samples import Samples
from sweep.spec.settings.augmentation_settings import AugmentationSettings, RandomSettings
from sweep.trainer.batches.affine_resampling import Grid, Matrix
from sweep.trainer.batches.device_data import Corner
from sweep.trainer.batches.gamma import Gamma
from sweep.trainer.batches.intensities import (
    Box,
    blurred,
    brighter,
    coarser,
    contrasted,
    noisy,
    on_rows,
)
from sweep.trainer.networks.device import to_device

Strengths = NDArray[np.float32]


class _Stream(IntEnum):
    """Number of each random stream. A number is never used for another stream later."""

    ROTATION = 10
    SCALING = 11
    FLIP_ROWS = 12
    FLIP_COLUMNS = 13
    NOISE = 14
    GAMMA = 15
    FLIP_SLICES = 16
    BLUR = 17
    BRIGHTNESS = 18
    CONTRAST = 19
    LOW_RESOLUTION = 20


KINDS = ("gamma", "noise", "blur", "brightness", "contrast", "low_resolution")
"""The changes of intensity in their order. Gamma comes first: it needs the range of the data."""

_FLIPS = (_Stream.FLIP_SLICES, _Stream.FLIP_ROWS, _Stream.FLIP_COLUMNS)  # the last axes count


@dataclass(frozen=True, slots=True)
class Showing:
    """One showing of a sample.

    Args:
        index: of the sample.
        epoch: from 0.
        turn: how often the epoch has shown this sample before.
    """

    index: int
    epoch: int
    turn: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """What happens to one showing of a sample; None where a kind does not take place.

    Args:
        matrix: from a voxel of the new image to its place in the old one, see `Grid.matrix`.
        flips: the axes that are mirrored, counted from the first spatial one.
        gamma: exponent.
        noise: standard deviation.
        noise_key: of the pixels' noise.
        blur: standard deviation in voxels, of each channel.
        brightness: factor of each channel.
        contrast: factor of each channel.
        low_resolution: share of the resolution that is left, of each channel.
    """

    matrix: Matrix | None = None
    flips: tuple[int, ...] = ()
    gamma: float | None = None
    noise: float | None = None
    noise_key: tuple[int, ...] = ()
    blur: Strengths | None = None
    brightness: Strengths | None = None
    contrast: Strengths | None = None
    low_resolution: Strengths | None = None


@dataclass(frozen=True, slots=True)
class Shown:
    """A showing of a sample, cropped.

    Args:
        index: of the sample.
        corner: the first voxel of the crop in it; it may lie outside.
        box: the part of the crop that is not padding.
        drawn: what happens to it.
    """

    index: int
    corner: Corner
    box: Box
    drawn: Drawn


class Augmentation:
    """Rotation and scaling, intensities, then flips.

    Args:
        settings: which kinds, how likely and how strong.
        normalization: of the samples; intensities stay in [0, 1] if it promises that.
        samples: the training samples.
        seed: of the trial.
        spacing: mm along the axes of volumes; None if unknown.
    """

    def __init__(
        self,
        settings: AugmentationSettings,
        normalization: Normalization,
        samples: Samples,
        *,
        seed: int,
        spacing: tuple[float, ...] | None = None,
    ) -> None:
        self.settings = settings
        self.grid = Grid(samples[0].label.ndim, spacing)
        self._normalization = normalization
        self._channels = len(samples[0].image)
        self._gamma = Gamma(settings.gamma.mode, normalization, samples)
        self._seed = seed

    @property
    def is_off(self) -> bool:
        """Whether nothing is ever augmented."""
        return all(kind.probability == 0 for _, kind in self.settings)

    def reach(self, size: Sequence[int]) -> list[int]:
        """Sides of the box that a turned and zoomed patch of ``size`` is taken from."""
        rotation, scaling = self.settings.rotation, self.settings.scaling
        return self.grid.reach(
            size,
            math.radians(rotation.degrees) if rotation.probability else 0.0,
            scaling.largest if scaling.probability else 1.0,
        )

    def drawn(self, showing: Showing) -> Drawn:
        """The parameters of one showing of a sample."""
        settings = self.settings

        def stream(number: _Stream, kind: RandomSettings) -> Generator | None:
            """The random stream of an augmentation; None if it does not take place."""
            return self._chance(showing, number, kind.probability)

        values: dict[str, Any] = {}
        angles, zoom = [0.0], 1.0
        if rng := stream(_Stream.ROTATION, settings.rotation):
            largest = math.radians(settings.rotation.degrees)
            angles = rng.uniform(-largest, largest, self.grid.angles).tolist()
        if rng := stream(_Stream.SCALING, settings.scaling):
            zoom = _around_one(rng, settings.scaling.largest)
        if any(angles) or zoom != 1:
            values["matrix"] = self.grid.matrix(angles, zoom)
        if rng := stream(_Stream.GAMMA, settings.gamma):
            values["gamma"] = _around_one(rng, settings.gamma.largest)
        if rng := stream(_Stream.NOISE, settings.noise):
            values["noise"] = rng.uniform(0, settings.noise.std)
            values["noise_key"] = tuple(rng.integers(-(2**31), 2**31, 2).tolist())
        for name, number, low, high in (
            ("blur", _Stream.BLUR, settings.blur.sigma / 2, settings.blur.sigma),
            ("brightness", _Stream.BRIGHTNESS, *_within(settings.brightness.change)),
            ("contrast", _Stream.CONTRAST, *_within(settings.contrast.change)),
            ("low_resolution", _Stream.LOW_RESOLUTION, settings.low_resolution.smallest, 1.0),
        ):
            if rng := stream(number, getattr(settings, name)):
                values[name] = rng.uniform(low, high, self._channels).astype(np.float32)
        flips = enumerate(_FLIPS[-self.grid.axes :])
        probability = settings.flips.probability
        values["flips"] = tuple(
            axis for axis, number in flips if self._chance(showing, number, probability)
        )
        return Drawn(**values)

    def recoloured(self, images: Tensor, shown: Sequence[Shown]) -> Tensor:
        """Change the intensities of a batch ``[B, C, (D,) H, W]``, perhaps in place.

        Args:
            images: of what is shown, turned and zoomed.
        """
        for kind in KINDS:
            rows = [n for n, one in enumerate(shown) if getattr(one.drawn, kind) is not None]
            if rows:
                change = partial(self._changed, kind, [shown[row] for row in rows])
                images = on_rows(images, rows, change)
        return images

    def _changed(self, kind: str, shown: Sequence[Shown], images: Tensor) -> Tensor:
        """Images of which all draws hold this kind."""
        values, boxes = [getattr(one.drawn, kind) for one in shown], [one.box for one in shown]
        if kind == "gamma":
            return self._gamma.changed(images, values, [one.index for one in shown], boxes)
        if kind == "low_resolution":
            axes = range(1 if self.grid.in_slices else 0, self.grid.axes)
            return coarser(images, values, axes)
        strengths = to_device(np.array(values, np.float32), images.device)
        if kind == "blur":
            return blurred(images, strengths, self.settings.blur.sigma)
        if kind == "contrast":
            return contrasted(images, strengths, boxes)
        if kind == "noise":
            keys = np.array([one.drawn.noise_key for one in shown], np.int32)
            images = noisy(images, strengths, to_device(keys, images.device))
        else:
            images = brighter(images, strengths)
        return images.clamp_(0, 1) if self._normalization == "minmax" else images

    def _chance(self, showing: Showing, stream: _Stream, probability: float) -> Generator | None:
        if probability == 0:
            return None
        key = [self._seed, showing.epoch, showing.turn, showing.index, stream]
        rng = np.random.default_rng(key)
        return rng if rng.random() < probability else None


def _around_one(rng: Generator, largest: float) -> float:
    return rng.uniform(1 / largest, largest)


def _within(change: float) -> tuple[float, float]:
    return 1 - change, 1 + change
