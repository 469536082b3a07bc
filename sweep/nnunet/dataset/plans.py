"""nnU-Net's plans with the batch and patch size that a configuration asks for instead."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sweep.nnunet.dataset.nnunet_datasets import configuration_of
from sweep.nnunet.dataset.well_formed import plans_mistakes
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
    planned = _configuration(plans, configuration)
    file = Path(f"{plans.get('plans_name')}.json")
    if mistakes := list(plans_mistakes(plans, configuration, file)):
        raise InputError(mistakes)
    if mistakes := list(patch_mistakes(asked.patch_size, planned)):
        raise InputError(mistakes)
    changes: dict[str, Any] = {}
    if asked.batch_size is not None:
        changes["batch_size"] = asked.batch_size
    if asked.patch_size is not None:
        changes["patch_size"] = list(asked.patch_size)
    plans["configurations"][configuration].update(changes)
    return plans


def _configuration(plans: dict[str, Any], name: str) -> dict[str, Any]:
    """A configuration with what it inherits from others."""
    known = list(plans["configurations"])
    if name not in known:
        raise InputError.single(
            f"{plans.get('plans_name')} has no configuration {name!r}"
            f"{did_you_mean(near_miss(name, known))} (it has {', '.join(known)})",
            key="trainer.configuration",
        )
    return configuration_of(plans, name)


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
