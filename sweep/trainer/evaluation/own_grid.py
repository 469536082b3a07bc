"""From scores on the grid that a network saw to classes on the grid of a case's own files."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from sweep.data.files.resampling import nearest_slices


def classes_on_grid(scores: Tensor, shape: Sequence[int], separate: int | None) -> Tensor:
    """The class with the highest score in each voxel of another grid over the same box.

    The scores are interpolated linearly, and only then compared, as nnU-Net does it: the outline of
    a class can so lie between the voxels that the network saw. One class after the other, so that
    the memory for many classes does not grow with the new grid. The lowest of several equal classes
    wins, as in `torch.argmax`.

    Args:
        scores: logits or probabilities ``[K, S, H, W]``.
        shape: of the new grid.
        separate: the axis along which the nearest slice is copied instead, of
            `sweep.data.files.resampling.separate_axis`.
    Returns:
        ``[*shape]``, 8-bit, on the device of the scores.

    Source: nnU-Net 2.8.1, ``inference/export_prediction.py``, with ``order=1`` and ``order_z=0`` of
    ``resample_data_or_seg_to_shape``.
    """
    if scores.shape[1:] == tuple(shape):
        return scores.argmax(dim=0).byte()
    best = resized(scores[0], shape, separate)
    found = torch.zeros(tuple(shape), dtype=torch.uint8, device=scores.device)
    for index, score in enumerate(scores[1:], 1):
        other = resized(score, shape, separate)
        found[other > best] = index
        best = torch.maximum(best, other)
    return found


def regions_on_grid(
    scores: Tensor,
    shape: Sequence[int],
    separate: int | None,
    class_order: Sequence[int],
    *,
    are_logits: bool,
) -> Tensor:
    """The labels of regions in each voxel of another grid over the same box.

    Each region is interpolated linearly, cut at a probability of 0.5 and written as its label, one
    after the other: a later one overwrites an earlier one, and the background is what is left.

    Args:
        scores: logits or probabilities ``[K, S, H, W]`` of K regions.
        shape, separate: as for `classes_on_grid`.
        class_order: the label of each region, of `Regions`.
        are_logits: whether the scores are logits; they are interpolated as such.
    Returns:
        ``[*shape]``, 8-bit, on the device of the scores.

    Source: nnU-Net 2.8.1, ``LabelManager.convert_logits_to_segmentation``.
    """
    found = torch.zeros(tuple(shape), dtype=torch.uint8, device=scores.device)
    for score, label in zip(scores, class_order, strict=True):
        there = score if score.shape == found.shape else resized(score, shape, separate)
        found.masked_fill_((there.sigmoid() if are_logits else there) > 0.5, label)
    return found


def resized(score: Tensor, shape: Sequence[int], separate: int | None) -> Tensor:
    """``[S, H, W]`` linearly interpolated to ``shape``; both grids cover the same box.

    Args:
        separate: as for `classes_on_grid`.
    """
    if separate is None:
        volume = score[None, None]
        return F.interpolate(volume, [*shape], mode="trilinear", align_corners=False)[0, 0]
    slices = score.movedim(separate, 0)
    plane = [side for axis, side in enumerate(shape) if axis != separate]
    if list(slices.shape[1:]) != plane:
        slices = F.interpolate(slices[None], plane, mode="bilinear", align_corners=False)[0]
    if len(slices) != shape[separate]:
        nearest = nearest_slices(len(slices), shape[separate])
        slices = slices[torch.from_numpy(nearest).to(slices.device)]
    return slices.movedim(0, separate)
