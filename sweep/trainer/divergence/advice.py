"""From a verdict to its likely cause and the setting that most often cures it, as a table of rules.

The rules are tried from the top; the first that fits is used. They depend only on the verdict and
the settings, so the advice can be derived without running anything.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sweep.spec.settings.geometric_terms import ROOT_TERMS
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.vocabulary.record import Cause, Divergence, Stage

CLIP = 12.0
"""The gradient clip of nnU-Net."""

CENTERED = "loss.sqrt_mode: centered"
"""The root that adds nothing to a perimeter for any ε."""

USUAL_RATES = {"sgd": 0.01, "adamw": 1e-3}
"""Learning rates that rarely diverge: nnU-Net's and Adam's default."""

STEEP = 1e6
"""Slope of a square root, 1 / (2√ε), above which a float32 gradient easily overflows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What the advice is based on.

    Args:
        verdict: the guard's verdict.
        settings: the trial's settings.
        pixels_finite: whether every pixel of the offending batch is finite.
        had_learnt: whether the network was ever better than a prediction that ignores the images.
        gradient: norm of the last applied gradient; None if none was applied.
    """

    verdict: Divergence
    settings: TrialSettings
    pixels_finite: bool = True
    had_learnt: bool = True
    gradient: float | None = None

    @property
    def weights(self) -> Mapping[str, float]:
        """Weights of the geometric terms."""
        return self.settings.loss.weights.model_dump()

    @property
    def heaviest(self) -> str:
        """The geometric term that broke, or else the one with the largest weight."""
        if self.verdict.term in self.weights:
            return str(self.verdict.term)
        return max(self.weights, key=self.weights.__getitem__)


@dataclass(frozen=True, slots=True)
class Advice:
    """Likely cause and cure.

    Args:
        cause: one sentence.
        setting: dotted name of the setting to change.
        cure: what to do, one sentence.
    """

    cause: str
    setting: str
    cure: str


Rule = tuple[Callable[[Case], bool], Callable[[Case], Advice]]


def advise(case: Case) -> Advice:
    """The advice of the first rule that fits. The last rule always fits."""
    return next(advice(case) for fits, advice in RULES if fits(case))


def slope(epsilon: float) -> float:
    """Largest slope of a square root guarded by ε: 1 / (2√ε)."""
    return math.inf if epsilon == 0 else 1 / (2 * math.sqrt(epsilon))


def _stuck_or_nonfinite(case: Case) -> bool:
    return case.verdict.cause in (Cause.NONFINITE, Cause.ZOMBIE)


def _is_root(case: Case) -> bool:
    verdict = case.verdict
    return (
        _stuck_or_nonfinite(case) and verdict.stage is Stage.GRADIENT and verdict.term in ROOT_TERMS
    )


def _broken_pixels(case: Case) -> Advice:
    return Advice(
        "The images of the batch contain nonfinite values before the network sees them.",
        "data.source",
        "Check the cases named here: the file, its normalisation, a constant image.",
    )


def _root_of_zero(case: Case) -> Advice:
    return Advice(
        f"With ε = 0 the square root in {case.verdict.term!r} has an infinite slope wherever the"
        " prediction is exactly flat, and infinity times the zero gradient there is NaN.",
        "loss.sqrt_epsilon",
        "Set loss.sqrt_epsilon to 1e-6" + ("." if _is_centered(case) else f" with {CENTERED}."),
    )


def _steep_root(case: Case) -> Advice:
    loss = case.settings.loss
    return Advice(
        f"ε = {loss.sqrt_epsilon:g} lets the slope of the square root in {case.verdict.term!r}"
        f" reach {slope(loss.sqrt_epsilon):.0e}, which can overflow in the backward pass.",
        "loss.sqrt_epsilon",
        "Raise loss.sqrt_epsilon to 1e-6"
        + ("." if _is_centered(case) else f", with {CENTERED} so that it adds no bias."),
    )


def _is_centered(case: Case) -> bool:
    return case.settings.loss.sqrt_mode == "centered"


def _half_precision(case: Case) -> Advice:
    return Advice(
        "float16 ends at 65,504: the network's activations or their gradients exceeded its range.",
        "trainer.amp",
        "Set trainer.amp to bf16, which has the range of float32, or off.",
    )


def _no_clip(case: Case) -> Advice:
    return Advice(
        f"A gradient of norm {case.gradient:.3g} was applied without clipping; one"
        " such step can ruin the weights.",
        "optimizer.gradient_clip",
        f"Set optimizer.gradient_clip to {CLIP:g}, as nnU-Net does.",
    )


def _geometric_too_heavy(case: Case) -> Advice:
    name = f"loss.weights.{case.heaviest}"
    weight = case.weights[case.heaviest]
    return Advice(
        f"The geometric loss outweighs the main loss ({name} is {weight:g}): the network follows"
        " the shape and loses the object.",
        name,
        f"Lower {name} to {weight / 10:g}, or let it rise more slowly (loss.rampup_epochs).",
    )


def _rate_too_high(case: Case) -> Advice:
    rate = case.settings.optimizer.lr
    return Advice(
        f"The learning rate {rate:g} is too high for this network and loss: its steps lead away"
        " from any minimum" + (", geometric loss or not." if any(case.weights.values()) else "."),
        "optimizer.lr",
        f"Lower optimizer.lr to {min(rate / 10, USUAL_RATES[case.settings.optimizer.name]):g}.",
    )


def _nothing_learnt(case: Case) -> Advice:
    return Advice(
        "The network never left its first prediction: usually the learning rate is far too low or"
        " far too high, or the classes are too unbalanced for the main loss.",
        "optimizer.lr",
        f"Try optimizer.lr at {case.settings.optimizer.lr / 10:g} and at"
        f" {case.settings.optimizer.lr * 10:g}.",
    )


def _kept_skipping(case: Case) -> Advice:
    return Advice(
        "The same batches break in every epoch: skipping their steps does not help.",
        "guard.on_nonfinite",
        "Set guard.on_nonfinite to terminate and examine the first step that breaks.",
    )


def _never_learnt(case: Case) -> bool:
    return case.verdict.cause is Cause.COLLAPSED and not case.had_learnt


def _unclipped(case: Case) -> bool:
    """Whether nnU-Net's gradient clip would have acted."""
    clipped = case.settings.optimizer.gradient_clip is not None
    return not clipped and case.gradient is not None and case.gradient > CLIP


def _skipping(case: Case) -> bool:
    return case.verdict.cause is Cause.ZOMBIE and case.settings.guard.on_nonfinite == "skip"


def _is_geometric(case: Case) -> bool:
    """Whether the geometric loss was on and had a weight."""
    since = case.settings.loss.ramp.since_switch_on(case.verdict.epoch)
    broken_term = case.verdict.term in case.weights
    return since is not None and since >= 0 and (broken_term or not _stuck_or_nonfinite(case))


RULES: tuple[Rule, ...] = (
    (lambda case: not case.pixels_finite, _broken_pixels),
    (lambda case: _is_root(case) and case.settings.loss.sqrt_epsilon == 0, _root_of_zero),
    (lambda case: _is_root(case) and slope(case.settings.loss.sqrt_epsilon) >= STEEP, _steep_root),
    (
        lambda case: _stuck_or_nonfinite(case) and case.settings.trainer.amp == "fp16",
        _half_precision,
    ),
    (_never_learnt, _nothing_learnt),
    (_is_geometric, _geometric_too_heavy),
    (_unclipped, _no_clip),
    (_skipping, _kept_skipping),
    (lambda case: True, _rate_too_high),
)
