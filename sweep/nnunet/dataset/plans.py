"""nnU-Net's plans with the batch and patch size that a configuration asks for instead."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sweep.nnunet.dataset.well_formed import configuration_of, plans_mistakes
from sweep.spec.settings.trainer_settings import NnunetTrainer
from sweep.spec.words.phrases import did_you_mean, near_miss
from sweep.vocabulary.errors import InputError, Mistake


def planned_as_asked(
    plans: dict[str, Any], configuration: str, asked: NnunetTrainer
) -> dict[str, Any]:
    """``plans``, changed in place where ``asked`` has a size of its own.

    nnU-Net writes the plans that it trained with beside its weights, so that a prediction cuts
    patches of the same size.

    Raises:
        InputError: no such configuration, one that nothing can be trained with, or a patch that
            the planned network cannot halve.
    """
    known, name = list(plans["configurations"]), plans.get("plans_name")
    if configuration not in known:
        raise InputError.single(
            f"{name} has no configuration {configuration!r}"
            f"{did_you_mean(near_miss(configuration, known))} (it has {', '.join(known)})",
            key="trainer.configuration",
        )
    if mistakes := list(plans_mistakes(plans, configuration, Path(f"{name}.json"))):
        raise InputError(mistakes)
    if mistakes := list(patch_mistakes(asked.patch_size, configuration_of(plans, configuration))):
        raise InputError(mistakes)
    changed = plans["configurations"][configuration]
    if asked.batch_size is not None:
        changed["batch_size"] = asked.batch_size
    if asked.patch_size is not None:
        changed["patch_size"] = list(asked.patch_size)
    return plans


def patch_mistakes(patch: tuple[int, ...] | None, planned: Mapping[str, Any]) -> Iterator[Mistake]:
    """What is wrong with a size of patches, for the network of a configuration.

    Args:
        patch: as asked for; None for the planned one.
        planned: the configuration, from `configuration_of`; `plans_mistakes` finds none in it.
    """
    axes = len(planned.get("patch_size", ()))
    if patch is None or not axes:
        return
    if len(patch) != axes:
        yield Mistake(
            f"must have {axes} sizes, as {list(planned['patch_size'])} of the plans, but is"
            f" {list(patch)}",
            key="trainer.patch_size",
        )
        return
    for axis, (size, factor) in enumerate(zip(patch, _halvings(planned, axes), strict=True)):
        if size % factor:
            yield Mistake(
                f"must be a multiple of {factor} along axis {axis}, since the planned network"
                f" halves it that often, but is {size}",
                key="trainer.patch_size",
            )


def _halvings(planned: Mapping[str, Any], axes: int) -> list[int]:
    """By how much the network divides each axis down to its coarsest level.

    Plans since nnU-Net 2.5 have the strides among the arguments of the network, older ones beside.
    """
    network = planned.get("architecture", {}).get("arch_kwargs", {})
    strides = network.get("strides") or planned.get("pool_op_kernel_sizes") or []
    return [math.prod(int(stride[axis]) for stride in strides) for axis in range(axes)]
