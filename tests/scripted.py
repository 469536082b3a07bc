"""Custom trainers whose numbers are written down beforehand: a class of one weight and one step an
epoch, and a function that waits, whose process imports no MONAI."""

from __future__ import annotations

from pathlib import Path
from textwrap import indent
from typing import Any

TRAINER = """\
import torch
from sweep.trainer.custom.custom_run import CustomTraining
from sweep.trainer.runs.guarded_run import Validation


class Scripted(CustomTraining):
    def build_model(self):
        return torch.nn.Linear(1, 1)

    def batches(self, epoch):
        yield torch.ones(1, 1)

    def compute_loss(self, batch, factor):
        loss = self.model(batch).square().mean()
        return loss, {"square": loss}

    def validate(self, epoch):
"""

WAITING = """\
import time


def train(config, trial):
    for epoch in range(trial.epochs):
        time.sleep(0.1)
        trial.report(epoch, dice=0.5 + 0.0001 * epoch)
"""


def waiting_sweep(folder: Path) -> dict[str, Any]:
    """A sweep, as a file would hold it, of one trial that would take 100 s."""
    file = folder / "waiting.py"
    file.write_text(WAITING)
    entry = {"kind": "custom", "entry": f"{file}:train", "options": {"level": 0}}
    return {
        "name": "toy",
        "trials": 1,
        "searcher": {"name": "grid"},
        "scheduler": "none",
        "trainer": entry | {"epochs": 1000},
        "early_stopping": {"patience": None},
        "space": {"trainer.options.level": {"choice": [0.1]}},
    }


def write_scripted(folder: Path, validate: str) -> str:
    """Write the trainer with this body of ``validate(self, epoch)``; returns its entry."""
    file = folder / "scripted.py"
    file.write_text(TRAINER + indent(validate, " " * 8))
    return f"{file}:Scripted"
