"""`trainer.trainer_class`: a user's own subclass of nnU-Net's trainer, as a trial of a sweep."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from sweep.nnunet.nnunet_check import NnunetLook
from sweep.nnunet.training.own_trainer_class import trainer_class
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.store.layout import TrialPaths
from sweep.trial.checkpoints import Checkpoints
from sweep.trial.fit import fit
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.errors import InputError
from sweep.vocabulary.record import Outcome, Stage, Status

MakeTrial = Callable[..., TrialSettings]

OWN = """\
import torch
from nnunetv2.training.loss.deep_supervision import DeepSupervisionWrapper
from nnunetv2.training.lr_scheduler.polylr import PolyLRScheduler
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer


class Shape(torch.nn.Module):
    def __init__(self, epsilon):
        super().__init__()
        self.epsilon, self.weight = epsilon, 0.0

    def forward(self, output, target):
        ce = torch.nn.functional.cross_entropy(output, target[:, 0].long())
        if not self.weight:
            return ce
        p = output.float().softmax(1)[:, 1] * 0.0  # flat, as a network that answers background
        dy, dx = p[:, 1:, :-1] - p[:, :-1, :-1], p[:, :-1, 1:] - p[:, :-1, :-1]
        return ce + self.weight * (dy**2 + dx**2 + self.epsilon).sqrt().mean()


class MyTrainer(nnUNetTrainer):
    epsilon = 1e-6  # an option of the sweep
    warmup = 1

    def __init__(self, plans, configuration, fold, dataset_json, device=torch.device("cuda")):
        super().__init__(plans, configuration, fold, dataset_json, device)
        self.initial_lr, self.num_epochs = 1e-3, 400

    def _build_loss(self):
        loss = Shape(self.epsilon)
        scales = self._get_deep_supervision_scales()
        weights = [1 / 2**level for level in range(len(scales))]
        self.shape = loss
        return DeepSupervisionWrapper(loss, weights) if self.enable_deep_supervision else loss

    def configure_optimizers(self):
        optimizer = torch.optim.AdamW(self.network.parameters(), self.initial_lr)
        return optimizer, PolyLRScheduler(optimizer, self.initial_lr, self.num_epochs)

    def on_train_epoch_start(self):
        super().on_train_epoch_start()
        self.loss.loss.weight = 0.1 * (self.current_epoch >= self.warmup)

    def on_epoch_end(self):
        raise AssertionError("a sweep does not call it")


class Replaced(MyTrainer):
    def train_step(self, batch):
        return {}


class Other:
    _build_loss = configure_optimizers = None
"""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    file = tmp_path / "mine.py"
    file.write_text(OWN)
    return file


def ran(settings: TrialSettings, folder: Path) -> tuple[list[EpochMetrics], Outcome]:
    epochs: list[EpochMetrics] = []
    paths = TrialPaths(folder)
    return epochs, fit(
        settings,
        report=epochs.append,
        checkpoint=Checkpoints(folder),
        provenance=paths.provenance,
    )


def test_own_class_trains_with_its_loss_optimizer_and_hooks_under_the_guard(
    trial: MakeTrial, own: Path, tmp_path: Path
) -> None:
    chosen = {"trainer_class": f"{own}:MyTrainer", "options": {"epsilon": 0.01}}
    settings = trial(chosen, loss={"main": "dice_focal"}, optimizer={"lr": 2e-3})
    epochs, outcome = ran(settings, tmp_path)
    assert outcome.status is Status.COMPLETED
    assert [epoch.steps for epoch in epochs] == [3, 3, 3]
    rates = [2e-3 * (1 - epoch / 3) ** 0.9 for epoch in range(3)]
    assert [epoch.learning_rate for epoch in epochs] == pytest.approx(rates)
    assert epochs[0].terms.keys() == {"loss"}
    assert epochs[0].warnings[:4] == (
        "initial_lr = 0.001 of MyTrainer has no effect: `optimizer.lr` (0.002) takes its place",
        "num_epochs = 400 of MyTrainer has no effect: `trainer.epochs` (3) takes its place",
        "on_epoch_end of MyTrainer has no effect: a sweep does not call it",
        "`loss.main` has no effect: MyTrainer has its own _build_loss",
    )


def test_root_in_an_own_loss_is_found_in_its_step_and_named(
    trial: MakeTrial, own: Path, tmp_path: Path
) -> None:
    chosen = {"trainer_class": f"{own}:MyTrainer", "options": {"epsilon": 0.0}}
    _, outcome = ran(trial(chosen), tmp_path)
    verdict = outcome.divergence
    assert verdict is not None
    assert (verdict.cause, verdict.stage, verdict.epoch) == ("nonfinite", Stage.GRADIENT, 1)
    assert verdict.step == 0
    assert verdict.diagnosis is not None
    assert verdict.diagnosis.likely_cause.startswith(
        "The gradient is not finite, though the network's answers are: the loss divides by 0"
    )
    assert verdict.diagnosis.setting == "trainer.trainer_class"
    healthy = torch.load(TrialPaths(tmp_path).healthy_checkpoint, weights_only=True)
    assert all(bool(torch.isfinite(weight).all()) for weight in healthy["model"].values())


def test_variant_of_nnunets_trains_with_our_geometric_terms(
    trial: MakeTrial, tmp_path: Path
) -> None:
    chosen = {"trainer_class": "nnUNetTrainerNoMirroring"}
    weights = {"compactness": 0.1}
    loss = {"warmup_epochs": 1, "rampup_epochs": 0, "weights": weights}
    epochs, outcome = ran(trial(chosen, loss=loss), tmp_path)
    assert outcome.status is Status.COMPLETED
    assert epochs[1].terms.keys() == {"dice", "ce", "compactness"}


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"trainer_class": "mine.py:Replaced"}, "`mine.py:Replaced` has a train_step of its own"),
        ({"trainer_class": "mine.py:Other"}, "`mine.py:Other` lacks `_build_loss`"),
        (
            {"trainer_class": "mine.py:MyTrainer", "options": {"epsilom": 1}},
            "MyTrainer has no attribute `epsilom`; did you mean `epsilon`",
        ),
        (
            {"trainer_class": "nnUNetTrainerDA6"},
            "finds no trainer class `nnUNetTrainerDA6`; did you mean `nnUNetTrainerDA5`",
        ),
    ],
)
def test_class_that_cannot_be_trained_is_refused(
    trial: MakeTrial, own: Path, chosen: dict[str, Any], message: str
) -> None:
    name = chosen["trainer_class"].replace("mine.py", str(own))
    trainer = trial(chosen | {"trainer_class": name}).trainer
    with pytest.raises(InputError, match=message.replace("mine.py", str(own))):
        trainer_class(trainer)


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"trainer_class": "mine.py:MyTrainr"}, "has no `MyTrainr`; did you mean `MyTrainer`?"),
        ({"trainer_class": "nnUNetTrainerDA6"}, "did you mean `nnUNetTrainerDA5`?"),
        ({"options": {"epsilon": 1}}, "sets attributes of `trainer.trainer_class`"),
    ],
)
def test_check_finds_a_wrong_class_without_running_it(
    trial: MakeTrial, own: Path, chosen: dict[str, Any], message: str
) -> None:
    if "trainer_class" in chosen:
        name = chosen["trainer_class"].replace("mine.py", str(own))
        chosen = chosen | {"trainer_class": name}
    messages = [one.message for one in NnunetLook(trial(chosen)).mistakes]
    assert any(message in one for one in messages), messages
