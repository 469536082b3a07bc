"""What is found out once about a trial that diverged: the term to blame, and what led there.

The same for every trainer. What differs between them is a method of `UnderGuard`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import torch
from torch import nn

from sweep.spec.settings.geometric_terms import ROOT_TERMS
from sweep.spec.settings.loss_settings import LossSettings
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.trainer.divergence.advice import Advice, Case, slope
from sweep.trainer.divergence.blame import first_broken_gradient, forward_order, unchanged_buffers
from sweep.trainer.divergence.guard import Diverged
from sweep.trainer.divergence.judging import judge_epochs
from sweep.trainer.divergence.learnt import has_learnt, was_above_trivial
from sweep.trainer.divergence.verdict import broken_part
from sweep.trainer.divergence.verdicts import (
    VERDICTS,
    Nonfinite,
    Zombie,
    advise,
    every_advice,
    has_moved_weights,
    still_falling,
)
from sweep.trainer.runs.run_protocol import Loop
from sweep.trainer.runs.tried_cures import breaks_the_step, tried
from sweep.trainer.runs.under_guard import StepAgain, UnderGuard
from sweep.trainer.runs.watched_network import watched
from sweep.vocabulary.divergence import Diagnosis, EpsilonFacts, StepValues
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.record import Divergence, Stage


def explain(run: UnderGuard, stop: Diverged) -> Diverged:
    """The same divergence with its circumstances; takes the weights back to before that step.

    A step that `UnderGuard.rewind` does not reach is not examined: its weights are lost.

    Args:
        run: as the guard left it.
        stop: what the guard raised.
    """
    verdict = stop.divergence
    place = verdict.epoch, verdict.step
    again = run.step_again(*place)  # before the rewind, which lets go of its batch
    if again is None and verdict.cause == Zombie.cause:
        again = _last_skipped(run)
    if has_moved_weights(verdict) and not run.rewind(*place):
        again = None
        if verdict.stage is Stage.WEIGHTS:
            message = f"The step overflowed the weights; {run.keeps}."
            verdict = replace(verdict, message=message)
    seen = Seen(replace(verdict, weights_finite=run.weights_are_finite()))
    offending = None
    if again is not None:
        offending = again.state(stop.recent[-1]) if again.state is not None else None
        seen = _examined(run, again, seen.verdict)
    verdict = seen.verdict
    case = _case_of(run, stop.recent, seen)
    moved = has_moved_weights(verdict)
    advice = tried(run, None if moved else again, every_advice(case))
    if again is None and case.weighs_as_usual and not moved:
        advice = replace(advice, cure=f"{advice.cure} {run.how_to_see}".rstrip())
    diagnosis = replace(
        diagnose(case, advice, run.steps_per_epoch, run.epsilon_facts()),
        recent=stop.recent,
        cases=() if again is None else again.cases,
        soft_areas=seen.soft_areas,
        replayable=offending is not None,
    )
    return Diverged(replace(verdict, diagnosis=diagnosis), stop.recent, offending)


def _last_skipped(run: UnderGuard) -> StepAgain | None:
    """What stands in for an earlier step of a zombie: the weights are the same since, and it broke
    too.
    """
    again = run.step_again(*run.guard.recent()[-1].place)
    return None if again is None else replace(again, called="the last skipped step")


def _examined(run: UnderGuard, again: StepAgain, verdict: Divergence) -> Seen:
    """`examine` a step and its batch, as far as that is possible.

    A trial that diverged must not fail for want of memory, or by a loss or a network of the user's
    that does not take the same batch twice.
    """
    seen, batch_finite = Seen(verdict), True
    with suppress(Exception):
        batch_finite = not breaks_the_step(run, again)
    with suppress(Exception):
        seen = examine(run, again, verdict)
    return replace(seen, batch_finite=batch_finite)


def _case_of(run: UnderGuard, recent: Sequence[StepValues], seen: Seen) -> Case:
    """What the causes are chosen by.

    Args:
        recent: the last steps up to the one in the verdict.
    """
    # The last gradient that moved the weights to where the verdict fell. An outlier comes after.
    before = recent[:-1] if VERDICTS[seen.verdict.cause].moves_weights else recent
    applied = [values.grad_norm for values in before if not values.skipped]
    first = recent[0]
    return Case(
        verdict=seen.verdict,
        settings=run.settings,
        batch_finite=seen.batch_finite,
        scaled=run.guard.fp16,
        gradient=applied[-1] if applied else None,
        geometric_share=geometric_share(
            run.settings.loss, ((one.epoch, one.loss, one.terms) for one in recent)
        ),
        optimizer_is_own=run.optimizer_is_own,
        own_rate=rate_of(run.optimizer),
        divides_by_zero=divides_by_zero(run.optimizer),
        weight_size=size_of(run.model),
        largest_logit=seen.largest_answer,
        breaker=seen.breaker,
        breaks_at_answers=seen.breaks_at_answers,
        first_gradient=first.grad_norm if first.place == (0, 0) else None,
    )


def judge(run: UnderGuard, history: Sequence[EpochMetrics]) -> Diverged | None:
    """The verdict on the last epoch of a history, if there is one, with its circumstances.

    A zombie is explained by the first step of its epoch.
    """
    guard, settings = run.guard, run.settings
    loop = Loop.of(settings)
    stops = loop.stopping.replay(loop.objective.curve(history)) is not None
    over = stops or len(history) >= loop.epochs
    verdict = judge_epochs(history, guard.settings, scaled=guard.fp16, over=over)
    if verdict is None:
        return None
    first = guard.recent((verdict.epoch, 0))
    if verdict.cause == Zombie.cause and first and first[-1].place == (verdict.epoch, 0):
        stage, term = broken_part(first[-1]) or (None, None)
        return explain(run, Diverged(replace(verdict, step=0, stage=stage, term=term), first))
    learnt = has_learnt(history, settings.guard) or was_above_trivial(history)
    case = Case(
        verdict=verdict,
        settings=settings,
        had_learnt=learnt,
        geometric_share=geometric_share(
            settings.loss, ((one.epoch, one.train_loss, one.terms) for one in history)
        ),
        optimizer_is_own=run.optimizer_is_own,
        still_falling=len(history) >= loop.epochs and still_falling(history),
    )
    diagnosis = diagnose(case, advise(case), run.steps_per_epoch, run.epsilon_facts())
    diagnosis = replace(diagnosis, recent=guard.recent())
    verdict = replace(verdict, weights_finite=run.weights_are_finite(), diagnosis=diagnosis)
    return Diverged(verdict, guard.recent())


def require_finite_loss(metrics: EpochMetrics, settings: TrialSettings) -> None:
    """Check the training loss that a loop without our guard reports for an epoch, if it does.

    Raises:
        Diverged: it is not finite, and ``guard.on_nonfinite`` is not ``skip``.
    """
    verdict = Nonfinite(settings.guard).judge_epochs([metrics], over=False)
    if verdict is not None:
        case = Case(verdict=verdict, settings=settings, optimizer_is_own=True)
        diagnosis = diagnose(case, advise(case), steps_per_epoch=0, epsilon=None)
        raise Diverged(replace(verdict, diagnosis=diagnosis))


def rate_of(optimizer: torch.optim.Optimizer) -> float | None:
    """The highest learning rate of its groups; None where it has none."""
    return max((float(one["lr"]) for one in optimizer.param_groups if "lr" in one), default=None)


def divides_by_zero(optimizer: torch.optim.Optimizer) -> bool:
    """Whether its ``eps`` is 0 in the type of any of its weights."""
    return any(
        bool(torch.tensor(group["eps"], dtype=weight.dtype) == 0)
        for group in optimizer.param_groups
        if isinstance(group.get("eps"), float | int)
        for weight in group["params"]
    )


def size_of(model: nn.Module) -> float | None:
    """Root mean square of a network's weights; None if they are not finite, or it has none."""
    weights = [p.detach() for p in model.parameters() if p.is_floating_point()]
    count = sum(weight.numel() for weight in weights)
    # In 64 bits, in which no square of theirs overflows.
    norms = [float(torch.linalg.vector_norm(one, dtype=torch.float64)) for one in weights]
    size = math.hypot(*norms) / math.sqrt(max(count, 1))
    return _finite(size) if count else None


def geometric_share(
    loss: LossSettings,
    measured: Iterable[tuple[int, float | None, Mapping[str, float | None]]],
) -> float | None:
    """The largest share of the geometric terms in the loss; None where none was measured.

    The rest of the loss counts at most what it was at first: once it has exploded it would hide
    the weight that drove it there.

    Args:
        loss: its settings.
        measured: epoch, total loss and terms before their weights, of steps or epochs.
    """
    found, first = [], math.inf
    for epoch, total, terms in measured:
        if total is None:
            continue
        factor = loss.ramp.factor(epoch)
        known = [
            factor * weight * value
            for name, weight in loss.weights.used.items()
            if (value := terms.get(name)) is not None
        ]
        own, rest = sum(map(abs, known)), abs(total - sum(known))
        first = rest if math.isinf(first) else first
        if factor and known:
            share = 1.0 if math.isinf(own) else own / max(own + min(rest, first), 1e-12)
            found += [share] if math.isfinite(share) else []
    return max(found, default=None)


def diagnose(
    case: Case, advice: Advice, steps_per_epoch: int, epsilon: EpsilonFacts | None
) -> Diagnosis:
    """Advice, distances and ε of a case."""
    epochs, steps = _since_switch_on(case.settings, case.verdict, steps_per_epoch)
    return Diagnosis(
        likely_cause=advice.cause,
        setting=advice.setting,
        advice=advice.cure,
        change=advice.change,
        epochs_after_switch_on=epochs,
        steps_after_switch_on=steps,
        epsilon=epsilon,
    )


def as_its_own(run: UnderGuard, verdict: Divergence) -> Divergence:
    """A verdict on a warm-up that another trial has trained, as this one tells it.

    The two differ in when the geometric loss would have switched on, and in its ε.
    """
    if verdict.diagnosis is None:
        return verdict
    epochs, steps = _since_switch_on(run.settings, verdict, run.steps_per_epoch)
    own = replace(
        verdict.diagnosis,
        epochs_after_switch_on=epochs,
        steps_after_switch_on=steps,
        epsilon=run.epsilon_facts(),
    )
    return replace(verdict, diagnosis=own)


def _since_switch_on(
    settings: TrialSettings, verdict: Divergence, steps_per_epoch: int
) -> tuple[int | None, int | None]:
    """Epochs and steps from the switch-on to a verdict; None if unknown."""
    epochs = settings.loss.ramp.since_switch_on(verdict.epoch)
    known = epochs == 0 or (epochs is not None and steps_per_epoch > 0)
    steps = (epochs or 0) * steps_per_epoch + verdict.step
    return epochs, steps if known and verdict.counts_steps else None


@dataclass(frozen=True, slots=True)
class Seen:
    """What a step shows that is looked at again.

    Args:
        verdict: with the term and the parameter to blame.
        soft_areas: of each sample, in pixels.
        largest_answer, breaker: as of `WatchedNetwork`.
        breaks_at_answers: as of `BrokenGradient.at_answers`.
        batch_finite: whether the batch did not break the step, see `breaks_the_step`.
    """

    verdict: Divergence
    soft_areas: tuple[float | None, ...] = ()
    largest_answer: float | None = None
    breaker: str | None = None
    breaks_at_answers: bool | None = None
    batch_finite: bool = True


def examine(run: UnderGuard, again: StepAgain, verdict: Divergence) -> Seen:
    """Look at a step again. The gradient of each term is taken alone, without a scaler's scale."""
    is_broken = verdict.stage is Stage.GRADIENT and not has_moved_weights(verdict)
    areas: tuple[float | None, ...] = ()
    if has_moved_weights(verdict) and again.soft_areas is None:
        return Seen(verdict)
    model, blamed = run.model, None
    model.train()  # as the step was taken; a validation may have come since
    with unchanged_buffers(model), forward_order(model) as order, watched(model) as network:
        answer, terms = again.forward()
        if again.soft_areas is not None:
            areas = tuple(map(_finite, again.soft_areas(answer).flatten().tolist()))
        if is_broken:
            blamed = first_broken_gradient(model, terms, order, network.answers)
    if blamed is not None:
        verdict = replace(verdict, term=blamed.term, parameter=blamed.parameter)
        if verdict.cause == Nonfinite.cause:
            of_term = f"the gradient of its term {blamed.term!r}"
            verdict = replace(verdict, message=verdict.message.replace("its gradient", of_term, 1))
    at_answers = None if blamed is None else blamed.at_answers
    return Seen(verdict, areas, network.largest_answer, network.breaker, at_answers)


def epsilon_of(loss: LossSettings, pixels: int, perimeter: float | None) -> EpsilonFacts | None:
    """What ε does to masks with a median perimeter in pixels; None without a square root.

    Args:
        pixels: of one image.
    """
    if not has_root(loss):
        return None
    return EpsilonFacts(
        value=loss.sqrt_epsilon,
        mode=loss.sqrt_mode,
        gradient_bound=_finite(slope(loss.sqrt_epsilon)),
        # What ε adds to the perimeter of a flat image: H·W·√ε.
        bias=0.0 if loss.sqrt_mode == "centered" else pixels * math.sqrt(loss.sqrt_epsilon),
        perimeter=perimeter,
    )


def has_root(loss: LossSettings) -> bool:
    """Whether a term with a square root has a weight."""
    return not loss.weights.used.keys().isdisjoint(ROOT_TERMS)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
