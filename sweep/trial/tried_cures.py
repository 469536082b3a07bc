"""Cures, tried on the step that broke before one of them is advised."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from copy import deepcopy
from dataclasses import replace
from typing import Any

import torch

from sweep.spec.settings.trial_settings import TrialSettings
from sweep.spec.tree.setting_tree import replace_value
from sweep.trainer.divergence.advice import Advice
from sweep.trainer.divergence.guard import Diverged
from sweep.trial.kinds.kind_table import kind_of

CURED = "With it, the step that broke is finite."
REFUTED = "The step that broke breaks with it too, so it is not the whole cause."


def with_tried_cure(settings: TrialSettings, end: Diverged) -> Diverged:
    """The same divergence with the first advice that cures the step that broke.

    If none does, the likeliest one stays. Many cannot be tried on a step, such as a lower learning
    rate.

    Args:
        settings: of the trial.
        end: what the guard found, with every advice that fits.
    """
    verdict, diagnosis = end.divergence, end.divergence.diagnosis
    if diagnosis is None or not end.advices:
        return end
    advice = _tried(settings, end)
    diagnosis = replace(diagnosis, **advice.in_diagnosis)
    return Diverged(replace(verdict, diagnosis=diagnosis), end.recent, end.offending)


def _tried(settings: TrialSettings, end: Diverged) -> Advice:
    """The advice to give, with a sentence about what came of it in the step, if it was tried."""
    likeliest = end.advices[0]
    for advice in end.advices:
        cured = _is_cured(settings, end, advice.change) if advice.change else None
        if cured:
            return replace(advice, cure=f"{advice.cure} {CURED}")
        if cured is False and advice is likeliest:
            likeliest = replace(advice, cure=f"{advice.cure} {REFUTED}")
    return likeliest


def unscaled(offending: Mapping[str, Any]) -> dict[str, Any]:
    """The kept step with a gradient scaler that multiplies by 1, if it has a scaler.

    float16 overflows until its scale has come down to one that fits. With a cure, the training
    would find it; without, no scale fits.
    """
    scaler = offending["scaler"]
    return {**offending, "scaler": scaler | {"scale": 1.0} if scaler else scaler}


def _is_cured(settings: TrialSettings, end: Diverged, change: Mapping[str, Any]) -> bool | None:
    """Whether the step is finite with other settings; None if it cannot be taken again."""
    replay = kind_of(settings).replay
    if replay is None or end.offending is None:
        return None
    values = settings.model_dump()
    for key, value in change.items():
        replace_value(values, key, value)
    # A trial that diverged must not fail for want of memory for a second network, or because a
    # loss of the user's raises. A compiler would take minutes for one step.
    with suppress(Exception), torch.compiler.set_stance("force_eager"):
        changed = TrialSettings.model_validate(values)
        # An optimizer that is given its state would go on in the very tensors.
        offending = unscaled(deepcopy(end.offending))
        return replay(changed, end.divergence, offending).is_finite
    return None
