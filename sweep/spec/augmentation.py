"""What may be done to a training image before the network sees it; nothing unless asked for.

Every probability is that of one sample in one epoch, and the defaults are 0.
"""

from __future__ import annotations

from pydantic import Field

from sweep.spec.base import Settings


class FlipSettings(Settings):
    """Mirror images."""

    probability: float = Field(default=0.0, ge=0, le=1)
    """Of each of the two axes by itself."""


class RotationSettings(Settings):
    """Turn an image around its centre; what comes in from outside is 0."""

    probability: float = Field(default=0.0, ge=0, le=1)
    """0: never."""
    degrees: float = Field(default=15.0, gt=0, le=180)
    """The angle is drawn uniformly from [−degrees, degrees]."""


class ScalingSettings(Settings):
    """Zoom an image in or out about its centre; what comes in from outside is 0."""

    probability: float = Field(default=0.0, ge=0, le=1)
    """0: never."""
    largest: float = Field(default=1.25, gt=1, le=4)
    """The factor is drawn uniformly from [1 / largest, largest]."""


class NoiseSettings(Settings):
    """Add Gaussian noise; images normalised by min-max stay within [0, 1]."""

    probability: float = Field(default=0.0, ge=0, le=1)
    """0: never."""
    std: float = Field(default=0.1, gt=0)
    """The standard deviation, in units of the normalised image, is drawn from [0, std]."""


class AugmentationSettings(Settings):
    """Augmentation of the training samples, each kind with its own probability."""

    flips: FlipSettings = FlipSettings()
    rotation: RotationSettings = RotationSettings()
    scaling: ScalingSettings = ScalingSettings()
    noise: NoiseSettings = NoiseSettings()
