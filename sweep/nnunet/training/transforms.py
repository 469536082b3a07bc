"""nnU-Net's augmentation, made repeatable."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from batchgeneratorsv2.transforms.base.basic_transform import BasicTransform


def repeatable(transforms: BasicTransform) -> BasicTransform:
    """The same transforms, without a choice of algorithm by timing.

    nnU-Net's blur times two algorithms once a process and takes the faster: they differ in the last
    bits, so two runs of one seed would differ too. Without the race it convolves.
    """
    for transform in _each(transforms):
        if hasattr(transform, "benchmark"):
            transform.benchmark = False
    return transforms


def _each(transform: Any) -> Iterator[Any]:
    """A transform and all that it is made of."""
    yield transform
    inner = [getattr(transform, "transform", None), *getattr(transform, "transforms", ())]
    inner += getattr(transform, "list_of_transforms", ())
    for part in inner:
        if part is not None:
            yield from _each(part)
