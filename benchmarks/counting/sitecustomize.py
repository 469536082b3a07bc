"""Counts training steps from outside, alike for every variant of `peers.py`.

Python imports a module of this name at its start, from the folder that ``PYTHONPATH`` names, so
each worker of each variant counts, and none of them counts itself. All variants train by the same
`sweep.trainer.runs.monai_run.MonaiTraining`, whose `forward` is called once a training step:

- steps: those calls.
- wasted: steps of a trial after its first one whose loss or gradient was not finite. The gradient
  is looked at before the next step, where it still stands.
- diagnosis: calls within `explain`, which takes the step that broke once more, and where it
  needs to trains up to it again.

A process writes its counts into a file of its own in ``$PEERS_COUNTS``, at each step: workers are
killed.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import os
import struct
import sys
from collections.abc import Sequence
from mmap import mmap
from pathlib import Path
from types import ModuleType
from typing import Any

COUNTED = "sweep.trainer.runs.monai_run"
EXPLAINS = "sweep.trainer.runs.guarded_run"
NAMES = ("steps", "wasted", "diagnosis")
LAYOUT = struct.Struct("<3q")


def read_counts(folder: Path) -> dict[str, int]:
    """The sums over all processes."""
    counts = [LAYOUT.unpack(file.read_bytes()) for file in folder.iterdir()]
    return dict(zip(NAMES, map(sum, zip(*counts, strict=True)), strict=True))


def count(module: ModuleType, folder: Path) -> None:
    """Have a module's trainings counted."""
    import torch

    file = folder / str(os.getpid())
    file.write_bytes(bytes(LAYOUT.size))
    with file.open("r+b") as handle:
        memory = mmap(handle.fileno(), LAYOUT.size)
    counts = dict.fromkeys(NAMES, 0)
    diagnosing: list[bool] = []
    base = sys.modules[EXPLAINS]
    forward, explain = module.MonaiTraining.forward, base.explain

    def told(name: str) -> None:
        counts[name] += 1
        memory[:] = LAYOUT.pack(*counts.values())

    def counted(self: Any, *arguments: Any) -> Any:
        if diagnosing:
            told("diagnosis")
            return forward(self, *arguments)
        gradients = (p.grad for p in self.model.parameters() if p.grad is not None)
        if not getattr(self, "peers_broken", False):
            self.peers_broken = not all(bool(torch.isfinite(g).all()) for g in gradients)
        told("steps")
        if self.peers_broken:
            told("wasted")
        passed = forward(self, *arguments)
        self.peers_broken = self.peers_broken or not bool(torch.isfinite(passed.loss))
        return passed

    def explained(*arguments: Any) -> Any:
        diagnosing.append(True)
        try:
            return explain(*arguments)
        finally:
            diagnosing.pop()

    module.MonaiTraining.forward, base.explain = counted, explained


class Finder(importlib.abc.MetaPathFinder):
    """Finds the one module as usual, and has it counted once it is there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name != COUNTED:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            load = spec.loader.exec_module

            def exec_module(module: ModuleType) -> None:
                load(module)
                count(module, self._folder)

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


if "PEERS_COUNTS" in os.environ:
    sys.meta_path.insert(0, Finder(Path(os.environ["PEERS_COUNTS"])))
