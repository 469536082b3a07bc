"""The settings of the training loss."""

from __future__ import annotations

import math
from functools import partial
from operator import not_
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from sweep.plugins.plugin_kinds import (
    LOSS_TERM,
    MAIN_LOSS,
    own_or_plugin,
    required_entry,
    short_name,
)
from sweep.spec.settings.geometric_terms import TERMS, GeometricWeights
from sweep.spec.settings.settings_base import ActsLate, Options, Settings, one_or_several
from sweep.vocabulary.geometric_ramp import GeometricRamp

MainLoss = Literal["dice_ce", "dice_focal", "focal_logcosh_dice"]
OWN_MAIN_LOSSES: tuple[str, ...] = get_args(MainLoss)
MAIN_TERMS = ("dice", "logcosh_dice", "ce", "focal")
"""Names of the terms of the main losses."""


PluginEntry = Annotated[str, AfterValidator(partial(required_entry, LOSS_TERM))]


def _names_of_their_own(entries: tuple[str, ...]) -> tuple[str, ...]:
    """Plug-in terms whose short names are no other term's."""
    taken = {*TERMS, *MAIN_TERMS}
    if len({*entries}) < len(entries):
        raise ValueError("names a plug-in twice")
    for name in map(short_name, entries):
        if name in taken:
            raise ValueError(f"`{name}` is the name of another loss term: rename the plug-in")
        taken.add(name)
    return entries


def _main_has_own_name(main: str) -> str:
    if main not in OWN_MAIN_LOSSES:
        _names_of_their_own((main,))
    return main


class LossSettings(Settings):
    """``main + g(epoch) · Σ weight · geometric term``."""

    main: Annotated[str, own_or_plugin(MAIN_LOSS, MainLoss), AfterValidator(_main_has_own_name)] = (
        "dice_ce"
    )
    """Main loss, on from the first step: a Dice term plus a pixel-wise term; or a plug-in, as
    package.module:attribute, file.py:attribute or by its registered name."""
    main_options: Options = Field(default_factory=dict, exclude_if=not_)
    """Keyword arguments of a plug-in for `loss.main`. Each can be searched, as
    loss.main_options.NAME."""
    dice_weight: float = Field(default=1.0, ge=0)
    """Weight of the main loss's Dice or log-cosh Dice term; 0 leaves it out."""
    pixel_weight: float = Field(default=1.0, ge=0)
    """Weight of the main loss's cross-entropy or focal term; 0 leaves it out."""
    focal_gamma: float | None = Field(default=None, ge=1)
    """Exponent γ of the focal term; null: 2, or unused if `loss.main` has no focal term.

    Not below 1: for a pixel that is already right the gradient is γ · 0^(γ − 1) · 0, which is NaN.
    """
    warmup_epochs: Annotated[int, ActsLate()] = Field(default=20, ge=0)
    """Epochs before the geometric loss switches on: g = 0 while epoch < warmup_epochs."""
    rampup_epochs: Annotated[int, ActsLate()] = Field(default=10, ge=0)
    """Epochs after the warm-up over which g rises linearly to 1; 0: g is 1 at once."""
    terms: Annotated[
        tuple[PluginEntry, ...],
        Field(strict=False, exclude_if=not_),  # without plug-ins, a file need not say so
        one_or_several(str, str | list[str]),
        AfterValidator(_names_of_their_own),
        ActsLate(),
    ] = ()
    """Geometric terms of plug-ins, as package.module:attribute, file.py:attribute or by their
    registered names. `loss.weights` has their weights, by the name after the colon."""
    weights: GeometricWeights = GeometricWeights()
    sqrt_epsilon: Annotated[float, ActsLate()] = Field(default=1e-6, ge=0)
    """ε that guards the square roots (see `loss.sqrt_mode`). With 0 the gradient is NaN where a
    prediction is exactly flat."""
    sqrt_mode: Annotated[Literal["clamp", "offset", "centered"], ActsLate()] = "centered"
    """How ε acts. clamp: sqrt(max(q, ε)). offset: sqrt(q + ε). centered: sqrt(q + ε) − sqrt(ε)."""
    min_area: Annotated[float, ActsLate()] = Field(default=50.0, ge=0)
    """Smallest soft area in pixels. Smaller samples are left out of the shape terms, those that
    look at the prediction alone."""
    components: Annotated[Literal["joint", "separate"], ActsLate()] = "joint"
    """What the shape terms take as a shape. joint: all that is predicted of a class. separate: each
    of its connected components; their mean is weighted by area. The terms of plug-ins are always
    joint."""
    border: Annotated[Literal["keep", "ignore"], ActsLate()] = "keep"
    """What the shape terms do with a shape that touches the border of the patch or image. ignore:
    it is left out, because where it is cut is no part of its outline."""

    @property
    def min_volume(self) -> float:
        """Smallest soft volume, that of the ball whose middle section has ``min_area``:
        ``4 / (3√π) · area^(3/2)``."""
        return 4 / (3 * math.sqrt(math.pi)) * math.pow(self.min_area, 1.5)

    @property
    def has_plugin_main(self) -> bool:
        """Whether another package brings the main loss."""
        return self.main not in OWN_MAIN_LOSSES

    @property
    def plugin_terms(self) -> dict[str, str]:
        """Short name of each plug-in term → the name by which it is found."""
        return {short_name(entry): entry for entry in self.terms}

    @property
    def ramp(self) -> GeometricRamp:
        """The schedule of the geometric loss: off, rising, full."""
        return GeometricRamp(
            off_until=self.warmup_epochs,
            full_from=self.warmup_epochs + self.rampup_epochs,
            acts=bool(self.weights.used),
        )

    @field_validator("pixel_weight")
    @classmethod
    def _a_main_loss_is_left(cls, weight: float, info: ValidationInfo) -> float:
        if weight == 0 and info.data.get("dice_weight") == 0:
            raise ValueError("must be above 0 if `dice_weight` is 0: no main loss is left")
        return weight

    @field_validator("weights")
    @classmethod
    def _terms_have_weights(
        cls, weights: GeometricWeights, info: ValidationInfo
    ) -> GeometricWeights:
        names = [short_name(entry) for entry in info.data.get("terms", ())]
        if short_name(info.data.get("main", "")) in names:
            raise ValueError(f"`{info.data['main']}` and a term of `terms` have the same name")
        return weights.for_plugins(names)

    @field_validator("focal_gamma")
    @classmethod
    def _there_is_a_focal_term(cls, gamma: float | None, info: ValidationInfo) -> float | None:
        main = info.data.get("main", "")
        if gamma is not None and main not in ("dice_focal", "focal_logcosh_dice"):
            raise ValueError(f"`{main}` has no focal term: must be null, but is {gamma:g}")
        return gamma
