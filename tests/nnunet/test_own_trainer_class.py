"""`trainer.trainer_class`: a user's own subclass of nnU-Net's trainer, as a trial of a sweep."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from cut_short import cut_short

from sweep.nnunet.command.asked_settings import CONFIG_VARIABLE
from sweep.nnunet.nnunet_check import NnunetLook
from sweep.nnunet.training.geometric_trainer import nnUNetTrainerGeometric
from sweep.nnunet.training.nnunet_effective import effective_configuration
from sweep.nnunet.training.ordered_batches import TRAINING
from sweep.spec.load import to_yaml
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.store.layout import TrialPaths
from sweep.trial.checkpoints import Checkpoints
from sweep.trial.fit import fit
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.errors import InputError
from sweep.vocabulary.record import Outcome, Stage, Status

MakeTrial = Callable[..., TrialSettings]
MakeTrainer = Callable[..., nnUNetTrainerGeometric]

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


class Sudden(MyTrainer):
    def on_train_epoch_start(self):
        nnUNetTrainer.on_train_epoch_start(self)
        if self.current_epoch == self.warmup:  # and in no other epoch
            self.loss = torch.nn.Identity()
            self.loss.forward = lambda output, target: self.shape(output[0], target[0])
            self.shape.weight = 0.1
            self.optimizer, self.lr_scheduler = self.configure_optimizers()


class Rising:
    def __init__(self, optimizer):
        [self.group] = optimizer.param_groups

    def step(self, epoch):
        self.group["lr"] = epoch / 3


class Usual(nnUNetTrainer):
    probability = 0.5
    channels = 8

    def initialize(self):
        super().initialize()
        self.loss = Shape(1e-6)

    @classmethod
    def get_training_transforms(cls, *arguments, **named):
        transforms = nnUNetTrainer.get_training_transforms(*arguments, **named)
        transforms.transforms[-1].apply_probability = cls.probability
        return transforms

    def build_network_architecture(self, name, kwargs, imports, inputs, outputs, deep):
        return torch.nn.Conv2d(inputs, outputs, self.channels - 1, padding="same")

    def set_deep_supervision_enabled(self, enabled):
        pass

    def configure_optimizers(self):
        optimizer = torch.optim.SGD(self.network.parameters(), self.initial_lr)
        return optimizer, Rising(optimizer)

    def on_train_epoch_start(self):
        super().on_train_epoch_start()
        self.loss.factor, self.loss.terms = 0.5, 3


class Old(nnUNetTrainer):
    channels = 7

    @classmethod
    def build_network_architecture(cls, name, kwargs, imports, inputs, outputs, deep=True):
        return torch.nn.Conv2d(inputs, cls.channels, 1)


class Loads(MyTrainer):
    def get_dataloaders(self):
        return None, None


class Takes(MyTrainer):
    forward = None


class Sets(MyTrainer):
    def __init__(self, *arguments, **named):
        super().__init__(*arguments, **named)
        self.factor = 0.5


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


def test_what_a_hook_does_in_one_epoch_alone_holds_where_a_trial_goes_on(
    trial: MakeTrial, own: Path, tmp_path: Path
) -> None:
    settings = trial({"trainer_class": f"{own}:Sudden"})
    whole, _ = ran(settings, tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    cut_short(settings, 2, checkpoint=Checkpoints(other))
    resumed, outcome = ran(settings, other)
    assert outcome.status is Status.COMPLETED
    assert [epoch.train_loss for epoch in resumed] == [epoch.train_loss for epoch in whole]
    assert resumed[2].learning_rate == whole[2].learning_rate


def test_class_has_its_loss_network_augmentation_and_schedule_in_any_usual_form(
    trainer: MakeTrainer, own: Path
) -> None:
    options = {"probability": 0.07, "channels": 4}
    with pytest.warns(DeprecationWarning, match="old build_network_architecture"):
        made = trainer(trainer={"trainer_class": f"{own}:Usual", "options": options})
    made.on_train_epoch_start()
    own_loss: Any = made.loss
    assert (own_loss.factor, own_loss.terms) == (0.5, 3)  # and not those of the sweep
    assert made.model.kernel_size == (3, 3)
    assert made.batches is not None
    assert made.batches.loader(TRAINING).transforms.transforms[-1].apply_probability == 0.07
    assert made.optimizer.param_groups[0]["lr"] == 0.0  # of the first epoch, by Rising
    found = effective_configuration(made)
    assert found.not_read.keys() >= {"loss.main", "optimizer.schedule", "trainer.encoder"}
    assert found.not_read["trainer.augmentation_strength"] == (
        "Usual has its own get_training_transforms"
    )


def test_predictor_of_nnunets_command_gets_the_network_of_the_class_and_its_options(
    trial: MakeTrial, trainer: MakeTrainer, own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = own.with_name("best.yaml")
    chosen = {"trainer_class": f"{own}:Old", "options": {"channels": 5}}
    file.write_text(to_yaml(trial(chosen)))
    planned = trainer(start=False)
    monkeypatch.setenv(CONFIG_VARIABLE, str(file))
    network = nnUNetTrainerGeometric.build_network_architecture(
        planned.plans_manager, planned.configuration_manager, 1, 2, False
    )
    assert isinstance(network, torch.nn.Conv2d)
    assert network.out_channels == 5


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
            {"trainer_class": "mine.py:MyTrainer", "options": {"initial_lr": 1e-3}},
            "`optimizer.lr` sets initial_lr of MyTrainer",
        ),
        (
            {"trainer_class": "mine.py:Takes"},
            "Takes has an attribute `forward`, a name that the trainer of a sweep uses",
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
    settings = trial(chosen | {"trainer_class": name})
    with pytest.raises(InputError, match=message.replace("mine.py", str(own))):
        nnUNetTrainerGeometric.configured(settings)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Sets", "Sets has an attribute `factor`"),
        ("Loads", "Loads has a get_dataloaders of its own"),
    ],
)
def test_class_whose_objects_cannot_be_trained_is_refused(
    trainer: MakeTrainer, own: Path, name: str, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        trainer(trainer={"trainer_class": f"{own}:{name}"})


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
