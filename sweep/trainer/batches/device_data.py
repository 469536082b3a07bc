"""Boxes of the training samples as tensors on the device that trains.

A CPU copies them from the memory-mapped arrays. A GPU keeps all samples in its own memory, if they
take no more than a stated share of it, and gathers a whole batch there at once; else boxes are
copied to it through pinned memory, a batch ahead. All ways give the same bits.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from math import prod
from typing import Any, Protocol
from weakref import WeakValueDictionary

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sweep.data.prepared.samples import Samples
from sweep.trainer.networks.device import to_device

RESIDENT_SHARE = 0.2
"""Largest share of a GPU's free memory that the training samples of a process may take: five
trials can share a GPU, and most of it is left to their networks."""

Corner = Sequence[int]


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


class ResidentData:
    """Samples that lie in the memory of the device, one after the other.

    Args:
        samples: of training.
        device: that trains.
    """

    def __init__(self, samples: Samples, device: torch.device) -> None:
        pixels = sum(case.labels.size for case in samples.case_arrays)
        self._channels = len(samples[0].image)
        self._images = torch.empty(pixels * self._channels, device=device)
        self._labels = torch.empty(pixels, dtype=torch.uint8, device=device)
        starts: list[tuple[int, tuple[int, ...]]] = []  # first pixel and sides of each sample
        start = 0
        for case in samples.case_arrays:
            stop = start + case.labels.size
            images = torch.from_numpy(np.array(case.images))
            self._images[start * self._channels : stop * self._channels] = images.to(device).ravel()
            self._labels[start:stop] = torch.from_numpy(np.array(case.labels)).to(device).ravel()
            slices, *sides = case.labels.shape
            if samples.volumes:
                starts.append((start, (slices, *sides)))
            else:
                starts += [(start + n * prod(sides), tuple(sides)) for n in range(slices)]
            start = stop
        self._starts = starts
        if device.type == "cuda":  # other trials read it on CUDA streams of their own
            torch.cuda.current_stream(device).synchronize()

    def boxes(
        self, indices: Sequence[int], corners: Sequence[Corner], size: Sequence[int]
    ) -> tuple[Tensor, Tensor]:
        chosen = [self._starts[index] for index in indices]
        sides = np.array([own for _, own in chosen])  # [N, axes]
        within = sides[:, -2:].prod(axis=1)  # pixels of a slice
        places = [
            np.array(corners)[:, axis, None] + np.arange(length) for axis, length in enumerate(size)
        ]
        inside = [
            (place >= 0) & (place < sides[:, axis, None]) for axis, place in enumerate(places)
        ]
        # A slice of a case holds its channels one after the other: [S, C, H, W].
        steps = np.stack([within, sides[:, -1], np.ones_like(within)], axis=1)[:, -len(size) :]
        offsets = np.array([start for start, _ in chosen])
        labels = self._gathered(self._labels, offsets, places, inside, steps)
        if len(size) == 3:
            steps = steps * [self._channels, 1, 1]
        channels = [
            self._gathered(
                self._images, offsets * self._channels + channel * within, places, inside, steps
            )
            for channel in range(self._channels)
        ]
        return torch.stack(channels, dim=1), labels[:, None]

    def _gathered(
        self,
        flat: Tensor,
        offsets: NDArray[np.int64],
        places: Sequence[NDArray[np.int64]],
        inside: Sequence[NDArray[np.bool_]],
        steps: NDArray[np.int64],
    ) -> Tensor:
        """Boxes ``[N, *size]`` of one channel.

        Args:
            flat: all voxels.
            offsets: of the first voxel of each sample, ``[N]``.
            places: of the voxels along each axis of the sample, ``[N, side]``.
            inside: which of them lie in it.
            steps: in ``flat`` along each axis, ``[N, axes]``.
        """
        if flat.is_cuda:  # not free for others before the stream of this trial has read it
            flat.record_stream(torch.cuda.current_stream(flat.device))
        index = to_device(offsets, flat.device).reshape(-1, *[1] * len(places))
        kept = torch.ones_like(index, dtype=torch.bool)
        for axis, (place, own) in enumerate(zip(places, inside, strict=True)):
            shape = [-1, *(place.shape[1] if a == axis else 1 for a in range(len(places)))]
            index = index + to_device(place * own * steps[:, axis, None], flat.device).reshape(
                shape
            )
            kept = kept & to_device(own, flat.device).reshape(shape)
        return torch.where(kept, flat[index], 0)


def data_on(device: torch.device, samples: Samples, origin: Mapping[str, Any]) -> DeviceData:
    """The samples for a device: in its memory, if it is a GPU and they take no more than their
    share of it.

    Args:
        device: that trains.
        samples: of training.
        origin: what made them, see `resident`.
    """
    if device.type == "cpu":
        return MappedData(samples, device)
    size = sum(case.images.nbytes + case.labels.nbytes for case in samples.case_arrays)
    free, _ = torch.cuda.mem_get_info(device)
    if _key(device, samples, origin) in _resident or size <= RESIDENT_SHARE * free:
        return resident(device, samples, origin)
    return MappedData(samples, device)


_resident: WeakValueDictionary[str, ResidentData] = WeakValueDictionary()
_latest: list[ResidentData] = []  # one at most: it stays although no trial uses it


def resident(device: torch.device, samples: Samples, origin: Mapping[str, Any]) -> ResidentData:
    """Samples in the memory of a device: one copy for all trials of this process that use them.

    The copy that was asked for last stays for the next trial.

    Args:
        device: that trains.
        samples: of training.
        origin: the settings and the split that made them, see `PreparedData.origin`; without it
            they do not stay.
    """
    key = _key(device, samples, origin)
    found = _resident.get(key)
    if found is None:
        _latest.clear()  # first, so that there is room
        found = ResidentData(samples, device)
        if not origin:
            return found
        _resident[key] = found
    _latest[:] = [found]
    return found


def _key(device: torch.device, samples: Samples, origin: Mapping[str, Any]) -> str:
    held = [str(device), samples.cases, samples.volumes, dict(origin)]
    return json.dumps(held, sort_keys=True, default=str)
