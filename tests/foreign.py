"""The smallest trainer of somebody else's, and what a test changes of it."""

from __future__ import annotations

from pathlib import Path
from textwrap import indent
from typing import Any

from sweep.spec.settings.trial_settings import TrialSettings

TRAINER = """\
from decimal import Decimal
from fractions import Fraction

import numpy as np
import torch
from torch import nn

from sweep.trainer.custom.custom_run import CustomTraining
from sweep.trainer.runs.guarded_run import Validation


class Mine(CustomTraining):
    def build_model(self):
        return nn.Sequential(nn.Conv2d(1, 4, 1), nn.BatchNorm2d(4), nn.Conv2d(4, 2, 1))

    def batches(self, epoch):
        for _ in range(3):
            labels = torch.rand(2, 1, 4, 4).round().long()
            yield labels + 0.1 * torch.randn(labels.shape), labels

    def validate(self, epoch):
        return Validation(dice=0.5)

"""


def write_trainer(folder: Path, methods: str = "", before: str = "") -> str:
    """A file with the trainer, its class with further ``methods``; the entry that names it."""
    file = folder / "mine.py"
    file.write_text(
        TRAINER.replace("class Mine", f"{before}\n\nclass Mine") + indent(methods, "    ")
    )
    return f"{file}:Mine"


def trial(entry: str, *, epochs: int = 3, **groups: Any) -> TrialSettings:
    """Settings of a trial of it, without a geometric term; ``groups`` as in the YAML."""
    values = {
        "trainer": {"kind": "custom", "entry": entry, "epochs": epochs, "device": "cpu"},
        "loss": {"weights": {"compactness": 0.0, "boundary": 0.0, "aspect": 0.0}},
        "optimizer": {"lr": 0.05},
    }
    return TrialSettings.model_validate(values | groups)
