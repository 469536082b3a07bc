"""Test-time augmentation: an image is predicted in several mirror images of itself."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain, combinations

from torch import Tensor


def mirrors(axes: int) -> tuple[tuple[int, ...], ...]:
    """The axes of each flip of images with so many spatial axes; the first is the image as it is.

    >>> mirrors(2)
    ((), (-2,), (-1,), (-2, -1))
    """
    spatial = range(-axes, 0)
    return tuple(chain.from_iterable(combinations(spatial, count) for count in range(axes + 1)))


def mean_over_flips(
    predict: Callable[[Tensor], Tensor], images: Tensor, *, regions: bool = False
) -> Tensor:
    """``1/n Σ flip(softmax(predict(flip(images))))`` over the flips: 4 of an image, 8 of a volume.

    It costs as many predictions. They are added up one by one, since one of a volume with many
    classes takes gigabytes.

    Args:
        predict: gives logits ``[B, K, (D,) H, W]`` of images of the same size.
        images: ``[B, C, (D,) H, W]``.
        regions: whether the channels are regions, with a sigmoid in the place of softmax.
    Returns:
        probabilities ``[B, K, (D,) H, W]``.
    """

    def probabilities(axes: tuple[int, ...]) -> Tensor:
        logits = predict(images.flip(axes))
        return (logits.sigmoid() if regions else logits.softmax(dim=1)).flip(axes)

    first, *others = mirrors(images.ndim - 2)
    total = probabilities(first)
    for axes in others:
        total += probabilities(axes)
    return total / (1 + len(others))
