"""What trials that train in one process, one after the other, could leave to each other.

A run draws its randomness from (seed, epoch, step) and sets the switches that it needs (see
`sweep.trainer.runs.monai_run`). That makes a trial independent of the one before as long as
everybody keeps to it. `CleanProcess` does not rely on that: it undoes what a trial, a library that
it called or a trainer of the user's did to the process, so that the next one starts as the first
did.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import random
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from torch.nn.modules import module as modules
from torch.optim import optimizer as optimizers

SECONDS_TO_END = 5.0
"""How long threads and processes of a trial that has ended are waited for."""

GLOBAL_HOOKS = {
    modules: (
        "_global_backward_pre_hooks",
        "_global_backward_hooks",
        "_global_forward_pre_hooks",
        "_global_forward_hooks",
        "_global_forward_hooks_always_called",
        "_global_forward_hooks_with_kwargs",
        "_global_buffer_registration_hooks",
        "_global_module_registration_hooks",
        "_global_parameter_registration_hooks",
    ),
    optimizers: ("_global_optimizer_pre_hooks", "_global_optimizer_post_hooks"),
}
"""Where torch keeps the hooks that act on every module and optimizer of the process."""


class Setting(NamedTuple):
    """Something that belongs to the process: how to read it, and how to set it to what was read."""

    read: Callable[[], Any]
    write: Callable[[Any], object]


def _attribute(owner: Any, name: str) -> Setting:
    return Setting(partial(getattr, owner, name), partial(setattr, owner, name))


def _default_device(device: torch.device) -> None:
    # "cpu", said aloud, would slow down every call from then on.
    torch.set_default_device(None if device.type == "cpu" else device)


def _autocast_contexts() -> int:
    """How many contexts are open, one within the other.

    While one is, the casts of all weights are kept: a step after the next would use old ones.
    """
    contexts = torch.autocast_increment_nesting() - 1
    torch.autocast_decrement_nesting()
    return contexts


def _set_autocast_contexts(contexts: int) -> None:
    more = contexts - _autocast_contexts()
    step = torch.autocast_increment_nesting if more > 0 else torch.autocast_decrement_nesting
    for _ in range(abs(more)):
        step()


def _working_directory() -> str | None:
    try:
        return str(Path.cwd())
    except FileNotFoundError:  # it was deleted
        return None


def _change_to(folder: str | None) -> None:
    if folder is not None:
        os.chdir(folder)


def _environment(variables: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(variables)


GENERATORS = {
    "random": Setting(random.getstate, random.setstate),
    "numpy": Setting(np.random.get_state, np.random.set_state),
    "torch": Setting(torch.get_rng_state, torch.set_rng_state),
}
SETTINGS = {
    "threads": Setting(torch.get_num_threads, torch.set_num_threads),
    "determinism": Setting(torch.get_deterministic_debug_mode, torch.set_deterministic_debug_mode),
    "default dtype": Setting(torch.get_default_dtype, torch.set_default_dtype),
    "default device": Setting(torch.get_default_device, _default_device),
    "gradients": Setting(torch.is_grad_enabled, torch.set_grad_enabled),
    "anomaly detection": Setting(torch.is_anomaly_enabled, torch.set_anomaly_enabled),
    "precision of products": Setting(
        torch.get_float32_matmul_precision, torch.set_float32_matmul_precision
    ),
    **{
        f"autocast on {device}": Setting(
            partial(torch.is_autocast_enabled, device), partial(torch.set_autocast_enabled, device)
        )
        for device in ("cpu", "cuda")
    },
    **{
        f"autocast dtype on {device}": Setting(
            partial(torch.get_autocast_dtype, device), partial(torch.set_autocast_dtype, device)
        )
        for device in ("cpu", "cuda")
    },
    "autocast cache": Setting(torch.is_autocast_cache_enabled, torch.set_autocast_cache_enabled),
    "autocast contexts": Setting(_autocast_contexts, _set_autocast_contexts),
    "cuDNN": _attribute(torch.backends.cudnn, "enabled"),
    "cuDNN benchmark": _attribute(torch.backends.cudnn, "benchmark"),
    "cuDNN determinism": _attribute(torch.backends.cudnn, "deterministic"),
    "TF32 of cuDNN": _attribute(torch.backends.cudnn, "allow_tf32"),
    "numpy's errors": Setting(np.geterr, lambda errors: np.seterr(**errors)),
    "environment": Setting(lambda: dict(os.environ), _environment),
    "working directory": Setting(_working_directory, _change_to),
    "import path": Setting(sys.path.copy, partial(sys.path.__setitem__, slice(None))),
    "recursion limit": Setting(sys.getrecursionlimit, sys.setrecursionlimit),
}


@dataclass(frozen=True, slots=True, eq=False)
class CleanProcess:
    """The state of a process before its first trial; made by `here`.

    Attributes:
        generators: states of the random generators.
        settings: what was set, by the names of `SETTINGS`.
        hooks: torch's global ones, by their place.
        threads: those that were there.
    """

    generators: dict[str, Any]
    settings: dict[str, Any]
    hooks: dict[tuple[Any, str], dict[Any, Any]]
    threads: frozenset[threading.Thread]

    @classmethod
    def here(cls) -> Self:
        """Take note of this process, and let go of garbage once and for all.

        What is there now (modules, above all) is no trial's. Frozen, it need not be looked through
        again when `restore` collects what a trial has left.
        """
        gc.collect()
        gc.freeze()
        return cls(
            generators={name: kind.read() for name, kind in GENERATORS.items()},
            settings={name: setting.read() for name, setting in SETTINGS.items()},
            hooks={
                (owner, name): dict(getattr(owner, name))
                for owner, names in GLOBAL_HOOKS.items()
                for name in names
            },
            threads=frozenset(threading.enumerate()),
        )

    def restore(self) -> tuple[str, ...]:
        """Undo all that was done to the process since.

        Returns:
            what cannot be undone, in words: threads that do not end. Such a process is to be left.
        """
        end_children()
        left = self._threads_left()
        for (owner, name), before in self.hooks.items():
            hooks = getattr(owner, name)
            if dict(hooks) != before:
                hooks.clear()
                hooks.update(before)
        for name, value in self.settings.items():
            if SETTINGS[name].read() != value:
                SETTINGS[name].write(value)
        for name, state in self.generators.items():
            GENERATORS[name].write(state)
        free_memory()
        return tuple(f"a thread of the trial before still runs: {thread.name}" for thread in left)

    def _threads_left(self) -> list[threading.Thread]:
        """New threads that do not end; those that Python did not start are nobody's."""
        deadline = time.monotonic() + SECONDS_TO_END
        ours = threading.current_thread()
        new = [
            thread
            for thread in threading.enumerate()
            if thread not in self.threads
            and thread is not ours
            and not isinstance(thread, threading._DummyThread)
        ]
        for thread in new:
            thread.join(max(0.0, deadline - time.monotonic()))
        return [thread for thread in new if thread.is_alive()]


def end_children() -> None:
    """End the processes that a trial has started by `multiprocessing`, such as data workers."""
    children = multiprocessing.active_children()
    for child in children:
        child.terminate()
    for child in children:
        child.join(SECONDS_TO_END)
        if child.is_alive():
            child.kill()
            child.join()


def free_memory() -> None:
    """Give back what nobody refers to any more, on the GPU too."""
    torch.clear_autocast_cache()
    gc.collect()
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        torch.cuda.manual_seed_all(torch.initial_seed())  # as a process does that begins with it
