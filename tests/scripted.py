"""A custom trainer whose numbers are written down beforehand: one weight, one step an epoch."""

from __future__ import annotations

from pathlib import Path
from textwrap import indent

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


def write_scripted(folder: Path, validate: str) -> str:
    """Write the trainer with this body of ``validate(self, epoch)``; returns its entry."""
    file = folder / "scripted.py"
    file.write_text(TRAINER + indent(validate, " " * 8))
    return f"{file}:Scripted"
