"""Trials whose validation is written down beforehand: how they end, with the loop of a real one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sweep.spec.settings.trial_settings import TrialSettings
from sweep.trial.checkpoints import Checkpoints
from sweep.trial.fit import fit
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.record import Outcome, Status

SCRIPTED = """
import torch
from torch import nn
from sweep.trainer.custom.custom_run import CustomTraining
from sweep.trainer.runs.guarded_run import Validation

class Mine(CustomTraining):
    def build_model(self):
        return nn.Conv2d(1, 2, 1)

    def batches(self, epoch):
        yield torch.rand(2, 1, 32, 32), torch.zeros(2, 1, 32, 32, dtype=torch.long)

    def validate(self, epoch):
        dice, classes = VALIDATIONS[epoch]
        return Validation(dice=dice, predicted_classes=classes, trivial_dice=TRIVIAL)
"""


def scripted(
    folder: Path, validations: list[tuple[float, int]], trivial: float | None, **more: Any
) -> TrialSettings:
    """A trial whose epochs validate as told; its geometric loss switches on with epoch 3."""
    head = f"VALIDATIONS = {validations!r}\nTRIVIAL = {trivial!r}\n"
    (folder / "mine.py").write_text(head + SCRIPTED)
    values = {
        "trainer": {
            "kind": "custom",
            "entry": f"{folder / 'mine.py'}:Mine",
            "epochs": len(validations),
            "device": "cpu",
        },
        "loss": {"warmup_epochs": 3, "weights": {"boundary": 100.0}},
    }
    return TrialSettings.model_validate(values | more)


def verdict_of(outcome: Outcome) -> tuple[str, int, str]:
    """Cause, epoch, and the setting that the diagnosis names."""
    found = outcome.divergence
    assert found is not None
    assert found.diagnosis is not None
    return found.cause, found.epoch, found.diagnosis.setting


GOOD, BACKGROUND, FOREGROUND = (0.8, 2), (0.0, 1), (0.2, 1)


def test_network_that_starts_all_foreground_and_learns_late_completes(tmp_path: Path) -> None:
    epochs = [FOREGROUND, *[BACKGROUND] * 4, (0.3, 2), (0.86, 2)]
    assert fit(scripted(tmp_path, epochs, 0.2)).status is Status.COMPLETED


@pytest.mark.parametrize(
    ("epochs", "verdict"),
    [
        # It never left its first answers: that began long before the geometric loss.
        ([FOREGROUND, *[BACKGROUND] * 5], ("collapsed", 0, "optimizer.lr")),
        # One of five classes was learnt, a mean of 0.09, and lost with the switch-on in epoch 3.
        (
            [(0.04, 6), (0.08, 6), (0.09, 6), *[BACKGROUND] * 3],
            ("collapsed", 3, "loss.weights.boundary"),
        ),
    ],
)
def test_training_that_ends_answering_nothing_is_dead_with_its_cause(
    tmp_path: Path, epochs: list[tuple[float, int]], verdict: tuple[str, int, str]
) -> None:
    trivial = 0.2 if epochs[0] == FOREGROUND else 0.05
    settings = scripted(tmp_path, epochs, trivial)
    (tmp_path / "t").mkdir()
    told: list[EpochMetrics] = []
    outcome = fit(settings, report=told.append, checkpoint=Checkpoints(tmp_path / "t"))
    assert verdict_of(outcome) == verdict
    assert len(told) == len(epochs)  # all were trained: nothing was certain before the end
    assert all(epoch.trivial_dice == trivial for epoch in told)
    again = fit(settings, checkpoint=Checkpoints(tmp_path / "t"))
    assert verdict_of(again) == verdict


def test_patience_that_runs_out_on_a_dead_network_is_no_result(tmp_path: Path) -> None:
    stop = {"early_stopping": {"patience": 2, "counts_from": "start"}}
    settings = scripted(tmp_path, [(0.05, 2), *[BACKGROUND] * 9], 0.02, **stop)
    told: list[EpochMetrics] = []
    assert fit(settings, report=told.append).status is Status.DIVERGED
    assert len(told) == 3


def test_collapse_in_the_warm_up_is_not_laid_on_the_geometric_loss(tmp_path: Path) -> None:
    # Seen twice, the second time with the loss switched on: it began before.
    settings = scripted(tmp_path, [GOOD, GOOD, BACKGROUND, BACKGROUND, GOOD], 0.2)
    assert verdict_of(fit(settings)) == ("collapsed", 2, "optimizer.lr")


def test_collapse_is_not_laid_on_a_geometric_loss_that_is_slight_beside_the_main_one(
    tmp_path: Path,
) -> None:
    slight = {"warmup_epochs": 3, "weights": {"boundary": 1e-3}}
    settings = scripted(tmp_path, [*[GOOD] * 3, *[BACKGROUND] * 3], 0.2, loss=slight)
    assert verdict_of(fit(settings)) == ("collapsed", 3, "optimizer.lr")
