"""Whether dataset.json and plans hold what nnU-Net needs of them: JSON alone, no other file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sweep.data.nnunet_raw.labels import label_mistakes
from sweep.data.nnunet_raw.raw_dataset import (
    NNUNET_ENDINGS,
    channel_mistakes,
    count_mistakes,
    ending_mistakes,
    whole_number,
)
from sweep.spec.words.phrases import did_you_mean, near_miss
from sweep.vocabulary.errors import Mistake


def description_mistakes(description: Mapping[str, Any], file: Path) -> Iterator[Mistake]:
    """What nnU-Net refuses of a ``dataset.json``.

    Source: nnU-Net 2.8.1, ``verify_dataset_integrity``, ``LabelManager`` and the readers' endings.
    """
    messages = [
        *channel_mistakes(description),
        *label_mistakes(description, nnunet=True),
        *count_mistakes(whole_number(description.get("numTraining"))),
        *_ending_mistakes(description),
    ]
    yield from (Mistake(message, file=str(file)) for message in messages)


def _ending_mistakes(description: Mapping[str, Any]) -> Iterator[str]:
    ending = description.get("file_ending")
    chosen = description.get("overwrite_image_reader_writer", "None") != "None"
    if not isinstance(ending, str) or not (chosen or ending.lower() in NNUNET_ENDINGS):
        yield from ending_mistakes(ending, NNUNET_ENDINGS)


def plans_mistakes(plans: Mapping[str, Any], name: str, file: Path) -> Iterator[Mistake]:
    """What is wrong with the plans and with one of their configurations.

    Args:
        plans: of which ``configurations`` is an object.
        name: of the configuration; those that the plans do not have are told elsewhere.
        file: that holds them.
    """
    messages = [
        f"`{key}` must be a text, but is {plans.get(key)!r}"
        for key in ("dataset_name", "plans_name")
        if not isinstance(plans.get(key), str)
    ]
    chain, broken = _inherited(plans["configurations"], name)
    messages += broken
    if chain and not broken:
        told = _sizes(configuration_of(plans, name))
        messages += [f"configuration `{name}`: {one}" for one in told]
    yield from (Mistake(message, file=str(file)) for message in messages)


def configuration_of(plans: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A configuration of some plans with what it inherits from others; empty if there is none."""
    chain, _ = _inherited(plans["configurations"], name)
    return {key: value for one in reversed(chain) for key, value in one.items()}


def _inherited(
    configurations: Mapping[str, Any], name: str
) -> tuple[list[dict[str, Any]], list[str]]:
    """A configuration and those that it inherits from, and what is wrong with one of them."""
    chain: list[dict[str, Any]] = []
    seen: list[str] = []
    while name in configurations:
        found, own = configurations[name], f"configuration `{name}`"
        if not isinstance(found, dict):
            return chain, [f"{own} must be an object, but is {found!r}"]
        seen.append(name)
        chain.append(found)
        parent = found.get("inherits_from")
        if parent is None:
            break
        if parent in seen:
            return chain, [f"{own} inherits from `{parent}`, and so from itself"]
        if not isinstance(parent, str) or parent not in configurations:
            meant = did_you_mean(near_miss(str(parent), configurations))
            return chain, [f"{own} inherits from {parent!r}, which the plans do not have{meant}"]
        name = parent
    return chain, []


def _sizes(planned: Mapping[str, Any]) -> Iterator[str]:
    patch, batch = planned.get("patch_size"), planned.get("batch_size")
    if not _whole(batch):
        yield f"`batch_size` must be a whole number of at least 1, but is {batch!r}"
    sound = isinstance(patch, list) and len(patch) in (2, 3) and all(map(_whole, patch))
    if not sound:
        yield f"`patch_size` must be a list of 2 or 3 sizes, but is {patch!r}"
    if not isinstance(planned.get("data_identifier", ""), str):
        yield f"`data_identifier` must be a text, but is {planned['data_identifier']!r}"
    yield from _strides(planned, len(patch) if sound and isinstance(patch, list) else None)


def _strides(planned: Mapping[str, Any], axes: int | None) -> Iterator[str]:
    """Of the network's levels: since nnU-Net 2.5 among its arguments, in older plans beside."""
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
    if strides is None:  # a network of somebody's own may do without
        return
    wanted = "a list of 2 or 3 whole numbers" if axes is None else f"a list of {axes} whole numbers"
    lengths = (2, 3) if axes is None else (axes,)
    if not isinstance(strides, list) or not strides:
        yield f"`{where}` must be a list with {wanted} for each level, but is {strides!r}"
        return
    for stride in strides:
        if not (isinstance(stride, list) and len(stride) in lengths and all(map(_whole, stride))):
            yield f"`{where}` must have {wanted} for each level, but has {stride!r}"
            return


def _whole(value: object) -> bool:
    return type(value) is int and value >= 1
