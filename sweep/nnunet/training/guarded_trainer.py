"""nnU-Net's trainer with our losses and our guard, an epoch at a time."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from copy import copy, deepcopy
from functools import partial
from typing import Any, ClassVar, Self

import numpy as np
import torch
from batchgenerators.dataloading.single_threaded_augmenter import SingleThreadedAugmenter
from batchgeneratorsv2.transforms.base.basic_transform import BasicTransform
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from torch import Tensor, nn

from sweep.nnunet.command.asked_settings import (
    STEPS,
    VALIDATION_STEPS,
    asked_by_environment,
    exit_on_error,
    nnunet_trainer,
)
from sweep.nnunet.command.trainer_copies import refuse_other_copies
from sweep.nnunet.dataset.nnunet_folders import Folders
from sweep.nnunet.dataset.plans import planned_as_asked
from sweep.nnunet.training.augmentation_strength import strengthen
from sweep.nnunet.training.nnunet_loss import NnunetLoss
from sweep.nnunet.training.ordered_batches import (
    TRAINING,
    VALIDATION,
    OrderedBatches,
    PartOfBatches,
)
from sweep.nnunet.training.own_trainer_class import (
    TAKEN_OVER,
    TRAINER_CLASS,
    OwnLoss,
    members_of,
    overrides,
    refuse_names,
    trainer_class,
    untimed,
    without_effect,
)
from sweep.nnunet.training.pseudo_validation import Answers
from sweep.nnunet.training.trainer_limits import geometric_channels, refuse_unsupported
from sweep.spec.settings.trial_settings import OptimizerSettings, TrialSettings
from sweep.trainer.losses.geometric_loss import soft_areas
from sweep.trainer.networks.device import make_deterministic, seed_torch
from sweep.trainer.networks.optimizers import (
    build_optimizer,
    learning_rate,
    set_learning_rate,
    why_not,
)
from sweep.trainer.runs.explain import epsilon_of
from sweep.trainer.runs.guarded_run import StepLoss
from sweep.trainer.runs.returned_values import described
from sweep.trainer.runs.under_guard import StepAgain, UnderGuard
from sweep.vocabulary.divergence import EpsilonFacts, StepValues

CUDA = torch.device("cuda")


class NnunetRate:
    """Our schedule as nnU-Net's ``lr_scheduler``: a function of only the epoch.

    With the schedule ``poly`` and exponent 0.9 it is nnU-Net's PolyLRScheduler.
    """

    def __init__(
        self, optimizer: torch.optim.Optimizer, settings: OptimizerSettings, epochs: int
    ) -> None:
        self._optimizer, self._settings, self._epochs = optimizer, settings, epochs

    def __call__(self, epoch: float) -> float:
        """Learning rate of an epoch, from 0."""
        return learning_rate(self._settings, epoch, self._epochs)

    def step(self, epoch: int) -> None:
        """Set the rate of an epoch."""
        set_learning_rate(self._optimizer, self(epoch))


class GuardedTrainer(nnUNetTrainer, UnderGuard):  # type: ignore[misc]
    """nnU-Net, plus ``g(epoch) · Σ weight · geometric term`` on the main output, and a guard.

    Planning, data, augmentation, network, deep supervision, Dice + CE with the plans' batch Dice,
    checkpoints and validation are nnU-Net's. Ours are the geometric terms, optimizer and schedule
    (whose defaults are nnU-Net's), and the guard that takes the steps.

    Settings. nnU-Net fixes the constructor's parameters. So the class carries the settings
    (`configured`). nnU-Net's command makes a class with those of the file that SWEEP_NNUNET_CONFIG
    names (`sweep.nnunet.command.asked_settings`). `source` says where they come from.

    A sweep trains it an epoch at a time (`sweep.nnunet.training.nnunet_run`), and nnU-Net's own
    command in nnU-Net's loop.
    """

    keeps = "nnU-Net's checkpoints are from before it"
    configured_as: ClassVar[tuple[TrialSettings, str] | None] = None
    """The settings and where they come from; set by `configured`."""
    by_command: ClassVar[bool] = False
    """Whether nnU-Net's own command makes the trainer."""
    derived_from: ClassVar[type[nnUNetTrainer]] = nnUNetTrainer
    """``trainer.trainer_class``, see `sweep.nnunet.training.own_trainer_class`."""

    def __new__(cls, *arguments: Any, **named: Any) -> Self:
        configured: type[Self] = cls
        if cls.configured_as is None:  # else `copy` may be calling, without arguments
            asked = inspect.signature(cls.__init__).bind(None, *arguments, **named).arguments
            plans, of_command = asked["plans"], (asked["configuration"], asked["fold"])
            with exit_on_error():
                found = asked_by_environment(
                    plans["dataset_name"], plans["plans_name"], *of_command
                )
                configured = cls.configured(*found, by_command=True)
        made: Self = object.__new__(configured)
        return made

    # nnU-Net reads the names of these parameters by `inspect`.
    def __init__(
        self,
        plans: dict[str, Any],
        configuration: str,
        fold: int | str,
        dataset_json: dict[str, Any],
        device: torch.device = CUDA,
    ) -> None:
        assert self.configured_as is not None, "`__new__` makes a class that is configured"
        self.settings, self.source = self.configured_as
        with exit_on_error() if self.by_command else nullcontext():
            refuse_other_copies()
            self.trainer_settings = trainer = nnunet_trainer(self.settings)
            plans = planned_as_asked(deepcopy(plans), configuration, trainer)
            before = vars(self).copy()
            super().__init__(
                plans=plans,
                configuration=configuration,
                fold=fold,
                dataset_json=dataset_json,
                device=device,
            )
            changed = [k for k, v in vars(self).items() if v is not before.get(k)]
            refuse_names(self.derived_from, changed, self._own_names())
            file = f"{plans['dataset_name']}/dataset.json"
            refuse_unsupported(self.settings.loss, dataset_json, file, self.is_ddp)
            self.geometric_classes = geometric_channels(dataset_json, trainer.geometric_class, file)
        self.batches: OrderedBatches | None = None
        self.steps: list[StepValues] = []
        self._begun = 0  # steps of the epoch so far
        made_with = {name: getattr(self, name) for name in TAKEN_OVER}
        self.num_epochs = trainer.epochs
        self.num_iterations_per_epoch = trainer.steps_per_epoch or STEPS
        self.num_val_iterations_per_epoch: int = trainer.validation_steps or VALIDATION_STEPS
        self.oversample_foreground_percent = trainer.oversample_foreground
        self.initial_lr = self.settings.optimizer.lr
        self.weight_decay = self.settings.optimizer.weight_decay
        self.without_effect = tuple(without_effect(self.derived_from, made_with, vars(self)))
        make_deterministic(self.settings)

    @classmethod
    def configured(
        cls,
        settings: TrialSettings,
        source: str = "the trial's configuration",
        *,
        by_command: bool = False,
    ) -> type[Self]:
        """This class with the settings of a trial, and derived from its trainer class."""
        trainer = nnunet_trainer(settings)
        own = trainer_class(trainer)
        refuse_names(own, dir(own), cls._own_names())
        members = {
            "configured_as": (settings, source),
            "by_command": by_command,
            "derived_from": own,
        }
        bases = (cls,) if own is nnUNetTrainer else (cls, own)
        # The name stays: nnU-Net names folders after it, and looks it up for a prediction.
        return type(cls.__name__, bases, members_of(own, trainer.options) | members)

    @staticmethod
    def _own_names() -> set[str]:
        """Names of attributes that nnU-Net's trainer does not have."""
        set_later = {"answers", "batches", "geometric_classes", "guard", "model", "settings"}
        set_later |= {"source", "steps", "trainer_settings", "without_effect"}
        return set(dir(GuardedTrainer)) - {*dir(nnUNetTrainer), "loss"} | set_later

    # Called by nnU-Net while it sets up.

    def on_train_start(self) -> None:
        with Folders().in_effect(nnUNet_n_proc_DA=str(self.trainer_settings.workers)):
            super().on_train_start()
        make_deterministic(self.settings)  # nnU-Net's command has changed it in the meantime

    def initialize(self) -> None:
        seed_torch(self.settings.seed, 0)
        super().initialize()
        network: nn.Module = self.network
        self.model = getattr(network, "_orig_mod", network)  # without nnU-Net's compilation
        self.begin_guard(fp16=self.amp == "fp16")
        # The guard scales the loss, and nnU-Net's checkpoints keep the scale.
        self.grad_scaler = self.guard.scaler if self.guard.fp16 else None

    def get_dataloaders(self) -> tuple[PartOfBatches, PartOfBatches]:
        """nnU-Net's loaders, whose batches `OrderedBatches` makes in its own processes."""
        with Folders().in_effect(nnUNet_n_proc_DA="0"):
            found = super().get_dataloaders()
        if not all(isinstance(one, SingleThreadedAugmenter) for one in found):
            raise TRAINER_CLASS.wrong(
                f"{self.derived_from.__name__} has a get_dataloaders of its own, but the sweep must"
                " make the batches: change get_training_transforms or do_split instead"
            )
        training, validation = (one.data_loader for one in found)
        if not overrides(self.derived_from, "get_training_transforms"):
            strengthen(training.transforms, self.trainer_settings.augmentation_strength)
        self.batches = OrderedBatches(
            {TRAINING: training, VALIDATION: validation},
            {
                TRAINING: self.steps_per_epoch,
                VALIDATION: self.num_val_iterations_per_epoch,
            },
            seed=self.settings.seed,
            workers=self.trainer_settings.workers,
            pin_memory=self.device.type == "cuda",
        )
        return self.batches.part(TRAINING), self.batches.part(VALIDATION)

    def _build_loss(self) -> Any:
        own = super()._build_loss()
        if overrides(self.derived_from, "_build_loss"):
            return own
        return NnunetLoss(
            own,
            self.settings.loss,
            self.geometric_classes,
            geometry=self.trainer_settings.geometry,
            spacing=self.configuration_manager.spacing,
            regions=self.label_manager.has_regions,
            ignore_label=self.label_manager.ignore_label,
        )

    @property
    def loss(self) -> Any:
        """The loss as the trainer class knows it; `guarded_loss` is what the steps take."""
        return self._loss

    @loss.setter
    def loss(self, given: Any) -> None:  # also by a hook of the class
        self._loss = given
        is_ours = given is None or isinstance(given, NnunetLoss)
        self.guarded_loss: Any = given if is_ours else OwnLoss(given, self.settings.loss)

    @property
    def optimizer_is_own(self) -> bool:
        return overrides(self.derived_from, "configure_optimizers")

    def configure_optimizers(self, *stage: Any, **named: Any) -> tuple[torch.optim.Optimizer, Any]:
        if self.optimizer_is_own:
            made: tuple[torch.optim.Optimizer, Any] = super().configure_optimizers(*stage, **named)
            if (why := why_not(made[0])) is not None:
                raise TRAINER_CLASS.wrong(f"its optimizer, {described(made[0])}, {why}")
            return made
        settings = self.settings.optimizer
        optimizer = build_optimizer(settings, self.network.parameters())
        return optimizer, NnunetRate(optimizer, settings, self.num_epochs)

    def get_training_transforms(self, *arguments: Any, **named: Any) -> BasicTransform:
        return untimed(super().get_training_transforms(*arguments, **named))

    def _do_i_compile(self) -> bool:
        return self.trainer_settings.compile and bool(super()._do_i_compile())

    # An epoch.

    def on_train_epoch_start(self) -> None:
        super().on_train_epoch_start()
        self.guard.watch(self.model, self.optimizer)  # a hook may have made another optimizer
        self.guarded_loss.factor = self.factor(self.current_epoch)
        self.guard.start_epoch(self.current_epoch, self.guarded_loss.factor)
        self.steps, self._begun = [], 0
        self._begin(self.dataloader_train, TRAINING)

    def train_step(self, batch: dict[str, Any]) -> dict[str, Tensor]:
        """Forward, backward and optimizer step of one batch.

        Raises:
            Diverged: the guard condemns this step, or on a GPU one of the last few. The step was
                not taken: the weights are those from before it.
        """
        loss, terms = self.loss_of(batch)
        self.steps += self.guard.step(loss, terms)
        return {"loss": loss.detach()}

    def loss_of(self, batch: dict[str, Any]) -> StepLoss:
        """The loss of the next step and its terms; the batch is kept until the step is judged."""
        self.keep_batch(self.current_epoch, self._begun, batch)
        self._begun += 1
        _, loss = self.forward(batch, self.network)
        return loss, self.guarded_loss.terms

    def on_train_epoch_end(self, train_outputs: Sequence[Mapping[str, Tensor]]) -> None:
        """Log the mean loss of the steps that were taken, so a skipped NaN does not hide it."""
        self.steps += self.guard.read()
        taken = [values.loss for values in self.steps if not values.skipped]
        mean = float(np.mean(taken)) if taken else math.nan
        self.logger.log("train_losses", mean, self.current_epoch)

    def on_validation_epoch_start(self) -> None:
        super().on_validation_epoch_start()
        self._begin(self.dataloader_val, VALIDATION)

    def forward(self, batch: Mapping[str, Any], network: nn.Module) -> tuple[Tensor, Tensor]:
        """Logits ``[B, C, (D,) H, W]`` of the main output, and the total loss of a batch.

        The terms of the loss are then in ``loss.terms``.
        """
        data = batch["data"].to(self.device, non_blocking=True)  # [B, channels, (D,) H, W]
        target = batch["target"]
        targets = [
            level.to(self.device, non_blocking=True)
            for level in (target if isinstance(target, list) else [target])
        ]
        if not isinstance(target, list):
            [targets] = targets
        with self.autocast():
            output = network(data)
            loss: Tensor = self.guarded_loss(output, targets)
        return output[0] if isinstance(output, (list, tuple)) else output, loss

    def validate_epoch(self) -> list[float | None]:
        """nnU-Net's pseudo Dice of each foreground class over random validation patches.

        Returns:
            One value per class; None for a class that no patch has and no prediction has.
        """
        with torch.no_grad(), np.errstate(divide="ignore", invalid="ignore"):
            self.on_validation_epoch_start()
            self.answers = Answers(
                self.label_manager.ignore_label, regions=self.label_manager.has_regions
            )
            outputs = []
            for _ in range(self.num_val_iterations_per_epoch):
                batch = next(self.dataloader_val)
                self.answers.look_at(batch)  # before nnU-Net changes the ignored voxels
                outputs.append(self.validation_step(batch))
            self.answers.add(outputs)
            self.on_validation_epoch_end(outputs)
        found = self.logger.get_value("dice_per_class_or_region", step=-1)
        return [float(value) if math.isfinite(value) else None for value in found]

    @property
    def amp(self) -> str:
        """Precision of the network: off or fp16; nnU-Net itself uses fp16 only on a GPU."""
        wanted = self.trainer_settings.amp
        if wanted == "auto":
            return "fp16" if self.device.type == "cuda" else "off"
        return wanted

    def autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, dtype=torch.float16, enabled=self.amp == "fp16")

    def rate(self, epoch: float) -> float:
        """Learning rate of an epoch, by the sweep's schedule."""
        return float(self.lr_scheduler(epoch))

    @property
    def steps_per_epoch(self) -> int:
        return int(self.num_iterations_per_epoch)

    def step_again(self, epoch: int, step: int) -> StepAgain | None:
        batch = self.kept_batch(epoch, step)
        if batch is None:
            return None

        def forward() -> tuple[Tensor, Mapping[str, Tensor]]:
            logits, _ = self.forward(batch, self.model)
            return logits.detach(), self.guarded_loss.terms

        def loss_with(settings: TrialSettings, data: Tensor) -> Tensor:
            other = copy(self)
            other.settings, other.trainer_settings = settings, nnunet_trainer(settings)
            if not isinstance(self.guarded_loss, OwnLoss):
                other.loss = other._build_loss()
                other.guarded_loss.factor = self.guarded_loss.factor
            self.guarded_loss.terms = {}  # lets go of the activations that `forward` kept
            return other.forward({**batch, "data": data}, self.model)[1]

        areas = partial(
            soft_areas,
            channels=self.geometric_classes,
            regions=self.label_manager.has_regions,
        )
        return StepAgain(
            forward=forward,
            loss_with=loss_with,
            soft_areas=areas,
            inputs=batch["data"],
            cases=tuple(map(str, batch["keys"])),
        )

    def epsilon_facts(self) -> EpsilonFacts | None:
        pixels = math.prod(self.configuration_manager.patch_size[-2:])
        return epsilon_of(self.settings.loss, pixels, None)

    def close(self) -> None:
        """End the processes that make batches, if there are any."""
        if self.batches is not None:
            self.batches.close()

    def _begin(self, batches: PartOfBatches, part: int) -> None:
        """Go to an epoch's first batch, and seed what the network draws (dropout)."""
        batches.start(self.current_epoch)
        seed_torch(self.settings.seed, part, self.current_epoch)
