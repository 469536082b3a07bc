"""Bring scores of a resampled case back to the grid of its own files."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

ANISOTROPIC = 3.0
"""Ratio of two spacings above which slices are copied, not interpolated: nnU-Net's
``ANISO_THRESHOLD``."""


def classes_on(
    scores: Tensor, shape: Sequence[int], present: Sequence[float], target: Sequence[float]
) -> Tensor:
    """The class with the highest score in each voxel of another grid, ``[S', H', W']``, uint8.

    Both grids cover the same box. Scores are interpolated linearly. Along an axis that is more than
    `ANISOTROPIC` times as coarse as another, each slice is a copy of the nearest one. One class is
    in memory at a time.

    Args:
        scores: ``[K, S, H, W]``.
        shape: of the other grid.
        present, target: spacing of the scores and of the other grid.

    Source: nnU-Net 2.8.1, ``preprocessing/resampling/default_resampling.py``.
    """
    separate = _separate_axis(present, target)
    highest = _resized(scores[0], shape, separate)
    classes = torch.zeros(highest.shape, dtype=torch.uint8, device=scores.device)
    for label in range(1, len(scores)):
        other = _resized(scores[label], shape, separate)
        classes[other > highest] = label
        highest = torch.maximum(highest, other)
    return classes


def _resized(scores: Tensor, shape: Sequence[int], separate: int | None) -> Tensor:
    """One class on a grid of ``shape``."""
    if separate is not None:
        old, new = scores.shape[separate], shape[separate]
        # (i + 1/2) · old / new − 1/2, rounded; in integers, so that no rounding decides a tie.
        nearest = (2 * torch.arange(new, device=scores.device) + 1) * old // (2 * new)
        scores = scores.index_select(separate, nearest)
    if scores.shape == tuple(shape):
        return scores
    return F.interpolate(scores[None, None], tuple(shape), mode="trilinear")[0, 0]


def _separate_axis(present: Sequence[float], target: Sequence[float]) -> int | None:
    """The axis of a volume along which slices are copied; None: all are interpolated."""
    for steps in (present, target):
        if len(steps) == 3 and max(steps) > ANISOTROPIC * min(steps):
            coarsest = [axis for axis, step in enumerate(steps) if step == max(steps)]
            return coarsest[0] if len(coarsest) == 1 else None
    return None
