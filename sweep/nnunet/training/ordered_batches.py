"""nnU-Net's batches in a fixed order, made in this process or in several others.

nnU-Net draws cases, patches and augmentation from the global generators of Python, NumPy and torch,
and takes the batches of several processes in the order in which these finish. Here each batch is a
function of (seed, part, epoch, step): the generators are seeded for it, in whatever process makes
it. torch's DataLoader hands the batches over in the order in which they were asked for. So the
number of processes changes nothing but the time.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from nnunetv2.training.dataloading.data_loader import nnUNetDataLoader
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, get_worker_info

Batch = dict[str, Any]
"""``data`` ``[B, C, (D,) H, W]``, ``target``, or a list of them for deep supervision, ``keys``."""

TRAINING, VALIDATION = 1, 2
AHEAD = 2
"""Batches that a process makes ahead of time."""
SHARED_MEMORY = Path("/dev/shm")
ROOM = 2
"""Batches of every process for which shared memory must have room: of this trial and another."""


class Place(NamedTuple):
    """Where a batch stands in a training."""

    part: int  # TRAINING or VALIDATION
    epoch: int
    step: int


class OrderedBatches:
    """The batches of a training: each epoch's for training, then those for validation.

    Processes make batches ahead in this order, also while the trainer validates. They end with
    `close`, and within a few seconds of a kill of this process.

    Args:
        loaders: nnU-Net's loader of each part.
        steps: number of batches of each part in an epoch.
        seed: of the trial.
        workers: number of processes; 0: batches are made in this process.
        pin_memory: hand over tensors in pinned memory, from where a GPU copies asynchronously.
    """

    def __init__(
        self,
        loaders: Mapping[int, nnUNetDataLoader],
        steps: Mapping[int, int],
        *,
        seed: int,
        workers: int,
        pin_memory: bool = False,
    ) -> None:
        self.workers = workers
        self._loaders = loaders
        self._made = _Made(loaders, seed)
        self._steps = steps
        self._pin_memory = pin_memory
        self._ahead: Iterator[Batch] | None = None
        self._next: Place | None = None

    def part(self, part: int) -> PartOfBatches:
        """The batches of one part, as nnU-Net asks for them."""
        return PartOfBatches(self, part)

    def loader(self, part: int) -> nnUNetDataLoader:
        """What makes the batches of one part."""
        return self._loaders[part]

    def take(self, place: Place) -> Batch:
        """The batch of a place. What was made ahead is discarded if it is not the next one.

        Raises:
            Exception: of the augmentation, of the same type also if another process raised it.
            RuntimeError: a process died.
        """
        if not self.workers:
            return self._made[place]
        if self._ahead is None or place != self._next:
            self.close()
            self._ahead = iter(self._loader(place))
        try:
            batch = next(self._ahead)
        except (ConnectionError, EOFError) as error:  # torch notices only while it waits
            raise RuntimeError(
                "DataLoader worker was killed while one of its batches was taken over"
            ) from error
        self._next = self._after(place)
        return batch

    def close(self) -> None:
        """End the processes."""
        ahead, self._ahead = self._ahead, None
        if ahead is not None:
            # torch has no public call. Without it they would live on while an exception is handled
            # whose traceback refers to the iterator.
            ahead._shutdown_workers()  # type: ignore[attr-defined]

    def _loader(self, first: Place) -> DataLoader[Batch]:
        return DataLoader(
            self._made,
            batch_size=None,
            sampler=self._from(first),
            num_workers=self.workers,
            prefetch_factor=AHEAD,
            collate_fn=_to_send,
            pin_memory=self._pin_memory,
            generator=torch.Generator(),  # else it draws from the network's
        )

    def _from(self, place: Place) -> Iterator[Place]:
        """Places in order, without an end."""
        while True:
            yield place
            place = self._after(place)

    def _after(self, place: Place) -> Place:
        part, epoch, step = place
        if step + 1 < self._steps[part]:
            return Place(part, epoch, step + 1)
        return Place(VALIDATION, epoch, 0) if part == TRAINING else Place(TRAINING, epoch + 1, 0)


class PartOfBatches:
    """The batches of one part, one after the other: nnU-Net's ``dataloader_train`` or ``_val``."""

    def __init__(self, batches: OrderedBatches, part: int) -> None:
        self._batches = batches
        self._next = Place(part, 0, 0)

    def start(self, epoch: int) -> None:
        """Go to the first batch of an epoch."""
        self._next = Place(self._next.part, epoch, 0)

    def __next__(self) -> Batch:
        batch = self._batches.take(self._next)
        self._next = self._next._replace(step=self._next.step + 1)
        return batch


class _Made(Dataset[Batch]):
    """Makes the batch of a place."""

    def __init__(self, loaders: Mapping[int, nnUNetDataLoader], seed: int) -> None:
        self._loaders, self._seed = loaders, seed

    def __getitem__(self, place: Place) -> Batch:
        with _seeded(self._seed, *place), _one_thread():
            batch: Batch = self._loaders[place.part].generate_train_batch()
            return batch


def _to_send(batch: Any) -> Any:
    """A batch as a process sends it: through shared memory if that has room, else through its pipe.

    Shared memory is faster (2 against 100 ms for 25 MB). But a container often has 64 MB of it, and
    a process that writes beyond them is killed.
    """
    worker = get_worker_info()
    assert worker is not None
    needed = ROOM * worker.num_workers * _bytes(batch)
    try:
        enough = shutil.disk_usage(SHARED_MEMORY).free >= needed
    except OSError:  # this system has its shared memory elsewhere
        enough = True
    return batch if enough else through_pipe(batch)


def through_pipe(value: Any) -> Any:
    """A batch, or a part of it, that is pickled with the values of its tensors."""
    if isinstance(value, dict):
        return {key: through_pipe(item) for key, item in value.items()}
    if isinstance(value, list):
        return [through_pipe(item) for item in value]
    return _Pickled(value) if isinstance(value, Tensor) else value


class _Pickled:
    """A tensor that is pickled as an array, and unpickled as a tensor."""

    def __init__(self, tensor: Tensor) -> None:
        self._tensor = tensor

    def __reduce__(self) -> tuple[Any, ...]:
        return torch.from_numpy, (self._tensor.numpy(),)


def _bytes(value: Any) -> int:
    if isinstance(value, dict | list):
        return sum(map(_bytes, value.values() if isinstance(value, dict) else value))
    return value.nbytes if isinstance(value, Tensor) else 0


@contextmanager
def _seeded(*key: int) -> Iterator[None]:
    """The global generators seeded by a key inside the context, and as before after it."""
    before = random.getstate(), np.random.get_state(), torch.get_rng_state()
    words = np.random.SeedSequence(key).generate_state(3)
    random.seed(int(words[0]))
    np.random.seed(int(words[1]))
    torch.default_generator.manual_seed(int(words[2]))  # not those of GPUs, which no batch uses
    try:
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])
        torch.set_rng_state(before[2])


@contextmanager
def _one_thread() -> Iterator[None]:
    """One thread of torch, as in a process of a DataLoader: the last bit of sums depends on it."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
