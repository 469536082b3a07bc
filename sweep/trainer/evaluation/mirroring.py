"""Test-time augmentation: an image is predicted in several mirror images of itself."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

MIRRORS: tuple[tuple[int, ...], ...] = ((), (-2,), (-1,), (-2, -1))
"""The axes of each flip; the first is the image as it is."""


def mean_over_flips(predict: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """``1/4 Σ flip(softmax(predict(flip(images))))`` over the four flips of a 2D image.

    It costs four predictions.

    Args:
        predict: gives logits ``[B, C, H, W]`` of images ``[B, …, H, W]`` of the same size.
        images: ``[B, …, H, W]``.
    Returns:
        probabilities ``[B, C, H, W]``.
    """
    mirrored = [predict(images.flip(axes)).softmax(dim=1).flip(axes) for axes in MIRRORS]
    return torch.stack(mirrored).mean(dim=0)
