"""Boxes of the training samples as tensors on the device that trains."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from sweep.data.prepared.samples import Samples

Corner = Sequence[int]


def to_device(values: ArrayLike, device: torch.device) -> Tensor:
    """Values that were computed on the CPU, on the device, without waiting for it."""
    tensor = torch.from_numpy(np.array(values))
    if device.type == "cuda":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor


def new_tensor(dtype: torch.dtype, shape: Sequence[int], *, pinned: bool) -> Tensor:
    """A tensor on the CPU, not yet filled; pinned memory is copied to a GPU while that computes."""
    if pinned:
        return torch.empty(shape, dtype=dtype, pin_memory=True)
    # NumPy asks for huge pages, which halves the time of filling it.
    return torch.from_numpy(
        np.empty(shape, {torch.float32: np.float32, torch.uint8: np.uint8}[dtype])
    )


class DeviceData(Protocol):
    """Where boxes of the samples come from."""

    def boxes(
        self, indices: Sequence[int], corners: Sequence[Corner], size: Sequence[int]
    ) -> tuple[Tensor, Tensor]:
        """Boxes of one size, one for each index; what lies outside of a sample is 0.

        Args:
            indices: of the samples, ``[N]``.
            corners: the first voxel of each box, ``[N, axes]``; it may lie outside.
            size: of the boxes, ``[axes]``.
        Returns:
            images ``[N, C, *size]`` and labels ``[N, 1, *size]``, new tensors on the device.
        """
        ...


def inner_box(corner: Corner, size: Sequence[int], sides: Sequence[int]) -> tuple[slice, ...]:
    """The part of a box that lies in a sample with these sides, counted from the box's corner."""
    return tuple(
        slice(max(0, -start), min(length, side - start))
        for start, length, side in zip(corner, size, sides, strict=True)
    )


class MappedData:
    """Samples that stay in the memory-mapped arrays of this machine.

    Args:
        samples: of training.
        device: that trains.
    """

    def __init__(self, samples: Samples, device: torch.device) -> None:
        self._samples = samples
        self._device = device
        self._pinned = device.type == "cuda"

    def boxes(
        self, indices: Sequence[int], corners: Sequence[Corner], size: Sequence[int]
    ) -> tuple[Tensor, Tensor]:
        channels = len(self._samples[0].image)
        images = new_tensor(torch.float32, (len(indices), channels, *size), pinned=self._pinned)
        labels = new_tensor(torch.uint8, (len(indices), 1, *size), pinned=self._pinned)
        for index, corner, image, label in zip(
            indices, corners, images.numpy(), labels.numpy(), strict=True
        ):
            sample = self._samples[index]
            inner = inner_box(corner, size, sample.label.shape)
            outer = tuple(
                slice(part.start + start, part.stop + start)
                for part, start in zip(inner, corner, strict=True)
            )
            if any(part != slice(0, side) for part, side in zip(inner, size, strict=True)):
                image.fill(0)
                label.fill(0)
            image[:, *inner] = sample.image[:, *outer]
            label[0, *inner] = sample.label[outer]
        return self._sent(images), self._sent(labels)

    def _sent(self, made: Tensor) -> Tensor:
        return made.to(self._device, non_blocking=True)
