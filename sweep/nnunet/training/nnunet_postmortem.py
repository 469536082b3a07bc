"""What is found out once about a run of nnU-Net that diverged, as `postmortem` does for ours."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch

from sweep.trainer.divergence.advice import Case, advise
from sweep.trainer.divergence.blame import first_broken_gradient, forward_order, unchanged_buffers
from sweep.trainer.divergence.guard import Diverged
from sweep.trainer.losses.geometric_loss import as_slices
from sweep.trainer.runs.postmortem import epsilon_of
from sweep.vocabulary.divergence import Diagnosis, EpsilonFacts
from sweep.vocabulary.record import Cause, Divergence, Stage

if TYPE_CHECKING:
    from sweep.nnunet.training.geometric_trainer import nnUNetTrainerGeometric


def explain(
    trainer: nnUNetTrainerGeometric, stop: Diverged, batch: Mapping[str, Any] | None
) -> Diverged:
    """The same divergence with its circumstances.

    Args:
        trainer: as the guard left it: with the weights from before a step that was withheld.
        batch: of the step that the verdict names; None where it is gone.
    """
    verdict = dataclasses.replace(
        stop.divergence,
        weights_finite=all(
            bool(torch.isfinite(t).all()) for t in trainer.model.state_dict().values()
        ),
    )
    areas: tuple[float | None, ...] = ()
    pixels_finite = True
    if batch is not None:
        pixels_finite = bool(torch.isfinite(batch["data"]).all())
        verdict, areas = _examine(trainer, batch, verdict)
    norms = [values.grad_norm for values in stop.recent if not values.skipped]
    advice = advise(
        Case(
            verdict=verdict,
            settings=trainer.asked.settings,
            pixels_finite=pixels_finite,
            gradient=norms[-1] if norms else None,
        )
    )
    epochs = trainer.asked.settings.loss.ramp.since_switch_on(verdict.epoch)
    diagnosis = Diagnosis(
        likely_cause=advice.cause,
        setting=advice.setting,
        advice=advice.cure,
        epochs_after_switch_on=epochs,
        steps_after_switch_on=(
            None if epochs is None else epochs * trainer.num_iterations_per_epoch + verdict.step
        ),
        recent=stop.recent,
        cases=tuple(map(str, batch["keys"])) if batch is not None else (),
        soft_areas=areas,
        epsilon=_epsilon_facts(trainer),
    )
    return Diverged(dataclasses.replace(verdict, diagnosis=diagnosis), stop.recent)


def _examine(
    trainer: nnUNetTrainerGeometric, batch: Mapping[str, Any], verdict: Divergence
) -> tuple[Divergence, tuple[float | None, ...]]:
    """Look at the step again: the term and the parameter to blame, and each patch's soft area.

    The gradient of each term is taken alone and without a scaler's scale.
    """
    broken = verdict.stage is Stage.GRADIENT and verdict.cause is not Cause.EXPLODED
    with unchanged_buffers(trainer.model), forward_order(trainer.model) as order:
        passed = trainer.forward(batch, trainer.model)
        mask = as_slices(trainer.loss.soft_mask(passed.logits.detach()))  # [N, H, W]
        areas = tuple(_finite(area) for area in mask.sum(dim=(1, 2)).tolist())
        blamed = first_broken_gradient(trainer.model, trainer.loss.terms, order) if broken else None
    if blamed is None:
        return verdict, areas
    term, parameter = blamed
    message = verdict.message
    if verdict.cause is Cause.NONFINITE:
        message = (
            f"The loss was finite but the gradient of its term {term!r} was not; the step was not"
            " taken."
        )
    return dataclasses.replace(verdict, term=term, parameter=parameter, message=message), areas


def _epsilon_facts(trainer: nnUNetTrainerGeometric) -> EpsilonFacts | None:
    loss = trainer.asked.settings.loss
    pixels = math.prod(trainer.configuration_manager.patch_size[-2:])
    return epsilon_of(loss, pixels, None)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
