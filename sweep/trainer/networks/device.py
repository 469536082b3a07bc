"""The device of a run, and torch's global switches and generators."""

from __future__ import annotations

import os
import random

import numpy as np
import torch

from sweep.spec.settings.trial_settings import TrialSettings


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


def seed_torch(seed: int, *key: int) -> None:
    """Seed torch with a function of the trial's seed and a key, such as (epoch, step)."""
    state = np.random.SeedSequence([seed, *key]).generate_state(1, np.uint64)[0]
    torch.manual_seed(int(state))


def seed_everything(seed: int, *key: int) -> None:
    """Seed Python's, NumPy's and torch's generators with a function of the seed and a key."""
    words = np.random.SeedSequence([seed, *key]).generate_state(3, np.uint32)
    random.seed(int(words[0]))
    np.random.seed(int(words[1]))
    torch.manual_seed(int(words[2]))
