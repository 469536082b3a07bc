"""The device of a run, and torch's global switches and generators."""

from __future__ import annotations

import os
import random

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from sweep.spec.settings.trial_settings import TrialSettings


def to_device(values: ArrayLike, device: torch.device) -> Tensor:
    """A copy of values on the device. A GPU is given its next work before it has finished this."""
    tensor = torch.from_numpy(np.array(values))
    if device.type == "cuda":
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)


def choose_device(settings: TrialSettings) -> torch.device:
    """The device of ``trainer.device``; ``auto`` takes a GPU if there is one."""
    wanted = settings.trainer.device
    if wanted == "auto":
        wanted = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(wanted)


def make_deterministic(settings: TrialSettings) -> None:
    """Set torch's global switches. They belong to the process, so every run sets all of them."""
    torch.set_num_threads(settings.trainer.threads)
    torch.backends.cudnn.benchmark = not settings.trainer.deterministic
    if settings.trainer.deterministic:
        # cuBLAS reads it at its first product. Without it torch refuses deterministic products.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(settings.trainer.deterministic, warn_only=True)


def set_tf32(wanted: bool | None) -> None:
    """Whether a GPU may round float32 factors to TensorFloat-32, for the whole process.

    Args:
        wanted: in all products, or in none; None: in convolutions only, which is torch's default.
    """
    torch.backends.cudnn.allow_tf32 = wanted is not False
    torch.backends.cuda.matmul.allow_tf32 = wanted is True


def tf32_in_effect() -> bool | str | None:
    """What `set_tf32` was called with, read from torch; words where it was set in another way."""
    found = (torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32)
    known = {(True, False): None, (True, True): True, (False, False): False}
    return known.get(found, "in matrix products only")


def memory_format(axes: int, *, channels_last: bool) -> torch.memory_format:
    """How the values of images ``[B, C, …]`` with so many spatial axes lie in memory."""
    if not channels_last:
        return torch.contiguous_format
    return torch.channels_last if axes == 2 else torch.channels_last_3d


def is_channels_last(model: nn.Module) -> bool:
    """Whether the weights of a network's convolutions have the channels of a pixel side by side."""
    kernels = [p for p in model.parameters() if p.ndim in (4, 5)]
    return any(not one.is_contiguous() for one in kernels) and all(
        one.is_contiguous(memory_format=memory_format(one.ndim - 2, channels_last=True))
        for one in kernels
    )


def seed_torch(seed: int, *key: int) -> None:
    """Seed torch with a function of the trial's seed and a key, such as (epoch, step)."""
    state = int(np.random.SeedSequence([seed, *key]).generate_state(1, np.uint64)[0])
    # As torch.manual_seed does. That writes down the whole call stack for each kind of device that
    # is not in use, at each call: 0.4 ms of every step on a CPU.
    torch.default_generator.manual_seed(state)
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.manual_seed_all(state)


def seed_everything(seed: int, *key: int) -> None:
    """Seed Python's, NumPy's and torch's generators with a function of the seed and a key."""
    words = np.random.SeedSequence([seed, *key]).generate_state(3, np.uint32)
    random.seed(int(words[0]))
    np.random.seed(int(words[1]))
    torch.manual_seed(int(words[2]))
