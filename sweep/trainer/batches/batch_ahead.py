"""The next batch, made while the device trains on this one."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import torch

from sweep.trainer.batches.batch import Batch

_Made = tuple[Batch, torch.cuda.Event | None]
"""A batch, and the event after its last operation on a GPU."""


class BatchAhead:
    """Makes one batch ahead, in a thread and on a CUDA stream of its own.

    A batch is a function of (epoch, step), so it is the same whether it was made ahead or not.
    Steps may be asked for in any order; one that was not made ahead is made when it is asked for.

    Args:
        make: the batch of an epoch and a step.
        steps: of an epoch.
        device: that trains.
    """

    def __init__(self, make: Callable[[int, int], Batch], steps: int, device: torch.device) -> None:
        self._make = make
        self._steps = steps
        on_gpu = device.type == "cuda"
        self._stream = torch.cuda.Stream(device) if on_gpu else None  # type: ignore[no-untyped-call]
        self._ahead: tuple[tuple[int, int], Future[_Made]] | None = None

    def batch(self, epoch: int, step: int) -> Batch:
        """The batch of a step; starts to make the next one."""
        place, ahead = (epoch, step), self._ahead
        made = ahead[1] if ahead and ahead[0] == place else self._start(*place)
        batch, finished = made.result()
        after = (epoch, step + 1) if step + 1 < self._steps else (epoch + 1, 0)
        self._ahead = (after, self._start(*after))
        if finished is not None:
            training = torch.cuda.current_stream(batch.images.device)
            training.wait_event(finished)
            for tensor in (batch.images, batch.labels):
                tensor.record_stream(training)
        return batch

    def _start(self, epoch: int, step: int) -> Future[_Made]:
        pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="batch-ahead")
        future = pool.submit(self._on_stream, epoch, step)
        pool.shutdown(wait=False)  # so that the thread ends with the batch, and none is left over
        return future

    def _on_stream(self, epoch: int, step: int) -> _Made:
        with torch.cuda.stream(self._stream):  # none on a CPU
            batch = self._make(epoch, step)
        return batch, self._stream.record_event() if self._stream is not None else None
