"""Cures, tried on the step that broke before one of them is advised."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from copy import deepcopy
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from sweep.spec.settings.trial_settings import TrialSettings
from sweep.spec.tree.setting_tree import replace_value
from sweep.trainer.divergence.advice import Advice
from sweep.trainer.divergence.blame import unchanged_buffers
from sweep.trainer.runs.returned_values import tensors
from sweep.trainer.runs.under_guard import StepAgain, UnderGuard
from sweep.trainer.runs.watched_network import largest


def cured_words(step: str) -> str:
    """Of a step that is called ``step``."""
    return f"With it, loss and gradient of {step} are finite."


def refuted_words(step: str) -> str:
    """Of a step that is called ``step``."""
    return f"{step.capitalize()} breaks with it too, so it is not the whole cause."


def tried(run: UnderGuard, again: StepAgain | None, advices: Sequence[Advice]) -> Advice:
    """The first advice that cures the step that broke, or else the likeliest.

    A sentence in it says what came of it. Many cannot be tried on a step, such as a lower learning
    rate.

    Args:
        run: with the weights from before the step.
        again: the step; None if its batch or those weights are lost.
        advices: all that fit, the likeliest first.
    """
    likeliest = advices[0]
    if again is None:
        return likeliest
    # Some steps in float16 break by their scale alone. Any change would seem to cure these.
    only_scaled = run.guard.fp16 and _is_cured(run, again, {})
    for advice in advices:
        if not advice.change or (only_scaled and "trainer.amp" not in advice.change):
            continue
        cured = _is_cured(run, again, advice.change)
        if cured:
            return replace(advice, cure=f"{advice.cure} {cured_words(again.called)}")
        if cured is False and advice is advices[0]:
            cure = f"{advice.cure} {refuted_words(again.called)}"
            likeliest = replace(advice, cure=cure, change={})
            if "trainer.amp" in advice.change:  # of an ε or a weight, it may be one of two faults
                likeliest = next((one for one in advices if one.is_seen), likeliest)
    return likeliest


def breaks_the_step(run: UnderGuard, again: StepAgain) -> bool:
    """Whether values of the batch are not finite and broke the step: with 0 in their place it would
    be finite. Some have a place in a batch, such as NaN for a target that the loss leaves out.
    """
    if math.isfinite(largest(one for _, one in tensors(again.inputs))):
        return False
    if _is_cured(run, again, {}):
        return False
    finite = {id(one): one.nan_to_num(0.0, 0.0, 0.0) for _, one in tensors(again.inputs)}
    with suppress(Exception):  # some classes of batches cannot be copied
        without = replace(again, inputs=deepcopy(again.inputs, finite))
        return _is_cured(run, without, {}) is not False
    return True


def changed(settings: TrialSettings, change: Mapping[str, Any]) -> TrialSettings:
    """The settings with others in their place, by dotted name."""
    values = settings.model_dump()
    for key, value in change.items():
        replace_value(values, key, value)
    return TrialSettings.model_validate(values)


def _is_cured(run: UnderGuard, again: StepAgain, change: Mapping[str, Any]) -> bool | None:
    """Whether loss and gradient are finite with a change; None if that cannot be found out.

    No scaler scales the loss: with a cure, the training would find a scale that fits.
    """
    model = run.model
    model.train()
    eager = torch.compiler.set_stance  # to compile another loss or precision takes a minute
    # A trial that diverged must not fail for want of memory, or by a loss of the user's.
    with suppress(Exception), eager("force_eager"), unchanged_buffers(model):
        loss = again.loss_with(changed(run.settings, change), again.inputs)
        weights = [weight for weight in model.parameters() if weight.requires_grad]
        gradients = torch.autograd.grad(loss, weights, allow_unused=True)
        norm = nn.utils.get_total_norm([one for one in gradients if one is not None])
        return bool(torch.isfinite(loss) & torch.isfinite(norm))
    return None
