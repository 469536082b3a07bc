"""How often nnU-Net's random augmentations happen."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

PROBABILITIES = ("apply_probability", "p_rotation", "p_scaling", "p_elastic_deform")
"""Where batchgeneratorsv2's transforms keep the probability that they change a patch. Those beside
them (``p_per_channel``, ``p_invert_image``, …) say how, not whether."""


def strengthen(transforms: Any, factor: float) -> None:
    """Multiply the probability of every random change of a patch, in place; 1 is the limit.

    Mirroring has no probability of this kind: it chooses among all mirrorings of a patch.

    Args:
        transforms: what nnU-Net's loader applies to a training patch.
        factor: at least 0.
    """
    for transform in parts_of(transforms):
        for name in PROBABILITIES:
            if hasattr(transform, name):
                setattr(transform, name, min(1.0, factor * getattr(transform, name)))


def strength_of(transforms: Any) -> float:
    """The factor that `strengthen` was called with, read back from the rarest change.

    Args:
        transforms: as of `strengthen`; the factor is at most 10, so that the rarest one shows it.
    """
    own = nnUNetTrainer.get_training_transforms((32, 32), (0.0, 0.0), None, (), False)
    return round(_rarest(transforms) / _rarest(own), 9)


def _rarest(transforms: Any) -> float:
    """The smallest probability that is not off in nnU-Net itself (elastic deformation is)."""
    names = [name for name in PROBABILITIES if name != "p_elastic_deform"]
    return min(
        float(getattr(part, name))
        for part in parts_of(transforms)
        for name in names
        if hasattr(part, name)
    )


def parts_of(transform: Any) -> Iterator[Any]:
    """A transform and all transforms inside it."""
    yield transform
    inner = [getattr(transform, "transform", None), *getattr(transform, "transforms", ())]
    inner += getattr(transform, "list_of_transforms", ())
    for part in inner:
        if part is not None:
            yield from parts_of(part)
