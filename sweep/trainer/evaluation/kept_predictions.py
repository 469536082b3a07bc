"""The predicted masks of a validation, kept for metrics that are measured later."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


class KeptPredictions:
    """Masks in the order in which they were added, compressed to about a hundredth.

    A mask on a GPU is copied while the next one is predicted: `add` waits for the copy of the mask
    before. So masks of thousands of slices fit, and the GPU does not wait for their compression.
    """

    def __init__(self) -> None:
        self._kept: list[tuple[bytes, tuple[int, ...]]] = []
        self._pending: tuple[Tensor, torch.cuda.Event | None] | None = None

    def add(self, mask: Tensor) -> None:
        """Keep class indices of any shape, uint8."""
        if not mask.is_cuda:
            self._settle()
            self._pending = mask, None
            return
        copy, copied = mask.to("cpu", non_blocking=True), torch.cuda.Event()  # type: ignore[no-untyped-call]
        copied.record(torch.cuda.current_stream(mask.device))
        self._settle()
        self._pending = copy, copied

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        self._settle()
        for content, shape in self._kept:
            yield np.frombuffer(zlib.decompress(content), np.uint8).reshape(shape)

    def _settle(self) -> None:
        if self._pending is None:
            return
        mask, copied = self._pending
        self._pending = None
        if copied is not None:
            copied.synchronize()
        self._kept.append((zlib.compress(mask.numpy().tobytes(), level=1), tuple(mask.shape)))
