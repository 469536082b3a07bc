"""What may be done to a training image before the network sees it; nothing unless asked for.

Every probability is that of one sample in one epoch, and the defaults are 0.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator

from sweep.spec.settings.settings_base import Settings, refusal

GammaMode = Literal["before_normalization", "on_minmax", "shifted_retained"]

CORRECT_MODES = "use `before_normalization`, `on_minmax` or `shifted_retained`"
REFUSED_MODES = {
    "plain": "`plain` is refused: a z-scored image is negative in half of its pixels, and a power "
    f"of a negative number is NaN; {CORRECT_MODES}",
    "clip": "`clip` is refused: clipping a z-scored image at 0 to make room for gamma moves its "
    f"mean from 0 to about 0.4 and undoes the normalisation; {CORRECT_MODES}",
}
"""Ways to apply gamma that users know and that break normalised images, with the reason."""


class FlipSettings(Settings):
    """Mirror images."""

    probability: float = Field(default=0.0, ge=0, le=1)
    """Of each of the two axes by itself."""


class RotationSettings(Settings):
    """Turn an image around its centre; what comes in from outside is dark background."""

    probability: float = Field(default=0.0, ge=0, le=1)
    """0: never."""
    degrees: float = Field(default=15.0, gt=0, le=180)
    """The angle is drawn uniformly from [−degrees, degrees]."""


class ScalingSettings(Settings):
    """Zoom an image about its centre; what comes in from outside is dark background."""

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


class GammaSettings(Settings):
    """Raise intensities to a power, in a way that keeps what the normalisation promises."""

    probability: float = Field(default=0.0, ge=0, le=1)
    """0: never."""
    mode: GammaMode = "before_normalization"
    """On the un-normalised image, which is then normalised again; on the [0, 1] of min-max; or on
    the image shifted to [0, …], whose mean and standard deviation are restored."""
    largest: float = Field(default=1.5, gt=1, le=4)
    """The exponent is drawn uniformly from [1 / largest, largest]."""

    @field_validator("mode", mode="before")
    @classmethod
    def _keeps_the_normalisation(cls, mode: Any) -> Any:
        if isinstance(mode, str) and mode in REFUSED_MODES:
            raise ValueError(REFUSED_MODES[mode])
        return mode

    def must_fit(self, normalization: str) -> None:
        """Raise the refusal of a mode that breaks what ``data.normalization`` promises."""
        if self.probability == 0:
            return
        if self.mode == "on_minmax" and normalization != "minmax":
            reason = f"needs `data.normalization: minmax`, but that is `{normalization}`"
        elif self.mode == "shifted_retained" and normalization == "minmax":
            reason = "restores mean and standard deviation, which leaves the [0, 1] of `minmax`"
        else:
            return
        message = f"`{self.mode}` {reason}; `before_normalization` fits both"
        raise refusal(message, "gamma", "mode", value=self.mode)


class AugmentationSettings(Settings):
    """Augmentation of the training samples, each kind with its own probability."""

    flips: FlipSettings = FlipSettings()
    rotation: RotationSettings = RotationSettings()
    scaling: ScalingSettings = ScalingSettings()
    noise: NoiseSettings = NoiseSettings()
    gamma: GammaSettings = GammaSettings()
