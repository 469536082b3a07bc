"""Checkpoints of one trial.

``best.pt``: weights of the best epoch. ``last.pt``: all that going on from the last epoch needs.
``healthy.pt``: of a diverged trial, the last weights that were healthy, in the middle of an epoch.
``offending.pt``: of a diverged trial, the batch and the state from which the step is reproduced.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch

BEST, LAST, HEALTHY, OFFENDING = "best.pt", "last.pt", "healthy.pt", "offending.pt"


class Checkpoints:
    """A trial's folder, as far as weights are concerned. Writes are atomic."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def save_best(self, state: dict[str, Any]) -> None:
        self._save(BEST, state)

    def save_last(self, state: dict[str, Any]) -> None:
        self._save(LAST, state)

    def save_healthy(self, state: dict[str, Any]) -> None:
        self._save(HEALTHY, state)

    def save_offending(self, state: dict[str, Any]) -> None:
        self._save(OFFENDING, state)

    def load_offending(self) -> dict[str, Any] | None:
        """What `sweep.trainer.replay` needs; None where the trial has kept none."""
        return self._load(OFFENDING)

    def load_last(self) -> dict[str, Any] | None:
        """The state to go on from, on the CPU; None where the trial has not saved one."""
        return self._load(LAST)

    def load_best(self) -> dict[str, Any] | None:
        return self._load(BEST)

    def _save(self, name: str, state: dict[str, Any]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        temporary = self.folder / f".{name}.{os.getpid()}"
        try:
            torch.save(state, temporary)
            temporary.replace(self.folder / name)
        finally:
            temporary.unlink(missing_ok=True)

    def _load(self, name: str) -> dict[str, Any] | None:
        path = self.folder / name
        if not path.exists():
            return None
        # weights_only: a results folder may come from anywhere; nothing in it is unpickled.
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        return state
