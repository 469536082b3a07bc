"""The state of a process that one trial could leave to the next.

A run draws its randomness from (seed, epoch, step) and sets the switches that it needs (see
`sweep.trainer.runs.monai_run`). That makes trials independent if all code keeps to it.
`CleanProcess` does not rely on that. It undoes what a trial, a library or a user's trainer did to
the process, so that the next trial starts as the first one did.
"""

from __future__ import annotations

import gc
import logging
import multiprocessing
import os
import random
import sys
import threading
import time
import warnings
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from torch.nn.modules import module as modules
from torch.optim import optimizer as optimizers

from sweep.trial.own_modules import run_again

SECONDS_TO_END = 5.0
"""Seconds to wait for the threads and processes of a trial that has ended."""

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


def _default_device() -> torch.device:
    return torch.empty(0).device  # torch.get_default_device of 2.8 fails after a None was set


def _set_default_device(device: torch.device) -> None:
    # An explicit "cpu" would slow down every later call.
    torch.set_default_device(None if device.type == "cpu" else device)


def _autocast_contexts() -> int:
    """Number of contexts that are open, one within the other.

    While one is open, torch keeps the casts of all weights, so later steps would use old weights.
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


def _environment() -> dict[bytes, bytes]:
    # What os.environ holds itself: it is read in every turn of a trial that shares its process,
    # and to decode each variable takes as long as all the rest.
    return dict(os.environb._data)  # type: ignore[attr-defined]


def _set_environment(variables: dict[bytes, bytes]) -> None:
    # No variable is taken away even for a moment: a thread of a library may read it.
    for name in os.environb.keys() - variables.keys():
        del os.environb[name]
    os.environb.update(variables)


def _set_warning_filters(filters: list[Any]) -> None:
    warnings.simplefilter("default")  # makes Python forget what it has decided by other filters
    warnings.filters[:] = filters  # type: ignore[index]


def _set_garbage_collection(on: bool) -> None:
    (gc.enable if on else gc.disable)()


def _log() -> tuple[int, int, list[logging.Handler]]:
    root = logging.getLogger()
    return root.manager.disable, root.level, root.handlers.copy()


def _set_log(log: tuple[int, int, list[logging.Handler]]) -> None:
    disabled, level, handlers = log
    logging.disable(disabled)
    root = logging.getLogger()
    root.setLevel(level)
    root.handlers[:] = handlers


def _hooks(owner: Any, name: str) -> dict[Any, Any]:
    return dict(getattr(owner, name))


def _set_hooks(owner: Any, name: str, hooks: dict[Any, Any]) -> None:
    getattr(owner, name).clear()
    getattr(owner, name).update(hooks)


def _cuda_generators() -> list[torch.Tensor] | None:
    """None while CUDA is not in use: it then starts from torch's seed."""
    if not torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        return None
    return [generator.get_state() for generator in torch.cuda.default_generators]


def _set_cuda_generators(states: list[torch.Tensor] | None) -> None:
    if not torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        return
    if states is None:
        torch.cuda.manual_seed_all(torch.initial_seed())
        return
    for generator, state in zip(torch.cuda.default_generators, states, strict=True):
        generator.set_state(state)


GENERATORS = {
    "random": Setting(random.getstate, random.setstate),
    "numpy": Setting(np.random.get_state, np.random.set_state),
    "torch": Setting(torch.get_rng_state, torch.set_rng_state),
    "torch on CUDA": Setting(_cuda_generators, _set_cuda_generators),  # after torch's own
}
HOOKS = {
    f"{name} of {owner.__name__}": Setting(
        partial(_hooks, owner, name), partial(_set_hooks, owner, name)
    )
    for owner, names in GLOBAL_HOOKS.items()
    for name in names
}
SETTINGS = {
    "threads": Setting(torch.get_num_threads, torch.set_num_threads),
    "determinism": Setting(torch.get_deterministic_debug_mode, torch.set_deterministic_debug_mode),
    "default dtype": Setting(torch.get_default_dtype, torch.set_default_dtype),
    "default device": Setting(_default_device, _set_default_device),
    "gradients": Setting(torch.is_grad_enabled, torch.set_grad_enabled),
    "anomaly detection": Setting(torch.is_anomaly_enabled, torch.set_anomaly_enabled),
    "precision of products": Setting(
        torch.get_float32_matmul_precision, torch.set_float32_matmul_precision
    ),
    **{
        f"{name} on {device}": Setting(partial(read, device), partial(write, device))
        for name, read, write in (
            ("autocast", torch.is_autocast_enabled, torch.set_autocast_enabled),
            ("autocast dtype", torch.get_autocast_dtype, torch.set_autocast_dtype),
        )
        for device in ("cpu", "cuda")
    },
    "autocast cache": Setting(torch.is_autocast_cache_enabled, torch.set_autocast_cache_enabled),
    "autocast contexts": Setting(_autocast_contexts, _set_autocast_contexts),
    **{
        name: Setting(
            partial(getattr, torch.backends.cudnn, switch),
            partial(setattr, torch.backends.cudnn, switch),
        )
        for name, switch in (
            ("cuDNN", "enabled"),
            ("cuDNN benchmark", "benchmark"),
            ("cuDNN determinism", "deterministic"),
            ("TF32 of cuDNN", "allow_tf32"),
        )
    },
    "oneDNN": Setting(
        lambda: torch.backends.mkldnn.enabled,
        partial(setattr, torch.backends.mkldnn, "enabled"),
    ),
    "memory filled": Setting(
        partial(getattr, torch.utils.deterministic, "fill_uninitialized_memory"),
        partial(setattr, torch.utils.deterministic, "fill_uninitialized_memory"),
    ),
    "warnings": Setting(lambda: [*warnings.filters], _set_warning_filters),
    "numpy's errors": Setting(np.geterr, lambda errors: np.seterr(**errors)),
    "environment": Setting(_environment, _set_environment),
    "working directory": Setting(_working_directory, _change_to),
    "import path": Setting(sys.path.copy, partial(sys.path.__setitem__, slice(None))),
    "recursion limit": Setting(sys.getrecursionlimit, sys.setrecursionlimit),
    "garbage collection": Setting(gc.isenabled, _set_garbage_collection),
    "root logger": Setting(_log, _set_log),
    "start of processes": Setting(
        partial(multiprocessing.get_start_method, allow_none=True),
        partial(multiprocessing.set_start_method, force=True),
    ),
}


@dataclass(frozen=True, slots=True, eq=False)
class CleanProcess:
    """The state of a process before its first trial; made by `here`.

    Attributes:
        generators: states of the random generators.
        settings: what was set, by the names of `SETTINGS`.
        hooks: torch's global ones, by the names of `HOOKS`.
        threads: those that were there.
        modules: the names of those that were there.
        interop_threads: torch's, whose number can be set once in a process.
    """

    generators: dict[str, Any]
    settings: dict[str, Any]
    hooks: dict[str, Any]
    threads: frozenset[threading.Thread]
    modules: frozenset[str]
    interop_threads: int

    @classmethod
    def here(cls) -> Self:
        """Record the state of this process, and collect its garbage.

        The objects that exist now, above all modules, belong to no trial. They are frozen, so that
        `restore` does not search them when it collects what a trial has left.
        """
        gc.collect()
        gc.freeze()
        return cls(
            generators={name: kind.read() for name, kind in GENERATORS.items()},
            settings={name: setting.read() for name, setting in SETTINGS.items()},
            hooks={name: hooks.read() for name, hooks in HOOKS.items()},
            threads=frozenset(threading.enumerate()),
            modules=frozenset(sys.modules),
            interop_threads=torch.get_num_interop_threads(),
        )

    def restore(
        self, started: Collection[object] | None = None, *, alone: bool = True
    ) -> tuple[str, ...]:
        """Undo all changes to the process since it was recorded.

        Args:
            started: the threads and processes that the trial has started; None: all new ones.
            alone: no other trial is in training in this process. What they all share, the modules
                of users and torch's process group, is otherwise left.
        Returns:
            a sentence for each change that cannot be undone, such as a thread that does not end.
            Such a process must not train further trials.
        """
        if alone:
            end_process_group()
        end_children(started)
        deadline = time.monotonic() + SECONDS_TO_END
        new = [
            thread
            for thread in threading.enumerate()
            if (thread not in self.threads if started is None else thread in started)
            and thread is not threading.current_thread()
            and not isinstance(thread, threading._DummyThread)  # Python did not start it
        ]
        for thread in new:
            thread.join(max(0.0, deadline - time.monotonic()))
        left = [thread for thread in new if thread.is_alive()]
        for name, value in (self.hooks | self.settings).items():
            setting = (HOOKS | SETTINGS)[name]
            if setting.read() != value:
                setting.write(value)
        for name, state in self.generators.items():
            GENERATORS[name].write(state)
        cannot = [f"a thread of the trial before still runs: {thread.name}" for thread in left]
        if torch.get_num_interop_threads() != self.interop_threads:
            cannot.append("the trial before has set the number of torch's interop threads")
        if alone:  # last: what a module sets when it is run is there for the next trial too
            cannot += run_again(self.modules)
        free_memory()
        return tuple(cannot)


def end_children(started: Collection[object] | None = None) -> None:
    """End the processes that a trial has started with `multiprocessing`, such as data workers."""
    every = multiprocessing.active_children()
    children = [child for child in every if started is None or child in started]
    for child in children:
        child.terminate()
    for child in children:
        child.join(SECONDS_TO_END)
        if child.is_alive():
            child.kill()
            child.join()


def end_process_group() -> None:
    """End torch's default process group, which a process can have once."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def free_memory() -> None:
    """Free the memory of unused objects, on the GPU too."""
    torch.clear_autocast_cache()
    gc.collect()
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
