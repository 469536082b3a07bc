"""nnU-Net's plans with the batch and patch size that a configuration asks for instead."""

from __future__ import annotations

from typing import Any

import numpy as np
from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager, PlansManager

from sweep.errors import InputError, Mistake
from sweep.spec.trainer import NnunetTrainer
from sweep.spec.wording import did_you_mean, near_miss


def planned_as_asked(
    plans: dict[str, Any], configuration: str, asked: NnunetTrainer
) -> dict[str, Any]:
    """``plans``, changed in place where ``asked`` has a size of its own.

    nnU-Net writes the plans that it trained with beside its weights, so that a prediction cuts
    patches of the same size.

    Raises:
        InputError: no such configuration, or a patch that the planned network cannot halve.
    """
    planned = _configuration(plans, configuration)
    changes: dict[str, Any] = {}
    if asked.batch_size is not None:
        changes["batch_size"] = asked.batch_size
    if asked.patch_size is not None:
        _must_fit(asked.patch_size, planned)
        changes["patch_size"] = list(asked.patch_size)
    plans["configurations"][configuration].update(changes)
    return plans


def _configuration(plans: dict[str, Any], name: str) -> ConfigurationManager:
    """A configuration with what it inherits from others."""
    known = list(plans["configurations"])
    if name not in known:
        raise InputError.single(
            f"{plans['plans_name']} has no configuration {name!r}"
            f"{did_you_mean(near_miss(name, known))} (it has {', '.join(known)})",
            key="trainer.configuration",
        )
    return PlansManager(plans).get_configuration(name)


def _must_fit(patch: tuple[int, ...], planned: ConfigurationManager) -> None:
    axes = len(planned.patch_size)
    if len(patch) != axes:
        raise InputError.single(
            f"must have {axes} sizes, as {list(planned.patch_size)} of the plans, but is"
            f" {list(patch)}",
            key="trainer.patch_size",
        )
    factors = np.prod(np.vstack(planned.pool_op_kernel_sizes), axis=0).tolist()
    mistakes = [
        Mistake(
            f"must be a multiple of {factor} along axis {axis}, since the planned network halves it"
            f" that often, but is {size}",
            key="trainer.patch_size",
        )
        for axis, (size, factor) in enumerate(zip(patch, factors, strict=True))
        if size % factor
    ]
    if mistakes:
        raise InputError(mistakes)
