"""What a step trains on."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, slots=True)
class Batch:
    """One training batch.

    Args:
        images: ``[B, C, (D,) H, W]``.
        labels: ``[B, 1, (D,) H, W]``, integers of the label files.
        cases: identifiers, ``[B]``.
    """

    images: Tensor
    labels: Tensor
    cases: tuple[str, ...]
