"""What is found out once about a trial that diverged: who is to blame, and what led there."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from sweep.data.prepared.outline_length import typical_perimeter
from sweep.spec.settings.geometric_terms import ROOT_TERMS
from sweep.spec.settings.trial_settings import LossSettings, TrialSettings
from sweep.trainer.batches.training_batches import Batch
from sweep.trainer.divergence.advice import Case, advise, slope
from sweep.trainer.divergence.blame import first_broken_gradient, forward_order, unchanged_buffers
from sweep.trainer.divergence.guard import Diverged
from sweep.trainer.divergence.learnt import has_learnt, was_above_trivial
from sweep.trainer.divergence.verdicts import broken_part
from sweep.vocabulary.divergence import Diagnosis, EpsilonFacts, StepValues
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.record import Cause, Divergence, Stage

if TYPE_CHECKING:
    from sweep.trainer.runs.monai_run import Training


def explain_step(training: Training, stop: Diverged) -> Diverged:
    """The same divergence with its circumstances; takes the weights back to before that step.

    Args:
        training: as the guard left it.
        stop: what the guard raised.
    """
    verdict = stop.divergence
    moved = verdict.stage is Stage.WEIGHTS or verdict.cause is Cause.EXPLODED
    is_before = training.rewind(verdict.epoch, verdict.step) if moved else True
    verdict = dataclasses.replace(verdict, weights_finite=training.weights_are_finite())
    batch = training.batch(verdict.epoch, verdict.step)
    offending = offending_state(training, batch, stop.recent[-1]) if is_before else None
    verdict, soft_areas = examine(training, batch, verdict)
    diagnosis = dataclasses.replace(
        diagnose(
            Case(
                verdict=verdict,
                settings=training.settings,
                pixels_finite=bool(torch.isfinite(batch.images).all()),
                gradient=last_gradient(verdict, stop.recent),
            ),
            training.steps_per_epoch,
            epsilon_facts(training),
        ),
        recent=stop.recent,
        cases=batch.cases,
        soft_areas=tuple(_finite(area) for area in soft_areas.tolist()),
        replayable=is_before,
    )
    return Diverged(dataclasses.replace(verdict, diagnosis=diagnosis), stop.recent, offending)


def explain_epoch(
    training: Training, verdict: Divergence, history: Sequence[EpochMetrics]
) -> Diverged:
    """A verdict on an epoch with its circumstances; a zombie is explained by its first step."""
    if verdict.cause is Cause.ZOMBIE:
        recent = training.recent_steps((verdict.epoch, 0))
        stage, term = broken_part(recent[-1]) or (None, None)
        blamed = dataclasses.replace(verdict, step=0, stage=stage, term=term)
        return explain_step(training, Diverged(blamed, recent))
    learnt = had_learnt(history, training.settings)
    case = Case(verdict=verdict, settings=training.settings, had_learnt=learnt)
    recent = training.recent_steps()
    diagnosis = diagnose(case, training.steps_per_epoch, epsilon_facts(training))
    finite = training.weights_are_finite()
    told = dataclasses.replace(
        verdict, diagnosis=dataclasses.replace(diagnosis, recent=recent), weights_finite=finite
    )
    return Diverged(told, recent)


def had_learnt(history: Sequence[EpochMetrics], settings: TrialSettings) -> bool:
    """Whether the network was ever worth more than an answer that ignores the images."""
    return has_learnt(history, settings.guard) or was_above_trivial(history)


def diagnose(case: Case, steps_per_epoch: int, epsilon: EpsilonFacts | None) -> Diagnosis:
    """Advice, distances and ε of a case."""
    advice = advise(case)
    epochs = case.settings.loss.ramp.since_switch_on(case.verdict.epoch)
    return Diagnosis(
        likely_cause=advice.cause,
        setting=advice.setting,
        advice=advice.cure,
        epochs_after_switch_on=epochs,
        steps_after_switch_on=(
            None if epochs is None else epochs * steps_per_epoch + case.verdict.step
        ),
        epsilon=epsilon,
    )


def examine(training: Training, batch: Batch, verdict: Divergence) -> tuple[Divergence, Tensor]:
    """Look at the offending step again: term and parameter to blame, and the soft areas ``[B]``.

    The gradient of each term is taken alone and without a scaler's scale.
    """
    with unchanged_buffers(training.model), forward_order(training.model) as order:
        passed = training.forward(batch, verdict.epoch, verdict.step)
        areas = training.soft_areas(passed.outputs[0].detach())
        if verdict.stage is not Stage.GRADIENT or verdict.cause is Cause.EXPLODED:
            return verdict, areas
        blamed = first_broken_gradient(training.model, passed.terms, order)
    return (verdict if blamed is None else blame(verdict, *blamed)), areas


def blame(verdict: Divergence, term: str, parameter: str) -> Divergence:
    """A verdict on a gradient that was not finite, with the term and parameter found to blame."""
    message = verdict.message
    if verdict.cause is Cause.NONFINITE:
        message = (
            f"The loss was finite but the gradient of its term {term!r} was not; the step was not"
            " taken."
        )
    return dataclasses.replace(verdict, term=term, parameter=parameter, message=message)


def offending_state(training: Training, batch: Batch, values: StepValues) -> dict[str, Any]:
    """All that the step can be reproduced from, without the data set: tensors and plain values.

    Args:
        training: with weights and optimizer as they were before the step.
        batch: of the step.
        values: what the step measured.
    """
    state = training.state_dict()
    scaler = state["guard"]["scaler"]
    return {
        "epoch": values.epoch,
        "step": values.step,
        "images": batch.images,
        "labels": batch.labels,
        "cases": list(batch.cases),
        "channels": list(training.data.channels),
        "classes": list(training.data.classes),
        "geometric_class": training.data.geometric_class,
        "model": state["model"],
        "optimizer": state["optimizer"],
        # The scaler has backed off since.
        "scaler": scaler | {"scale": values.scale} if scaler else scaler,
    }


def last_gradient(verdict: Divergence, recent: Sequence[StepValues]) -> float | None:
    """Norm of the last gradient that moved the weights to where the verdict fell."""
    before = recent[:-1] if verdict.cause is Cause.EXPLODED else recent
    norms = [values.grad_norm for values in before if not values.skipped]
    return norms[-1] if norms else None


def epsilon_facts(training: Training) -> EpsilonFacts | None:
    """What ε does to the masks that were trained on; None where no term has a square root."""
    loss = training.settings.loss
    if epsilon_of(loss, 0, None) is None:
        return None  # nothing is measured for nobody
    height, width = training.batch(0, 0).labels.shape[-2:]
    typical = typical_perimeter(training.data.training, training.data.geometric_class)
    return epsilon_of(loss, height * width, typical)


def epsilon_of(loss: LossSettings, pixels: int, perimeter: float | None) -> EpsilonFacts | None:
    """What ε does to masks of a perimeter in images of so many pixels; None without a root."""
    if loss.weights.used.keys().isdisjoint(ROOT_TERMS):
        return None
    return EpsilonFacts(
        value=loss.sqrt_epsilon,
        mode=loss.sqrt_mode,
        gradient_bound=_finite(slope(loss.sqrt_epsilon)),
        bias=perimeter_bias(loss, pixels),
        perimeter=perimeter,
    )


def perimeter_bias(loss: LossSettings, pixels: int) -> float:
    """What ε adds to the perimeter of a flat image of so many pixels: H·W·√ε, or 0 if centred."""
    return 0.0 if loss.sqrt_mode == "centered" else pixels * math.sqrt(loss.sqrt_epsilon)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
