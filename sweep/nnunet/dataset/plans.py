"""nnU-Net's plans: mistakes in them, and what a trial sets instead of them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sweep.nnunet.dataset.planned_network import changes_network, network_as_asked, network_mistakes
from sweep.spec.settings.trainer_settings import NnunetTrainer
from sweep.spec.words.phrases import did_you_mean, near_miss
from sweep.vocabulary.errors import InputError, Mistake


def planned_as_asked(
    plans: dict[str, Any], configuration: str, trainer: NnunetTrainer
) -> dict[str, Any]:
    """``plans``, changed in place where ``trainer`` sets a size of its own, or the network's.

    nnU-Net writes these plans beside the weights, so that a prediction cuts patches of the same
    size and builds the same network.

    Raises:
        InputError: there is no such configuration, nothing can be trained with it, the planned
            network cannot halve the patch, or it is none that can be changed as asked.
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
    planned = configuration_of(plans, configuration)
    mistakes = [*patch_mistakes(trainer.patch_size, planned), *network_mistakes(trainer, planned)]
    if mistakes:
        raise InputError(mistakes)
    changed = plans["configurations"][configuration]
    if trainer.batch_size is not None:
        changed["batch_size"] = trainer.batch_size
    if trainer.patch_size is not None:
        changed["patch_size"] = list(trainer.patch_size)
    if changes_network(trainer):
        changed["architecture"] = network_as_asked(trainer, planned)
    return plans


def patch_mistakes(patch: tuple[int, ...] | None, planned: Mapping[str, Any]) -> Iterator[Mistake]:
    """Mistakes in a patch size, for the network of a configuration.

    Args:
        patch: the requested size; None for the planned one.
        planned: the configuration, from `configuration_of`, without `plans_mistakes`.
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
    # Plans since nnU-Net 2.5 have the strides among the network's arguments, older ones beside it.
    network = planned.get("architecture", {}).get("arch_kwargs", {})
    strides = network.get("strides") or planned.get("pool_op_kernel_sizes") or []
    for axis, size in enumerate(patch):
        factor = math.prod(int(stride[axis]) for stride in strides)
        if size % factor:
            yield Mistake(
                f"must be a multiple of {factor} along axis {axis}, since the planned network"
                f" halves it that often, but is {size}",
                key="trainer.patch_size",
            )


def plans_mistakes(plans: Mapping[str, Any], name: str, file: Path) -> Iterator[Mistake]:
    """Mistakes in the plans and in one of their configurations.

    Args:
        plans: their ``configurations`` must be an object.
        name: the configuration; a name that the plans do not have is reported elsewhere.
        file: the file of the plans.
    """
    messages = [
        f"`{key}` must be a text, but is {plans.get(key)!r}"
        for key in ("dataset_name", "plans_name")
        if not isinstance(plans.get(key), str)
    ]
    chain, broken = _inherited(plans["configurations"], name)
    if broken:
        messages.append(broken)
    elif chain:
        sizes = _size_mistakes(configuration_of(plans, name))
        messages += [f"configuration `{name}`: {message}" for message in sizes]
    yield from (Mistake(message, file=str(file)) for message in messages)


def configuration_of(plans: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A configuration with everything that it inherits from others; empty if there is none."""
    chain, _ = _inherited(plans["configurations"], name)
    return {key: value for one in reversed(chain) for key, value in one.items()}


def _inherited(configurations: Mapping[str, Any], name: str) -> tuple[list[dict[str, Any]], str]:
    """A configuration and those that it inherits from, and the first mistake in this chain."""
    chain: list[dict[str, Any]] = []
    seen: list[str] = []
    while name in configurations:
        found, own = configurations[name], f"configuration `{name}`"
        if not isinstance(found, dict):
            return chain, f"{own} must be an object, but is {found!r}"
        seen.append(name)
        chain.append(found)
        parent = found.get("inherits_from")
        if parent is None:
            break
        if parent in seen:
            return chain, f"{own} inherits from `{parent}`, and so from itself"
        if not isinstance(parent, str) or parent not in configurations:
            meant = did_you_mean(near_miss(str(parent), configurations))
            return chain, f"{own} inherits from {parent!r}, which the plans do not have{meant}"
        name = parent
    return chain, ""


def _size_mistakes(planned: Mapping[str, Any]) -> Iterator[str]:
    patch, batch = planned.get("patch_size"), planned.get("batch_size")
    if not _whole(batch):
        yield f"`batch_size` must be a whole number of at least 1, but is {batch!r}"
    axes: tuple[int, ...] = (2, 3)
    if isinstance(patch, list) and len(patch) in axes and all(map(_whole, patch)):
        axes = (len(patch),)
    else:
        yield f"`patch_size` must be a list of 2 or 3 sizes, but is {patch!r}"
    if not isinstance(planned.get("data_identifier", ""), str):
        yield f"`data_identifier` must be a text, but is {planned['data_identifier']!r}"
    yield from _stride_mistakes(planned, axes)


def _stride_mistakes(planned: Mapping[str, Any], axes: tuple[int, ...]) -> Iterator[str]:
    """Mistakes in the strides of the network's levels, which have one of these numbers of axes."""
    where, strides = "pool_op_kernel_sizes", planned.get("pool_op_kernel_sizes")
    if "architecture" in planned:
        where = "architecture.arch_kwargs.strides"
        found: Any = planned
        for key in ("architecture", "arch_kwargs"):
            found = found.get(key)
            if not isinstance(found, dict):
                yield f"`{key}` must be an object that describes the network, but is {found!r}"
                return
        strides = found.get("strides")
    if strides is None:  # a network of the user may have none
        return
    wanted = f"a list of {' or '.join(map(str, axes))} whole numbers"
    if not isinstance(strides, list) or not strides:
        yield f"`{where}` must be a list with {wanted} for each level, but is {strides!r}"
        return
    for stride in strides:
        if not (isinstance(stride, list) and len(stride) in axes and all(map(_whole, stride))):
            yield f"`{where}` must have {wanted} for each level, but has {stride!r}"
            return


def _whole(value: object) -> bool:
    return type(value) is int and value >= 1
