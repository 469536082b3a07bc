"""Named settings: what the users trained with, and what is recommended instead.

A preset sets only what characterises it, not the data, epochs, network or optimizer. In a trial
file, ``preset: NAME`` stands for its settings, and the file's own keys win. In a sweep file,
``presets: [NAME, …]`` are trials of their own, before those of the searcher.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sweep.spec.settings.geometric_terms import WEIGHTS, GeometricWeights, weight_keys
from sweep.spec.words.phrases import must_be, one_of
from sweep.vocabulary.record import ParameterValue

BASELINE = "baseline"
"""Name of the preset that others are compared with."""


@dataclass(frozen=True, slots=True)
class Preset:
    """A named configuration.

    Args:
        about: what it is and where its values come from.
        settings: value of each setting that belongs to it, by dotted name.
    """

    about: str
    settings: Mapping[str, ParameterValue]

    def settings_beside(self, weights: GeometricWeights) -> dict[str, ParameterValue]:
        """Its settings in a sweep with these weights: no plug-in term has a weight in a preset."""
        return {**dict.fromkeys(weight_keys(weights.of_plugins), 0.0), **self.settings}


WITHOUT_GEOMETRY: Mapping[str, ParameterValue] = dict.fromkeys(WEIGHTS, 0.0)

USERS_WEIGHTS: Mapping[str, ParameterValue] = {
    **WITHOUT_GEOMETRY,
    "loss.weights.compactness": 0.01,
    "loss.weights.boundary": 0.005,
    "loss.weights.aspect": 0.005,
}
"""The weights in the users' trainers. Terms that those did not have are off."""

V2_3: Mapping[str, ParameterValue] = {
    "loss.main": "dice_ce",
    "loss.dice_weight": 1.0,
    "loss.pixel_weight": 1.0,
    "loss.warmup_epochs": 20,
    "loss.rampup_epochs": 0,
    **USERS_WEIGHTS,
    "loss.sqrt_epsilon": 1e-4,
    "loss.sqrt_mode": "clamp",
    "loss.min_area": 50.0,
    "optimizer.gradient_clip": 12.0,
    "early_stopping.patience": None,
}

PRESETS: Mapping[str, Preset] = {
    BASELINE: Preset(
        about="No geometric part: what every geometric loss has to beat.",
        settings=WITHOUT_GEOMETRY,
    ),
    "geometric-v2.3": Preset(
        about="The trainer of the post-mortem of 2025-12-13 as it was meant: warm-up 20, switched "
        "on at once, sqrt(max(q, 1e-4)), gradients clipped at 12, no early stopping (it trained "
        "95 epochs on NaN). The run that failed had another file installed, with warm-up 5: add "
        "`loss: {warmup_epochs: 5}`.",
        settings=V2_3,
    ),
    "geometric-v2.4": Preset(
        about="The cure that the same post-mortem proposes in the short term: V2.3 with "
        "sqrt(max(q, 1e-2)). Samples under the minimal area are left out of the batch, as they "
        "are here in V2.3 too. Its ramp-up of 20 epochs is for later, `if the problem persists`: "
        "add `loss: {rampup_epochs: 20}`.",
        settings={**V2_3, "loss.sqrt_epsilon": 1e-2},
    ),
    "geometric-recommended": Preset(
        about="The same weights with a root that neither hides the outline nor stops the gradient "
        "of faint edges, sqrt(q + 1e-6) − sqrt(1e-6), and a ramp-up.",
        settings={
            "loss.warmup_epochs": 20,
            "loss.rampup_epochs": 10,
            **USERS_WEIGHTS,
            "loss.sqrt_epsilon": 1e-6,
            "loss.sqrt_mode": "centered",
            "loss.min_area": 50.0,
        },
    ),
    "logcosh-2024": Preset(
        about="The trainer of the post-mortem of 2024-11-27 after its fixes: focal plus log-cosh "
        "Dice, attention with deep supervision, patience 50 from the first epoch. Its clamp at "
        "±50 and its fallback of 10 for NaN are left out: log cosh is exact here, and a constant "
        "in place of a NaN has no gradient and hides it.",
        settings={
            **WITHOUT_GEOMETRY,
            "loss.main": "focal_logcosh_dice",
            "loss.dice_weight": 1.0,
            "loss.pixel_weight": 1.0,
            "network.name": "attention_unet",
            "network.deep_supervision": True,
            "early_stopping.patience": 50,
            "early_stopping.min_delta": 1e-4,
            "early_stopping.counts_from": "start",
        },
    ),
}


def check_preset(name: Any) -> str:
    """``name`` unchanged, if there is a preset of that name.

    Raises:
        ValueError: there is none; lists the presets and the one that was likely meant.
    """
    if not isinstance(name, str) or name not in PRESETS:
        raise ValueError(must_be(one_of(list(PRESETS)), name, PRESETS))
    return name
