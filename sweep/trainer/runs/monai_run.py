"""One training run of our own trainer (``trainer.kind: monai``), an epoch at a time.

All randomness is a function of (seed, epoch, step): data order, crops and dropout. So the state of
a run at the end of an epoch is its weights, its optimizer's state and the epoch's number; going on
from a checkpoint, or from another run's, is bit for bit the same as never having stopped.
"""

from __future__ import annotations

import dataclasses
import time
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from monai.inferers import SlidingWindowInferer
from numpy.typing import NDArray
from torch import Tensor

from sweep.data.prepared.samples import PreparedData, Sample
from sweep.spec.settings.objective_settings import group_of
from sweep.spec.settings.trainer_settings import MonaiTrainer
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.trainer.batches.augmentation import Augmentation
from sweep.trainer.batches.intensity_statistics import check_statistics
from sweep.trainer.batches.training_batches import Batch, TrainingBatches
from sweep.trainer.divergence.guard import Diverged, Guard
from sweep.trainer.divergence.verdicts import judge_epochs
from sweep.trainer.evaluation.case_metrics import CaseMetrics, Shapes
from sweep.trainer.evaluation.mirroring import mean_over_flips
from sweep.trainer.evaluation.validation_dice import DicePerCase
from sweep.trainer.losses.training_loss import TrainingLoss
from sweep.trainer.networks.device import choose_device, make_deterministic, seed_torch
from sweep.trainer.networks.networks import as_outputs, build_network, size_divisor
from sweep.trainer.networks.optimizers import build_optimizer, learning_rate, set_learning_rate
from sweep.trainer.runs.effective_configuration import Live, account
from sweep.trainer.runs.end_of_run import is_over
from sweep.trainer.runs.epoch_summary import summary
from sweep.trainer.runs.postmortem import explain_epoch, explain_step
from sweep.trainer.runs.rewind_snapshot import Snapshot
from sweep.trainer.runs.run_protocol import Account, Loop
from sweep.vocabulary.divergence import StepValues
from sweep.vocabulary.epoch_metrics import EpochMetrics

CHECKED_IMAGES = 32
"""How many training images of the first epoch are compared with what the normalisation promises."""


class Passed(NamedTuple):
    """A forward pass: logits ``[B, C, H, W]``, finest first; the total loss and its terms."""

    outputs: list[Tensor]
    loss: Tensor
    terms: dict[str, Tensor]


class Training:
    """Network, loss, optimizer and guard of one trial.

    Args:
        settings: the whole configuration.
        data: what `sweep.data.prepared.prepare` made of ``settings.data``.
    """

    def __init__(self, settings: TrialSettings, data: PreparedData) -> None:
        assert isinstance(settings.trainer, MonaiTrainer), "other kinds are made by `kinds`"
        self.settings = settings
        self.data = data
        self.evaluation = settings.evaluation
        self._costly = set(settings.evaluation.metrics) - {"iou"}
        # What epochs are compared by, every epoch measures: which is the best is known only then.
        self._always = self._costly & {group_of(settings.objective.metric)}
        self._reference_shapes: Shapes = {}
        # Masks shrink to about a hundredth: those of thousands of slices may be kept.
        self._predicted: list[bytes] = []
        self.device = choose_device(settings)
        make_deterministic(settings)
        self._divisor = size_divisor(settings.network)
        self._batches = TrainingBatches(
            data.training,
            settings.trainer,
            Augmentation(
                settings.augmentation,
                settings.data.normalization,
                data.training,
                seed=settings.seed,
            ),
            seed=settings.seed,
            patch_size=settings.data.patch_size,
            divisor=self._divisor,
        )
        seed_torch(settings.seed, 0)
        self.model = build_network(settings.network, len(data.channels), len(data.classes))
        self.model.to(self.device)
        self._loss = TrainingLoss(settings.loss, data.geometric_class)
        self._optimizer = build_optimizer(settings.optimizer, self.model.parameters())
        self._guard = Guard(
            self.model,
            self._optimizer,
            settings.optimizer.gradient_clip,
            settings.guard,
            fp16=settings.trainer.amp == "fp16",
        )
        self._snapshot: Snapshot | None = None

    def run_epoch(self, epoch: int) -> EpochMetrics:
        """Train one epoch, then validate.

        Args:
            epoch: index from 0.
        Raises:
            Diverged: at the first step that the guard condemns, with the diagnosis; the model then
                holds the weights from before that step.
        """
        start = time.perf_counter()
        warnings = self._look_at_images() if epoch == 0 else ()
        if self._snapshot is None or not self._guard.suspicious:
            self._snapshot = Snapshot.take(epoch, self.state_dict())
        try:
            steps = self.train_steps(epoch, self.steps_per_epoch)
        except Diverged as stop:
            raise explain_step(self, stop) from None
        dice = self.validate()
        measured = {"iou": dice.mean_iou()} if "iou" in self.evaluation.metrics else {}
        return EpochMetrics(
            epoch=epoch,
            val_dice=dice.mean(),
            metrics=measured | self._case_metrics(self._always),
            **summary(steps),
            geometric_factor=self._factor(epoch),
            learning_rate=self._rate(epoch),
            predicted_classes=dice.predicted_classes(),
            trivial_dice=dice.trivial(),
            warnings=warnings,
            seconds=time.perf_counter() - start,
        )

    def judge(self, history: Sequence[EpochMetrics]) -> Diverged | None:
        """The verdict on the last epoch of a history, if there is one, with the diagnosis."""
        verdict = judge_epochs(
            history,
            self._guard.settings,
            scaled=self._guard.fp16,
            over=is_over(history, self.settings),
        )
        return None if verdict is None else explain_epoch(self, verdict, history)

    def train_steps(self, epoch: int, stop: int) -> list[StepValues]:
        """The steps of an epoch before ``stop``.

        Raises:
            Diverged: as the guard does, without a diagnosis.
        """
        set_learning_rate(self._optimizer, self._rate(epoch))
        self.model.train()
        self._guard.start_epoch(epoch, self._factor(epoch))
        done: list[StepValues] = []
        for step in range(stop):
            passed = self.forward(self.batch(epoch, step), epoch, step)
            done += self._guard.step(passed.loss, passed.terms)
        return done + self._guard.read()

    def rewind(self, epoch: int, step: int) -> bool:
        """Take the run back to just before a step, by training up to it once more.

        A run is a function of its state at the start of an epoch: nothing need be kept in between.
        Returns:
            False where the step lies before the state that was kept: the run is then taken to it.
        """
        assert self._snapshot is not None, "a run is rewound to where it was trained"
        self.load_state_dict(self._snapshot.state)
        first = self._snapshot.epoch
        for again in range(first, epoch + 1):
            self.train_steps(again, self.steps_per_epoch if again < epoch else step)
        return epoch >= first

    def validate(self) -> DicePerCase:
        """Dice of the validation cases over whole images, in the network's evaluation mode."""
        dice = DicePerCase(len(self.data.classes))
        self._predicted.clear()
        self.model.eval()
        with torch.inference_mode():
            for sample in self.data.validation:
                image = torch.from_numpy(np.array(sample.image))[None].to(self.device)
                prediction = self.scores(image).argmax(dim=1)[0].cpu()  # [H, W]
                dice.add(sample.case, prediction, torch.from_numpy(np.array(sample.label)))
                self._predicted.append(zlib.compress(prediction.byte().numpy().tobytes(), level=1))
        return dice

    def scores(self, images: Tensor) -> Tensor:
        """What the evaluation decides by, ``[B, C, H, W]``: probabilities with TTA, else logits."""
        if self.evaluation.tta == "flips":
            return mean_over_flips(self.predict, images)
        return self.predict(images)

    def measured(self, metrics: EpochMetrics, *, best: bool) -> EpochMetrics:
        """``metrics`` with the costly ones added, where this epoch is one that measures them.

        Args:
            metrics: of the epoch that was just run.
            best: whether its objective is the best so far, which is known only after it.
        """
        names, every = self._costly - self._always, self.evaluation.every
        due = best or (every is not None and (metrics.epoch + 1) % every == 0)
        if not due or not names:
            return metrics
        start = time.perf_counter()
        return dataclasses.replace(
            metrics,
            metrics={**metrics.metrics, **self._case_metrics(names)},
            seconds=metrics.seconds + time.perf_counter() - start,
        )

    def _case_metrics(self, names: Collection[str]) -> dict[str, float | None]:
        """Means over the cases of the last validation, of each of these groups of metrics."""
        if not names:
            return {}
        cases = CaseMetrics(
            names, len(self.data.classes), self.data.geometric_class, self._reference_shapes
        )
        for index, (sample, prediction) in enumerate(self.predictions()):
            cases.add(index, sample.case, prediction, sample.label)
        return cases.means()

    def predictions(self) -> Iterator[tuple[Sample, NDArray[np.uint8]]]:
        """Each validation sample with the class indices ``[H, W]`` of the last validation."""
        for sample, kept in zip(self.data.validation, self._predicted, strict=True):
            classes = np.frombuffer(zlib.decompress(kept), np.uint8)
            yield sample, classes.reshape(sample.label.shape)

    def predict(self, images: Tensor) -> Tensor:
        """Logits ``[B, C, H, W]`` of whole images of any size; the finest output alone."""
        height, width = images.shape[-2:]
        padding = (0, -width % self._divisor, 0, -height % self._divisor)
        padded = F.pad(images, padding)
        return self._infer(padded)[..., :height, :width]

    def state_dict(self) -> dict[str, Any]:
        """Weights, optimizer and guard: with the epoch's number, all that going on needs."""
        return {
            "model": self.model.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "guard": self._guard.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.model.load_state_dict(state["model"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._guard.load_state_dict(state["guard"])

    def weights(self) -> dict[str, Any]:
        return self.model.state_dict()

    def account(self, loop: Loop) -> Account:
        return account(self.live(loop), self.settings)

    def live(self, loop: Loop) -> Live:
        """The objects that train, for whoever reads back what is in effect."""
        return Live(
            seed=self._batches.seed,
            steps=self._batches.steps,
            data=self.data,
            batches=self._batches,
            model=self.model,
            loss=self._loss,
            optimizer=self._optimizer,
            guard=self._guard,
            autocast=self._autocast,
            factor=self._factor,
            rate=self._rate,
            loop=loop,
            evaluation=self.evaluation,
        )

    def load_before_step(self, state: Mapping[str, Any]) -> None:
        """Weights, optimizer and scaler as they were before a step that was kept."""
        self.model.load_state_dict(state["model"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._guard.scaler.load_state_dict(dict(state["scaler"]))

    def take_step(self, batch: Batch, epoch: int, step: int) -> StepValues:
        """One step on its own, with a batch that is given; also where the guard condemns it."""
        self.model.train()
        self._guard.start_epoch(epoch, self._factor(epoch), step=step)
        passed = self.forward(batch, epoch, step)
        try:
            done = self._guard.step(passed.loss, passed.terms) or self._guard.read()
        except Diverged as stop:
            done = list(stop.recent)
        return done[-1]

    def batch(self, epoch: int, step: int) -> Batch:
        """The batch of a step, on the CPU."""
        return self._batches.batch(epoch, step)

    def forward(self, batch: Batch, epoch: int, step: int) -> Passed:
        """One forward pass, a function of the batch, (seed, epoch, step) and the weights."""
        seed_torch(self.settings.seed, 1, epoch, step)
        factor = self._factor(epoch)
        distances = self._loss.distances(batch.labels, factor)  # while the labels are on the CPU
        if distances is not None:
            distances = distances.to(self.device)
        images, labels = batch.images.to(self.device), batch.labels.to(self.device)
        with self._autocast():
            outputs = as_outputs(self.model(images))
        outputs = [output.float() for output in outputs]
        loss, terms = self._loss(outputs, labels, factor, distances)
        return Passed(outputs, loss, terms)

    @property
    def steps_per_epoch(self) -> int:
        return self._batches.steps

    def recent_steps(self, until: tuple[int, int] | None = None) -> tuple[StepValues, ...]:
        """The last steps that were trained, or those up to a place (epoch, step), oldest first."""
        return self._guard.recent(until)

    def soft_areas(self, logits: Tensor) -> Tensor:
        """Soft area in pixels of the geometric class, ``[B, C, H, W] -> [B]``."""
        return logits.softmax(dim=1)[:, self.data.geometric_class].sum(dim=(1, 2))

    def weights_are_finite(self) -> bool:
        return self._guard.weights_are_finite

    def _look_at_images(self) -> tuple[str, ...]:
        """Warn where the first batches are not what the normalisation promises."""
        first = range(min(self._batches.steps, -(-CHECKED_IMAGES // self._batches.batch_size)))
        images, plain = (
            torch.cat([self._batches.batch(0, n, augmented=augmented).images for n in first])
            for augmented in (True, False)
        )
        message = check_statistics(images, plain, self.settings.data.normalization)
        return (message,) if message else ()

    def _autocast(self) -> torch.autocast:
        """The precision of ``trainer.amp``; off is float32."""
        amp = self.settings.trainer.amp
        dtype = torch.float16 if amp == "fp16" else torch.bfloat16
        return torch.autocast(self.device.type, dtype=dtype, enabled=amp != "off")

    def _factor(self, epoch: int) -> float:
        return self.settings.loss.ramp.factor(epoch)

    def _rate(self, epoch: int) -> float:
        return learning_rate(self.settings.optimizer, epoch, self.settings.trainer.epochs)

    def _infer(self, images: Tensor) -> Tensor:
        def network(batch: Tensor) -> Tensor:
            with self._autocast():
                output = as_outputs(self.model(batch))[0]
            return output.float()

        patch = self.settings.data.patch_size
        if patch is None or max(images.shape[-2:]) <= patch:
            return network(images)
        side = -(-patch // self._divisor) * self._divisor
        windows = SlidingWindowInferer((side, side), sw_batch_size=4, overlap=0.5, mode="gaussian")
        logits: Tensor = windows(images, network)
        return logits
