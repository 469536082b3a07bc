"""One training run of our own trainer (``trainer.kind: monai``), an epoch at a time.

All randomness is a function of (seed, epoch, step): data order, crops and dropout. So the state of
a run at the end of an epoch is its weights, its optimizer's state and the epoch's number. Resumed
from a checkpoint, its own or another run's, it is bit for bit the uninterrupted run.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from copy import copy
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sweep.data.nnunet_raw.dealt_cases import case_counts
from sweep.data.prepared.data_facts import DataFacts
from sweep.data.prepared.outline_length import typical_perimeter
from sweep.data.prepared.samples import CaseArrays, PreparedData
from sweep.data.prepared.unfit_data import network_size
from sweep.spec.settings.objective_settings import group_of
from sweep.spec.settings.trainer_settings import MonaiTrainer
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.spec.tree.setting_tree import names_in, value_of
from sweep.trainer.batches.augmentation import Augmentation
from sweep.trainer.batches.batch import Batch
from sweep.trainer.batches.intensity_statistics import check_statistics
from sweep.trainer.batches.training_batches import TrainingBatches
from sweep.trainer.divergence.guard import Diverged
from sweep.trainer.evaluation.case_metrics import SURFACE, CaseMetrics, Shapes, distance_unit
from sweep.trainer.evaluation.inference import Inference
from sweep.trainer.evaluation.kept_predictions import KeptPredictions
from sweep.trainer.evaluation.validation_dice import DicePerCase
from sweep.trainer.losses.training_loss import TrainingLoss
from sweep.trainer.networks.device import (
    choose_device,
    make_deterministic,
    memory_format,
    seed_torch,
    set_tf32,
    to_device,
)
from sweep.trainer.networks.network_outputs import as_outputs
from sweep.trainer.networks.networks import build_network, size_divisor
from sweep.trainer.networks.optimizers import build_optimizer, set_learning_rate
from sweep.trainer.runs.effective_configuration import RESOLVED, effective
from sweep.trainer.runs.explain import epsilon_of, has_root
from sweep.trainer.runs.guarded_run import GuardedRun, StepLoss, Validation
from sweep.trainer.runs.run_protocol import EffectiveConfiguration, Loop
from sweep.trainer.runs.under_guard import StepAgain
from sweep.vocabulary.class_scores import (
    ClassScore,
    DistanceUnit,
    mean_over_classes,
    means_of_classes,
    split_class,
)
from sweep.vocabulary.divergence import EpsilonFacts, StepValues
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.error_lines import last_line
from sweep.vocabulary.errors import TrainerError
from sweep.vocabulary.objective import VAL_DICE, Objective

CHECKED_IMAGES = 32
"""Training images of the first epoch that are compared with what the normalisation promises."""


class ForwardPass(NamedTuple):
    """A forward pass: logits ``[B, C, (D,) H, W]``, finest first; the total loss and its terms."""

    outputs: list[Tensor]
    loss: Tensor
    terms: dict[str, Tensor]


class MonaiTraining(GuardedRun):
    """Network, loss, optimizer and guard of one trial.

    Args:
        settings: the whole configuration.
        data: what `sweep.data.prepared.prepare` made of ``settings.data``.
    """

    loss: TrainingLoss

    def __init__(self, settings: TrialSettings, data: PreparedData) -> None:
        assert isinstance(settings.trainer, MonaiTrainer), "other kinds are made by `kinds`"
        self.settings = settings
        self.data = data
        self.evaluation = settings.evaluation
        self._costly = set(settings.evaluation.metrics) - {"iou"}
        # Every epoch measures the objective: only then is it known whether the epoch is the best.
        self._always = self._costly & {
            group_of(settings.objective.metric, settings.evaluation.metrics)
        }
        if self._always & SURFACE:
            self._always |= self._costly & SURFACE
        self._reference_shapes: Shapes = {}
        self.device = choose_device(settings)
        make_deterministic(settings)
        set_tf32(settings.trainer.tf32)
        axes, size = settings.data.spatial_dims, network_size(settings, data)
        self._divisor = size_divisor(settings.network, axes, size, data.spacing)
        self.batches = self._make_batches(settings.trainer)
        self.memory_format = memory_format(axes, channels_last=settings.trainer.channels_last)
        self.model = self._make_network(settings.trainer, size)
        self.loss = TrainingLoss(
            settings.loss,
            data.geometric_classes,
            geometry=settings.trainer.geometry,
            spacing=data.spacing,
            ignore=data.ignore,
            regions=data.regions,
        )
        self.optimizer = build_optimizer(settings.optimizer, self.model.parameters())
        self.begin_guard(fp16=settings.trainer.amp == "fp16")

    def _make_batches(self, trainer: MonaiTrainer) -> TrainingBatches:
        settings, data = self.settings, self.data
        augmentation = Augmentation(
            settings.augmentation,
            settings.data.normalization,
            data.training,
            seed=settings.seed,
            spacing=data.spacing,
        )
        return TrainingBatches(
            data.training,
            trainer,
            augmentation,
            seed=settings.seed,
            patch=settings.data.patch,
            divisor=self._divisor,
            oversample_foreground=settings.data.foreground_share,
            device=self.device,
            origin=data.origin,
            regions=data.regions,
        )

    def _make_network(self, trainer: MonaiTrainer, size: Sequence[int]) -> nn.Module:
        """The network on its device, a function of the settings and the seed."""
        settings, data = self.settings, self.data
        seed_torch(settings.seed, 0)
        model = build_network(
            settings.network,
            len(data.channels),
            data.network_channels,
            spatial_dims=settings.data.spatial_dims,
            size=size,
            spacing=data.spacing,
        )
        model.to(device=self.device, memory_format=self.memory_format)  # type: ignore[call-overload]
        if trainer.compile:
            # In place: the names of its weights and its class stay as they are, so checkpoints
            # fit either way. Shapes that are new, such as those of a validation, compile again.
            model.compile()
        return model

    @property
    def steps_per_epoch(self) -> int:
        return self.batches.steps

    def warnings(self, epoch: int) -> tuple[str, ...]:
        """In the first epoch: training images that are not what the normalisation promises."""
        if epoch > 0:
            return ()
        first = range(min(self.batches.steps, -(-CHECKED_IMAGES // self.batches.batch_size)))
        images, plain = (
            torch.cat([self.batches.batch(0, n, augmented=augmented).images for n in first])
            for augmented in (True, False)
        )
        message = check_statistics(images, plain, self.settings.data.normalization)
        return (message,) if message else ()

    def _begin_epoch(self, epoch: int) -> None:
        set_learning_rate(self.optimizer, self.rate(epoch))
        self.model.train()
        self.guard.start_epoch(epoch, self.factor(epoch))

    def _step_losses(self, epoch: int, stop: int | None) -> Iterator[StepLoss]:
        for step in range(self.steps_per_epoch if stop is None else stop):
            passed = self.forward(self.batch(epoch, step), epoch, step)
            yield passed.loss, passed.terms

    def validate(self, epoch: int) -> Validation:
        dice = self.dice_per_case()
        measured = {"iou": dice.mean_iou()} if "iou" in self.evaluation.metrics else {}
        return Validation(
            dice=dice.mean(),
            metrics=measured
            | self._case_metrics(self._always)
            | self._of_a_class(self.settings.judged_by.each[:1]),
            predicted_classes=dice.predicted_classes(),
            trivial_dice=dice.trivial(),
        )

    def dice_per_case(self) -> DicePerCase:
        """Dice of the validation cases over whole images, in the network's evaluation mode."""
        self._dice = dice = DicePerCase(self.data)
        self._predicted = KeptPredictions()
        self._values: dict[tuple[str, str], dict[str, float | None]] = {}
        self.model.eval()
        for case, prediction in self.inference.predictions(self.data.validation.case_arrays):
            dice.add(case.name, prediction, to_device(case.reference, self.device))
            self._predicted.add(prediction)
        return dice

    @property
    def inference(self) -> Inference:
        """How cases are predicted; the network must be in its evaluation mode."""
        return Inference(
            network=self._finest,
            device=self.device,
            divisor=self._divisor,
            size=self.batches.size,
            in_windows=self.settings.data.patch is not None,
            tta=self.evaluation.tta,
            volumes=self.data.training.volumes,
            batch_size=self.batches.batch_size,
            ignore=self.data.ignore,
            regions=self.data.regions,
        )

    def data_facts(self) -> dict[str, Any]:
        return DataFacts.of(self.data).to_json()

    def _finest(self, images: Tensor) -> Tensor:
        """The network's finest output in float32."""
        with self.autocast():
            output = self._logits(images)[0]
        return output.float()

    def measured(self, metrics: EpochMetrics, *, best: bool) -> EpochMetrics:
        names, every = self._costly - self._always, self.evaluation.every
        due = best or (every is not None and (metrics.epoch + 1) % every == 0)
        found, seconds = dict(metrics.metrics), metrics.seconds
        if due and names:
            start = time.perf_counter()
            found |= self._case_metrics(names)
            found |= self._of_a_class(self.settings.judged_by.others)
            seconds += time.perf_counter() - start
        unit = self.distance_unit if SURFACE & found.keys() else None
        return dataclasses.replace(metrics, metrics=found, seconds=seconds, distance_unit=unit)

    @cached_property
    def distance_unit(self) -> DistanceUnit:
        """Unit of HD95 and of the tolerance of NSD."""
        return distance_unit(self.data.training, self.data.validation, self.data.test)

    def _case_metrics(self, names: Collection[str]) -> dict[str, float | None]:
        """Measure the last validation's predictions; the means over cases, then classes."""
        if not names:
            return {}
        cases = CaseMetrics(
            names,
            self.data,
            self.data.geometric_classes,
            self._reference_shapes,
            unit=self.distance_unit,
            tolerance=self.evaluation.nsd_tolerance,
        )
        for case, prediction in self.predictions():
            cases.add(case, prediction)
        for (case_name, label), values in cases.values.items():
            self._values.setdefault((case_name, self.data.classes[label]), {}).update(values)
        scores = self.class_scores()
        means = {name: mean_over_classes(scores, name) for name in cases.columns}
        return means | cases.shapes()

    def _of_a_class(self, objectives: Iterable[Objective]) -> dict[str, float | None]:
        """Those of the objectives that are metrics of one class."""
        found: dict[str, float | None] = {}
        for column in (one.metric for one in objectives):
            metric, label = split_class(column)
            if label is not None:
                name = "dice" if metric == VAL_DICE else metric
                found[column] = means_of_classes(self.class_scores(), name).get(label)
        return found

    def predictions(self) -> Iterator[tuple[CaseArrays, NDArray[np.uint8]]]:
        """Each validation case with the labels ``[S, H, W]`` that the last validation predicted,
        on its own grid."""
        return zip(self.data.validation.case_arrays, self._predicted, strict=True)

    def class_scores(self) -> tuple[ClassScore, ...]:
        found = self._dice.scores()
        costly = (self._values.get((one.case, one.label), {}) for one in found)
        groups = self.data.groups
        return tuple(
            dataclasses.replace(one, values={**one.values, **more}, group=groups.get(one.case))
            for one, more in zip(found, costly, strict=True)
        )

    def score(self, names: Collection[str]) -> tuple[ClassScore, ...]:
        """Predict the validation cases, and measure Dice, IoU and these metrics of each class."""
        self.dice_per_case()
        self._case_metrics(names)
        return self.class_scores()

    def _logits(self, images: Tensor) -> list[Tensor]:
        """The network's outputs of images ``[B, C, (D,) H, W]``, the finest of their size first.

        Raises:
            TrainerError: a plug-in cannot process volumes, or returned logits of another shape.
        """
        outputs = as_outputs(self._network(images), spatial_dims=images.ndim - 2)
        wanted = (len(images), self.data.network_channels, *images.shape[2:])
        if self.settings.network.is_plugin and outputs[0].shape != wanted:
            name = self.settings.network.name
            raise TrainerError(
                f"the network `{name}` must return logits {[*wanted]} of images"
                f" {[*images.shape]}, but returned {[*outputs[0].shape]}"
            )
        return outputs

    def _network(self, images: Tensor) -> Any:
        """What the network itself returns."""
        try:
            return self.model(images.contiguous(memory_format=self.memory_format))
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            if not self.settings.network.is_plugin or images.ndim == 4:
                raise
            raise TrainerError(
                f"the network `{self.settings.network.name}` must process volumes"
                f" {[*images.shape]} (`data.spatial: volumes`), but fails: {last_line(error)}."
                " If it has a parameter `spatial_dims`, it is called with 3"
            ) from error

    def effective_configuration(self, loop: Loop) -> EffectiveConfiguration:
        training, validation = self.data.training.cases, self.data.validation.cases
        return dataclasses.replace(
            super().effective_configuration(loop),
            cases=case_counts(training, validation, self.data.groups),
            classes={"regions": self.data.regions is not None, "ignore": self.data.ignore},
        )

    def effective(self) -> dict[str, Any]:
        return effective(self)

    def expected(self) -> dict[str, Any]:
        asked = RESOLVED.keys() & set(names_in(self.settings)) - self._data_of_no_source.keys()
        return {key: RESOLVED[key](value_of(self.settings, key), self) for key in asked}

    def not_read(self) -> dict[str, str]:
        return super().not_read() | self._data_of_no_source

    @property
    def _data_of_no_source(self) -> dict[str, str]:
        """Data settings that are not read back for samples without a source, and why."""
        names = [] if self.data.origin else names_in(self.settings)
        own = (name for name in names if name.startswith("data."))
        return dict.fromkeys(own, "the data are no source's")

    def load_before_step(self, state: Mapping[str, Any]) -> None:
        """Weights, optimizer and scaler as they were before a step that was kept."""
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        if state["scaler"]:
            self.guard.scaler.load_state_dict(dict(state["scaler"]))

    def take_step(self, batch: Batch, epoch: int, step: int) -> StepValues:
        """Take a single step with this batch, also one that the guard ends the training at."""
        self.model.train()
        self.guard.start_epoch(epoch, self.factor(epoch), step=step)
        passed = self.forward(batch, epoch, step)
        try:
            done = self.guard.step(passed.loss, passed.terms) or self.guard.read()
        except Diverged as stop:
            done = list(stop.recent)
        return done[-1]

    def batch(self, epoch: int, step: int) -> Batch:
        """The batch of a step, on the device."""
        return self.batches.batch(epoch, step)

    def forward(self, batch: Batch, epoch: int, step: int) -> ForwardPass:
        """One forward pass, a function of the batch, (seed, epoch, step) and the weights."""
        seed_torch(self.settings.seed, 1, epoch, step)
        factor = self.factor(epoch)
        # A batch that was read from a file is on the CPU.
        images, labels = batch.images.to(self.device), batch.labels.to(self.device)
        distances = self.loss.distances(labels, factor)
        with self.autocast():
            outputs = self._logits(images)
        outputs = [output.float() for output in outputs]
        loss, terms = self.loss(outputs, labels, factor, distances)
        return ForwardPass(outputs, loss, terms)

    def step_again(self, epoch: int, step: int) -> StepAgain:
        return self.given_again(self.batch(epoch, step), epoch, step)

    def given_again(self, batch: Batch, epoch: int, step: int) -> StepAgain:
        """A step with this batch, to be examined again."""

        def forward() -> tuple[Tensor, Mapping[str, Tensor]]:
            passed = self.forward(batch, epoch, step)
            return passed.outputs[0].detach(), passed.terms

        def loss_with(settings: TrialSettings, images: Tensor) -> Tensor:
            other = copy(self)
            other.settings, other.loss = settings, self.loss.with_settings(settings.loss)
            return other.forward(dataclasses.replace(batch, images=images), epoch, step).loss

        return StepAgain(
            forward=forward,
            loss_with=loss_with,
            soft_areas=self.loss.soft_areas,
            inputs=batch.images,
            cases=batch.cases,
            state=lambda values: self._offending(batch, values),
        )

    def epsilon_facts(self) -> EpsilonFacts | None:
        loss = self.settings.loss
        if not has_root(loss):  # skip what no one will read
            return None
        size = self.batch(0, 0).labels.shape[2:]
        if self.data.training.volumes and self.loss.geometry == "volume":
            return epsilon_of(loss, size.numel(), None)
        return epsilon_of(loss, size[-2:].numel(), typical_perimeter(self.data))

    def _offending(self, batch: Batch, values: StepValues) -> dict[str, Any]:
        """What reproduces a step without the data set; call it before the step is taken."""
        state = self.state_dict()
        scaler = state["guard"]["scaler"]
        return {
            "epoch": values.epoch,
            "step": values.step,
            "images": batch.images.cpu(),
            "labels": batch.labels.cpu(),
            "cases": list(batch.cases),
            "channels": list(self.data.channels),
            "classes": list(self.data.classes),
            "geometric_classes": list(self.data.geometric_classes),
            "spacing": self.data.spacing,
            "ignore": self.data.ignore,
            "regions": dataclasses.asdict(regions) if (regions := self.data.regions) else None,
            "model": state["model"],
            "optimizer": state["optimizer"],
            # The scaler has lowered its scale since.
            "scaler": scaler | {"scale": values.scale} if scaler else scaler,
        }
