"""Augmentation of training images. All of it is off by default.

Every probability is per sample and epoch, and its default is 0. The kinds and the defaults of their
strengths are nnU-Net's (`nnUNetTrainer.get_training_transforms`), but for rotation, scaling and
gamma, which have milder defaults.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator

from sweep.spec.settings.data_settings import BY_NAME
from sweep.spec.settings.settings_base import Settings, refusal

GammaMode = Literal["before_normalization", "on_minmax", "shifted_retained"]

CORRECT_MODES = "use `before_normalization`, `on_minmax` or `shifted_retained`"
REFUSED_MODES = {
    "plain": "`plain` is refused: a z-scored image is negative in half of its pixels, and a power "
    f"of a negative number is NaN; {CORRECT_MODES}",
    "clip": "`clip` is refused: clipping a z-scored image at 0 to make room for gamma moves its "
    f"mean from 0 to about 0.4 and undoes the normalisation; {CORRECT_MODES}",
}
"""Known ways to apply gamma that break normalised images, each with the reason."""


class FlipSettings(Settings):
    """Mirror images."""

    probability: float = Field(default=0.0, ge=0, le=1)
    """Probability of a flip, separately for each axis; 0: never."""


class RandomSettings(Settings):
    """Base of the augmentations that one probability switches on."""

    probability: float = Field(default=0.0, ge=0, le=1)
    """0: never."""


class RotationSettings(RandomSettings):
    """Rotate a patch around its centre; what enters from outside the image is dark background."""

    degrees: float = Field(default=15.0, gt=0, le=180)
    """Largest angle: it is drawn uniformly from [−degrees, degrees], in volumes for each axis."""


class ScalingSettings(RandomSettings):
    """Zoom a patch about its centre; what enters from outside the image is dark background."""

    largest: float = Field(default=1.25, gt=1, le=4)
    """Largest zoom factor: it is drawn uniformly from [1 / largest, largest]."""


class NoiseSettings(RandomSettings):
    """Add Gaussian noise; images normalised by min-max stay within [0, 1]."""

    std: float = Field(default=0.1, gt=0)
    """Largest standard deviation, in units of the normalised image: it is drawn from [0, std]."""


class BlurSettings(RandomSettings):
    """Blur an image by a Gaussian."""

    sigma: float = Field(default=1.0, gt=0, le=8)
    """Largest standard deviation in voxels: it is drawn uniformly from [sigma / 2, sigma], for each
    channel."""


class BrightnessSettings(RandomSettings):
    """Multiply the normalised image by a factor; images normalised by min-max stay within [0,
    1]."""

    change: float = Field(default=0.25, gt=0, lt=1)
    """Largest change: the factor is drawn uniformly from [1 − change, 1 + change], for each
    channel."""


class ContrastSettings(RandomSettings):
    """Stretch the intensities about their mean by a factor; they stay within their range."""

    change: float = Field(default=0.25, gt=0, lt=1)
    """Largest change: the factor is drawn uniformly from [1 − change, 1 + change], for each
    channel."""


class LowResolutionSettings(RandomSettings):
    """Resample an image to a lower resolution and back."""

    smallest: float = Field(default=0.5, gt=0, lt=1)
    """Smallest share of the resolution that is left: it is drawn uniformly from [smallest, 1], for
    each channel."""


class GammaSettings(RandomSettings):
    """Raise intensities to a power without breaking the normalisation."""

    mode: GammaMode = "before_normalization"
    """Where gamma is applied. before_normalization: to the raw image, which is then normalised.
    on_minmax: to an image normalised to [0, 1]. shifted_retained: to the image shifted to start at
    0; the mean and standard deviation of the patch are restored afterwards."""
    largest: float = Field(default=1.5, gt=1, le=4)
    """Largest exponent: it is drawn uniformly from [1 / largest, largest]."""

    @field_validator("mode", mode="before")
    @classmethod
    def _keeps_the_normalisation(cls, mode: Any) -> Any:
        if isinstance(mode, str) and mode in REFUSED_MODES:
            raise ValueError(REFUSED_MODES[mode])
        return mode

    def must_fit(self, normalization: str) -> None:
        """Refuse a mode that breaks ``data.normalization``."""
        if self.probability == 0:
            return
        if normalization == BY_NAME and self.mode != "shifted_retained":
            message = (
                f"`{self.mode}` needs the mean or the range that `zscore` and `minmax` give each"
                " case, but `data.normalization` is `nnunet`: use `shifted_retained`, which is"
                " nnU-Net's"
            )
            raise refusal(message, "gamma", "mode", value=self.mode)
        if self.mode == "on_minmax" and normalization != "minmax":
            reason = f"needs `data.normalization: minmax`, but that is `{normalization}`"
        elif self.mode == "shifted_retained" and normalization == "minmax":
            reason = "restores mean and standard deviation, which leaves the [0, 1] of `minmax`"
        else:
            return
        message = f"`{self.mode}` {reason}; `before_normalization` fits both"
        raise refusal(message, "gamma", "mode", value=self.mode)


class AugmentationSettings(Settings):
    """Augmentation of the training samples. Each kind has its own probability."""

    flips: FlipSettings = FlipSettings()
    rotation: RotationSettings = RotationSettings()
    scaling: ScalingSettings = ScalingSettings()
    noise: NoiseSettings = NoiseSettings()
    gamma: GammaSettings = GammaSettings()
    blur: BlurSettings = BlurSettings()
    brightness: BrightnessSettings = BrightnessSettings()
    contrast: ContrastSettings = ContrastSettings()
    low_resolution: LowResolutionSettings = LowResolutionSettings()
