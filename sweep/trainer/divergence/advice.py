"""From a verdict to its likely cause and the setting that most often cures it.

A cure depends only on the verdict and the settings, so the advice can be derived without running
anything. Here are the cures that several verdicts share. `Verdict.cures` lists those of each.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import get_args

from sweep.plugins.plugin_kinds import short_name
from sweep.spec.settings.geometric_terms import ROOT_TERMS
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.vocabulary.record import Divergence, Stage

CLIP = 12.0
"""The gradient clip of nnU-Net."""

CENTERED = "loss.sqrt_mode: centered"
"""The root that adds nothing to a perimeter for any ε."""

USUAL_RATES = {"sgd": 0.01, "adamw": 1e-3}
"""Learning rates that rarely diverge: nnU-Net's and Adam's default."""

DECAYS = {"sgd": (0.3, 3e-5), "adamw": (30.0, 0.01)}
"""Weight decays above which the weights are not held, and the usual ones: nnU-Net's and torch's.
The first were seen to train, three times as much not, and a lower learning rate was no cure."""

FAR_TOO_HIGH = 10
"""Times the usual rate from which on it is blamed first. A clip does not cure it either: its steps
are still too long."""

FAR_TOO_HIGH_ANYWHERE = 1.0
"""Rate of an optimizer of the user above which a clip does not cure either, whatever it is."""

OVERGROWN = 3.0
"""Root mean square of the weights above which steps were too long. Trained weights are below 1."""

OVERCONFIDENT = 1e3
"""Absolute logit above which steps were too long. Trained networks answer with tens, where a
probability is already exactly 0 or 1 in 32 bits: from 17 and 104 on."""

OUT_OF_PROPORTION = 1e3
"""Norm of the untrained network's gradient above which it is blamed, and not the steps after it.
Networks with usual weights, images and losses begin with 0.1 to 50."""

SLIGHT = 0.1
"""Share of the geometric terms in the loss below which they are not blamed for the main loss."""

DOMINANT = 0.5
"""Share of the geometric terms in the loss from which on they are blamed for a value that is not
finite, whichever it is."""

HEAVIEST = 1.0
"""Weight of a geometric term above which a tenth of it may still be far too much. The terms of a
main loss are about 1, and so are most geometric ones."""

STEEP = 1e6
"""Slope of a square root, 1 / (2√ε), above which a float32 gradient easily overflows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What the advice is based on.

    Args:
        verdict: the guard's verdict.
        settings: the trial's settings.
        batch_finite: whether every value of the offending batch is finite, as far as is known.
        scaled: whether a scaler for float16 took the steps. nnU-Net chooses the precision itself.
        had_learnt: whether the network was ever better than a prediction that ignores the images.
        gradient: norm of the last applied gradient; None if none was applied.
        geometric_share: largest share of the geometric terms in the loss before the verdict; None
            if it is unknown.
        optimizer_is_own: whether the user's code made the optimizer, so that ``optimizer.lr`` does
            not count.
        own_rate: the highest rate in effect at last; None if it is unknown.
        divides_by_zero: whether ``eps`` of the optimizer is 0 in the type of its weights.
        weight_size: root mean square of the weights before the step that broke; None if unknown.
        largest_logit: largest absolute answer of the network to the batch that broke, infinite if
            one is not finite; None if unknown.
        breaker: the module of the network that answered usual values with values that are not
            finite; None if none is known.
        breaks_at_answers: whether the gradient that broke is not finite where it enters the network
            either; None if unknown.
        first_gradient: norm of the gradient of the untrained network; None if unknown.
    """

    verdict: Divergence
    settings: TrialSettings
    batch_finite: bool = True
    scaled: bool = False
    had_learnt: bool = True
    gradient: float | None = None
    geometric_share: float | None = None
    optimizer_is_own: bool = False
    still_falling: bool = False
    own_rate: float | None = None
    divides_by_zero: bool = False
    weight_size: float | None = None
    largest_logit: float | None = None
    breaker: str | None = None
    breaks_at_answers: bool | None = None
    first_gradient: float | None = None

    @property
    def weights(self) -> Mapping[str, float]:
        """Weights of the geometric terms."""
        return self.settings.loss.weights.model_dump()

    @property
    def rate_is_far_too_high(self) -> bool:
        """Whether ``optimizer.lr``, or what a scheduler made of it, is far above the usual; False
        if it does not count.
        """
        rate = max(self.settings.optimizer.lr, self.own_rate or 0)
        return not self.optimizer_is_own and rate > FAR_TOO_HIGH * _usual_rate(self)

    @property
    def weighs_as_usual(self) -> bool:
        """Whether the weights are not known to be larger than trained ones."""
        return self.weight_size is None or self.weight_size <= OVERGROWN

    @property
    def answers_as_usual(self) -> bool:
        """Whether the network is known to answer the batch as trained ones do."""
        logit = self.largest_logit
        return logit is not None and logit < OVERCONFIDENT and self.weighs_as_usual

    @property
    def broke_at_first(self) -> bool:
        """Whether it broke in the very first step, before any was taken."""
        verdict = self.verdict
        is_first = verdict.counts_steps and (verdict.epoch, verdict.step) == (0, 0)
        return is_first and verdict.stage in (Stage.LOSS, Stage.GRADIENT)

    @property
    def is_half(self) -> bool:
        """Whether values had to fit into float16."""
        return self.scaled or self.settings.trainer.amp == "fp16"

    @property
    def own_code(self) -> str:
        """As of `CommonTrainer.own_code`."""
        return self.settings.trainer.own_code

    @property
    def has_own_network(self) -> bool:
        return bool(self.own_code) or self.settings.network.is_plugin


@dataclass(frozen=True, slots=True)
class Advice:
    """Likely cause and cure.

    Args:
        cause: one sentence.
        setting: dotted name of the setting to change.
        cure: what to do, one sentence.
        change: the same as settings, if it acts within a step whose weights are given; it can then
            be tried on the step that broke.
        is_seen: whether the step that broke shows it.
    """

    cause: str
    setting: str
    cure: str
    change: Mapping[str, float | str] = field(default_factory=dict)
    is_seen: bool = False


AT_AN_EDGE = (
    "divides by 0, averages over nothing, overflows an exponential, or takes a logarithm, a root, a"
    " power or an angle at the edge of its range"
)
"""What an operation does that has no finite value or slope."""

Cure = Callable[[Case], Advice | None]
"""The advice in a case; None where it does not fit."""


def slope(epsilon: float) -> float:
    """Largest slope of a square root guarded by ε: 1 / (2√ε)."""
    return math.inf if epsilon == 0 else 1 / (2 * math.sqrt(epsilon))


def examine_the_batch(case: Case) -> Advice | None:
    """For a batch that was not finite."""
    if case.batch_finite:
        return None
    if case.settings.trainer.traits.is_own_loop:
        return Advice(
            "The batch contains values that are not finite before the network sees it.",
            case.own_code,
            "Check what it is made of: the file, its normalisation, a constant image, its labels.",
        )
    return Advice(
        "The images of the batch contain nonfinite values before the network sees them.",
        "data.source",
        "Check the cases named here: the file, its normalisation, a constant image.",
    )


def examine_the_plugin(case: Case) -> Advice | None:
    """For a plug-in whose value or gradient broke first, with finite logits before it."""
    verdict, loss = case.verdict, case.settings.loss
    if case.breaker is not None:
        return None
    if verdict.term in loss.plugin_terms:
        setting, contract = "loss.terms", ": sweep.testing.LossTermContract tries such masks"
    elif loss.has_plugin_main and (
        (verdict.epoch, verdict.step) == (0, 0)
        # Later, the weights may be the cause, unless the network answers as trained ones do.
        or (case.largest_logit is not None and case.largest_logit < OVERCONFIDENT)
    ):
        setting, contract = "loss.main", ""
    else:
        return None
    if verdict.stage not in (Stage.LOSS, Stage.GRADIENT):
        return None
    what = "value" if verdict.stage is Stage.LOSS else "gradient"
    return Advice(
        f"The {what} of {verdict.term or short_name(loss.main)!r}, a plug-in, was not finite.",
        setting,
        "Guard its roots, quotients, logarithms and exponentials where a mask is flat, empty or"
        f" full{contract}.",
    )


def raise_epsilon(case: Case) -> Advice | None:
    """For a square root whose slope is too steep, if the gradient of its term broke."""
    loss, term = case.settings.loss, case.verdict.term
    steepest = slope(loss.sqrt_epsilon)
    if case.verdict.stage is not Stage.GRADIENT or term not in ROOT_TERMS or steepest < STEEP:
        return None
    if loss.sqrt_epsilon == 0:
        cause = (
            f"With ε = 0 the square root in {term!r} has an infinite slope wherever the"
            " prediction is exactly flat, and infinity times the zero gradient there is NaN."
        )
        cure, mode = "Set loss.sqrt_epsilon to 1e-6", f" with {CENTERED}."
    else:
        cause = (
            f"ε = {loss.sqrt_epsilon:g} lets the slope of the square root in {term!r}"
            f" reach {steepest:.0e}, which can overflow in the backward pass."
        )
        cure, mode = (
            "Raise loss.sqrt_epsilon to 1e-6",
            f", with {CENTERED} so that it adds no bias.",
        )
    change: dict[str, float | str] = {"loss.sqrt_epsilon": 1e-6}
    if loss.sqrt_mode == "centered":
        return Advice(cause, "loss.sqrt_epsilon", cure + ".", change)
    change["loss.sqrt_mode"] = "centered"
    return Advice(cause, "loss.sqrt_epsilon", cure + mode, change)


def widen_the_precision(case: Case) -> Advice | None:
    """For values that float16 cannot hold, unless the rate soon leads out of any range."""
    trainer = case.settings.trainer
    if not case.is_half or case.rate_is_far_too_high:
        return None
    known = get_args(type(trainer).model_fields["amp"].annotation)
    wide, why = "off", ""
    if "bf16" in known:
        wide, why = "bf16", ", which has the range of float32, or off"
    cure = f"Set trainer.amp to {wide}{why}."
    cause = (
        "float16 ends at 65,504: the network's activations or their gradients exceeded its range."
    )
    if case.own_code and (case.largest_logit is None or case.answers_as_usual):
        cause = (
            "Either a value left the range of float16, which ends at 65,504 and rounds what is"
            " below 3e-8 to 0, or the loss divides by 0 or takes a logarithm or a root of 0 in any"
            " precision."
        )
        cure += " If it breaks there too, look into the loss."
    return Advice(cause, "trainer.amp", cure, {"trainer.amp": wide})


def raise_the_optimizers_epsilon(case: Case) -> Advice | None:
    """For an optimizer that divides by a mean of gradients to which nothing is added."""
    if case.verdict.stage is not Stage.WEIGHTS or not case.divides_by_zero:
        return None
    return Advice(
        "With eps = 0 the optimizer divides 0 by 0 for each weight whose gradient was always 0; for"
        " weights in float16, any eps below 3e-8 is 0.",
        case.own_code if case.optimizer_is_own else "optimizer.options.eps",
        "Set eps of the optimizer to 1e-8, or to 1e-4 for weights in float16.",
    )


def lower_the_broken_weight(case: Case) -> Advice | None:
    """For a geometric term that broke."""
    return lower_a_weight(case) if case.verdict.term in case.weights else None


def lower_the_dominant_weight(case: Case) -> Advice | None:
    """For geometric terms that are most of the loss: weighted, they overflow though none of them
    does alone. In float16 they do so long before they do in bfloat16."""
    share = case.geometric_share
    if share is None or share <= DOMINANT or case.verdict.term in case.weights:
        return None
    return lower_a_weight(case)


def lower_a_weight(case: Case) -> Advice | None:
    """For a geometric loss that is on: the weight of the term that broke, or else the largest,
    unless all of them are slight beside the main loss.
    """
    since = case.settings.loss.ramp.since_switch_on(case.verdict.epoch)
    weights, broken, share = case.weights, case.verdict.term, case.geometric_share
    is_slight = broken not in weights and share is not None and share < SLIGHT
    if since is None or since < 0 or is_slight:
        return None
    term = str(broken) if broken in weights else max(weights, key=weights.__getitem__)
    name, weight = f"loss.weights.{term}", weights[term]
    cause = (
        f"The geometric loss weighs much beside the main loss ({name} is {weight:g}): the network"
        " follows the shape and loses the object."
    )
    if broken in weights:  # of which no share is told
        cause = f"The geometric term {term!r} ({name} is {weight:g}) broke before any other value."
    lower = float(f"{min(weight / 10, HEAVIEST):g}")
    return Advice(
        cause,
        name,
        f"Lower {name} to {lower:g}, or let it rise more slowly (loss.rampup_epochs).",
        # A term that broke is broken with any weight. Of the steps before, only training tells.
        {name: lower} if case.verdict.term is None else {},
    )


def clip_the_gradient(case: Case) -> Advice | None:
    """Where nnU-Net's gradient clip would have acted, and steps of that norm are small enough."""
    optimizer = case.settings.optimizer
    if optimizer.gradient_clip is not None:
        return None
    if case.rate_is_far_too_high:
        return None
    if case.gradient is None or case.gradient <= CLIP:
        return None
    return Advice(
        f"A gradient of norm {case.gradient:.3g} was applied without clipping; one"
        " such step can ruin the weights.",
        "optimizer.gradient_clip",
        f"Set optimizer.gradient_clip to {CLIP:g}, as nnU-Net does.",
    )


def examine_the_network(case: Case) -> Advice | None:
    """For a module of the user's that broke on usual values, with weights as they are trained."""
    if case.breaker is None or not case.has_own_network or not case.weighs_as_usual:
        return None
    if case.is_half and case.rate_is_far_too_high:  # any module may leave its range then
        return None
    return Advice(
        f"The network's module {case.breaker} answers usual values with some that are not finite:"
        f" it {AT_AN_EDGE}.",
        case.own_code or "network.name",
        "Look into that module, and into what the batch gives it, such as a constant image or a"
        " single sample.",
        is_seen=True,
    )


def examine_the_start(case: Case) -> Advice | None:
    """For an own network that was out of proportion before any step was taken."""
    if not case.has_own_network:
        return None
    gradient, rate, logit = case.first_gradient, case.own_rate, case.largest_logit
    is_fast = case.rate_is_far_too_high or (rate is not None and rate > FAR_TOO_HIGH_ANYWHERE)
    if case.broke_at_first and logit is not None and OVERCONFIDENT <= logit < math.inf:
        seen = f"answers with values of up to {logit:.3g}"
        end = ". If it breaks beside smaller ones too, look into the loss."
    elif gradient is not None and OUT_OF_PROPORTION < gradient < math.inf and not is_fast:
        seen = f"has a gradient of norm {gradient:.3g}"
        clips = case.settings.optimizer.gradient_clip is not None
        end = "." if clips else f"; or set optimizer.gradient_clip to {CLIP:g}."
    else:
        return None
    return Advice(
        f"The untrained network {seen}: its initial weights, the scale of the images or that of the"
        " loss is far too large.",
        case.own_code or "network.name",
        "Initialise the network as usual, normalise the images, and take the mean over pixels, not"
        f" the sum{end}",
    )


def examine_the_loss(case: Case) -> Advice | None:
    """For a value that no learning rate explains: it broke before any step was taken, or the total
    broke and not one of the terms that it is made of.
    """
    verdict, terms = case.verdict, case.verdict.terms.values()
    is_first = case.broke_at_first
    finite = [math.isfinite(float(value)) for value in terms]
    is_total = verdict.stage is Stage.LOSS and verdict.term is None and all(finite) and any(finite)
    # Ours is finite wherever the answers are.
    is_own = bool(case.own_code) and case.answers_as_usual
    is_own = is_own and verdict.stage in (Stage.LOSS, Stage.GRADIENT)
    if not (is_first or is_total or is_own):
        return None
    who, batch = "the loss or the network", ", or the batch holds a value that is not finite"
    if is_own:
        batch = ""
        what = f"The {verdict.stage} is not finite, though the network's answers are"
        if case.breaks_at_answers is False:
            who, what = "the network", f"{what}, and so is the gradient that enters it"
        elif case.breaks_at_answers or verdict.stage is Stage.LOSS:
            who = "the loss"
    elif is_first:
        what = f"The {verdict.stage} broke in the very first step, before any was taken"
    else:
        what = "The loss is not finite, though each of its terms is"
    return Advice(
        f"{what}: {who} {AT_AN_EDGE}{batch}.",
        case.own_code or "loss.main",
        "Look into the batch, and into what the loss adds to its terms.",
        is_seen=is_own,
    )


def lower_the_weight_decay(case: Case) -> Advice | None:
    """For a weight decay that pulls the weights to 0 faster than any loss can hold them."""
    optimizer = case.settings.optimizer
    limit, usual = DECAYS.get(optimizer.name, (math.inf, 0.0))
    if case.optimizer_is_own or case.rate_is_far_too_high or optimizer.weight_decay <= limit:
        return None
    return Advice(
        f"The weight decay {optimizer.weight_decay:g} shrinks the weights in each step by more than"
        " the loss can hold against it.",
        "optimizer.weight_decay",
        f"Lower optimizer.weight_decay to {usual:g}.",
    )


def lower_the_far_too_high_own_rate(case: Case) -> Advice | None:
    """For an optimizer of the user's code whose steps made the weights overflow or grow far beyond
    any that are trained, unless a clip would have kept these steps short.
    """
    size, rate, gradient = case.weight_size, case.own_rate, case.gradient
    overgrown = case.verdict.stage is Stage.WEIGHTS or (size is not None and size > OVERGROWN)
    short_if_clipped = rate is None or rate <= FAR_TOO_HIGH_ANYWHERE
    if not overgrown or (short_if_clipped and gradient is not None and gradient > CLIP):
        return None
    return lower_the_own_rate(case)


def lower_the_own_rate(case: Case) -> Advice | None:
    """For finite values that lead away, with an optimizer of the user's code."""
    if not case.optimizer_is_own:
        return None
    return Advice(
        "The learning rate is too high for this network and loss: its steps lead away from any"
        " minimum.",
        "trainer.entry",
        "Lower the learning rate of your optimizer tenfold.",
    )


def lower_the_rate(case: Case) -> Advice:
    """Where nothing else fits."""
    if case.optimizer_is_own:
        return Advice(
            "The batch holds a value that is not finite, the loss or the network has no finite"
            " value or gradient there, or the learning rate is too high for them.",
            case.own_code,
            "Look into the batch for NaN, and into loss and network for a division by 0 and for a"
            " logarithm or a root of 0; else lower the learning rate of your optimizer tenfold.",
        )
    rate = case.settings.optimizer.lr
    if case.own_rate is not None and case.own_rate > rate and case.rate_is_far_too_high:
        return Advice(
            f"The learning rate had risen to {case.own_rate:g}, from an optimizer.lr of {rate:g}.",
            case.own_code,
            "Look into the learning-rate scheduler, and into what else sets the rate.",
        )
    return Advice(
        f"The learning rate {rate:g} is too high for this network and loss: its steps lead away"
        " from any minimum" + (", geometric loss or not." if any(case.weights.values()) else "."),
        "optimizer.lr",
        f"Lower optimizer.lr to {min(rate / 10, _usual_rate(case)):g}.",
    )


def _usual_rate(case: Case) -> float:
    """Of a plug-in one that no clip is too weak for."""
    return USUAL_RATES.get(case.settings.optimizer.name, FAR_TOO_HIGH_ANYWHERE / FAR_TOO_HIGH)
