"""What a network returned, in one form; usable without MONAI, whose import takes seconds."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor


def as_outputs(output: Tensor | Sequence[Tensor], spatial_dims: int = 2) -> list[Tensor]:
    """What a network returned as a list of ``[B, C, (D,) H, W]``, finest first.

    MONAI's DynUNet stacks its deep supervision on a new axis, ``[B, S, C, (D,) H, W]``; others
    return a list or a single tensor. An evaluation takes element 0.

    Args:
        spatial_dims: 2 for images, 3 for volumes.
    """
    if isinstance(output, Tensor):
        return list(output.unbind(1)) if output.ndim == spatial_dims + 3 else [output]
    return list(output)
