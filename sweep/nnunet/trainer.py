"""``nnUNetTrainerGeometric``: nnU-Net's trainer on our losses and our guard."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from torch import Tensor, nn

from sweep.data.check import geometric_label
from sweep.diagnosis import StepValues
from sweep.errors import InputError
from sweep.nnunet.asked import Asked, asked_by_environment
from sweep.nnunet.copies import refuse_other_copies
from sweep.nnunet.loss import NnunetLoss
from sweep.nnunet.plans import planned_as_asked
from sweep.nnunet.rate import Rate
from sweep.trainer.device import make_deterministic, seed_torch
from sweep.trainer.guard import Diverged, Guard
from sweep.trainer.losses import geometric_factor
from sweep.trainer.optimizers import build_optimizer

VALIDATION_STEPS = 50
STEPS = 250
"""nnU-Net's batches an epoch."""


class Taken(NamedTuple):
    """A training step whose batch is kept until the guard has judged it."""

    step: int
    batch: Mapping[str, Any]


class nnUNetTrainerGeometric(nnUNetTrainer):  # type: ignore[misc]  # noqa: N801
    """nnU-Net, plus ``g(epoch) · Σ weight · geometric term`` on the main output, and a guard.

    Planning, data, augmentation, network, deep supervision, Dice + CE with the plans' batch Dice,
    checkpoints and validation are nnU-Net's. Ours are the geometric terms, optimizer and schedule
    (whose defaults are nnU-Net's), and the guard that takes the steps.

    How it is told what to train with. nnU-Net fixes the constructor's parameters, so either the
    class carries the settings, `configured`, or it reads the file that SWEEP_NNUNET_CONFIG names
    (`sweep.nnunet.asked`). `asked` holds them, `source` says where they come from.

    An epoch at a time, for whoever runs the loop himself (`run_training` does it for nnU-Net)::

        trainer.on_train_start()                       # once; makes network and loaders
        steps = trainer.train_epoch(epoch)             # raises Diverged at the condemned step
        dice = trainer.validate_epoch()                # pseudo Dice by class
        trainer.state_dict(), trainer.load_state_dict(state)   # weights, optimizer, guard
        trainer.close()                                # ends the loaders' processes

    With ``trainer.workers`` 0 an epoch is a function of (seed, epoch) and the state before it.
    """

    configured_as: ClassVar[Asked | None] = None
    """Set by `configured`; None: the environment decides."""

    # nnU-Net reads the names of these parameters by `inspect`.
    def __init__(
        self,
        plans: dict[str, Any],
        configuration: str,
        fold: int,
        dataset_json: dict[str, Any],
        device: torch.device = torch.device("cuda"),
    ) -> None:
        refuse_other_copies()
        self.asked = self.configured_as or asked_by_environment(
            plans["dataset_name"], plans["plans_name"], configuration, fold
        )
        self.steps: list[StepValues] = []
        self._taken: deque[Taken] = deque()
        plans = planned_as_asked(deepcopy(plans), configuration, self.asked.trainer)
        super().__init__(plans, configuration, fold, dataset_json, device)
        if self.is_ddp:
            raise InputError.single(
                "the guard judges the steps of one process: train with -num_gpus 1, and several"
                " folds side by side"
            )
        if self.label_manager.has_regions:
            raise InputError.single(
                "region-based labels are not supported: the geometric terms act on one class of a"
                " softmax"
            )
        settings, trainer = self.asked.settings, self.asked.trainer
        if settings.loss.weights.kervadec > 0 and self.label_manager.has_ignore_label:
            raise InputError.single(
                "must be 0 where the dataset has an ignore label: it has no distance",
                key="loss.weights.kervadec",
            )
        self.geometric_class = geometric_label(
            {name: n for name, n in dataset_json["labels"].items() if name != "ignore"},
            trainer.geometric_class,
        )
        self.num_epochs = trainer.epochs
        self.num_iterations_per_epoch = trainer.steps_per_epoch or STEPS
        self.num_val_iterations_per_epoch = trainer.validation_steps or VALIDATION_STEPS
        self.initial_lr = settings.optimizer.lr
        self.weight_decay = settings.optimizer.weight_decay
        make_deterministic(settings)

    # What nnU-Net calls while it sets up.

    def initialize(self) -> None:
        seed_torch(self.asked.settings.seed, 0)
        super().initialize()
        self.guard = Guard(
            self.network,
            self.optimizer,
            self.asked.settings.optimizer.gradient_clip,
            self.asked.settings.guard,
            fp16=self.amp == "fp16",
        )
        # The guard scales; nnU-Net's checkpoints keep the scale.
        self.grad_scaler = self.guard.scaler if self.guard.fp16 else None

    def _build_loss(self) -> nn.Module:
        return NnunetLoss(
            super()._build_loss(),
            self.asked.settings.loss,
            self.geometric_class,
            geometry=self.asked.trainer.geometry,
            spacing=self.configuration_manager.spacing,
        )

    def configure_optimizers(self) -> tuple[torch.optim.Optimizer, Rate]:
        settings = self.asked.settings.optimizer
        optimizer = build_optimizer(settings, self.network.parameters())
        return optimizer, Rate(optimizer, settings, self.num_epochs)

    def _do_i_compile(self) -> bool:
        return self.asked.trainer.compile and bool(super()._do_i_compile())

    # An epoch.

    def on_train_epoch_start(self) -> None:
        super().on_train_epoch_start()
        self.loss.factor = self.factor(self.current_epoch)
        self.guard.start_epoch(self.current_epoch, self.loss.factor)
        self.steps = []
        self._taken.clear()
        self._seed(1)

    def train_step(self, batch: dict[str, Any]) -> dict[str, Tensor]:
        """Forward, backward and optimizer step of one batch.

        Raises:
            Diverged: the guard condemns this step, or on a GPU one of the last few; it was not
                taken, and the weights are those from before it.
        """
        self._taken.append(Taken(len(self.steps) + len(self._taken), batch))
        loss = self.forward(batch)
        self._judged(lambda: self.guard.step(loss, self.loss.terms))
        return {"loss": loss.detach()}

    def on_train_epoch_end(self, train_outputs: Sequence[Mapping[str, Tensor]]) -> None:
        """Log the mean loss of the steps that were taken: one skipped NaN does not hide the rest."""
        self._judged(self.guard.read)
        taken = [values.loss for values in self.steps if not values.skipped]
        mean = float(np.mean(taken)) if taken else math.nan
        self.logger.log("train_losses", mean, self.current_epoch)

    def on_validation_epoch_start(self) -> None:
        super().on_validation_epoch_start()
        self._seed(2)

    def forward(self, batch: Mapping[str, Any]) -> Tensor:
        """The total loss of a batch (scalar); its terms are then in ``loss.terms``."""
        data = batch["data"].to(self.device, non_blocking=True)  # [B, C, (D,) H, W]
        target = batch["target"]
        levels = target if isinstance(target, list) else [target]
        levels = [level.to(self.device, non_blocking=True) for level in levels]
        with self.autocast():
            output = self.network(data)
        loss: Tensor = self.loss(output, levels if isinstance(target, list) else levels[0])
        return loss

    def train_epoch(self, epoch: int) -> list[StepValues]:
        """Train one epoch, index from 0, and return the values of its steps.

        Raises:
            Diverged: as `train_step`.
        """
        self.current_epoch = epoch
        self.on_epoch_start()
        self.on_train_epoch_start()
        outputs = [
            self.train_step(next(self.dataloader_train))
            for _ in range(self.num_iterations_per_epoch)
        ]
        self.on_train_epoch_end(outputs)
        return self.steps

    def validate_epoch(self) -> list[float | None]:
        """nnU-Net's pseudo Dice of each foreground class over random validation patches.

        Returns:
            one value a class; None where it is in no patch and is predicted in none.
        """
        with torch.no_grad(), np.errstate(divide="ignore", invalid="ignore"):
            self.on_validation_epoch_start()
            outputs = [
                self.validation_step(next(self.dataloader_val))
                for _ in range(self.num_val_iterations_per_epoch)
            ]
            self.on_validation_epoch_end(outputs)
        found = self.logger.get_value("dice_per_class_or_region", step=-1)
        return [float(value) if math.isfinite(value) else None for value in found]

    # What others read.

    @property
    def amp(self) -> str:
        """Precision of the network: off or fp16; nnU-Net's choice is fp16 on a GPU alone."""
        wanted = self.asked.trainer.amp
        if wanted == "auto":
            return "fp16" if self.device.type == "cuda" else "off"
        return wanted

    def autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, dtype=torch.float16, enabled=self.amp == "fp16")

    def factor(self, epoch: int) -> float:
        """g(epoch)."""
        loss = self.asked.settings.loss
        return geometric_factor(epoch, loss.warmup_epochs, loss.rampup_epochs)

    @property
    def model(self) -> nn.Module:
        """The network itself, where nnU-Net has compiled it what lies below."""
        inner: nn.Module = getattr(self.network, "_orig_mod", self.network)
        return inner

    def state_dict(self) -> dict[str, Any]:
        """Weights, optimizer and guard: with the epoch's number, all that going on needs."""
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "guard": self.guard.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.guard.load_state_dict(state["guard"])
