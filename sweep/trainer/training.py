"""One training run, an epoch at a time.

All randomness is a function of (seed, epoch, step): data order, crops and dropout. So the state of
a run at the end of an epoch is its weights, its optimizer's state and the epoch's number; going on
from a checkpoint, or from another run's, is bit for bit the same as never having stopped.
"""

from __future__ import annotations

import dataclasses
import os
import time
import zlib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from monai.inferers import SlidingWindowInferer
from numpy.typing import NDArray
from torch import Tensor

from sweep.data.samples import PreparedData, Sample
from sweep.record import Divergence, EpochMetrics, Stage
from sweep.spec.settings import Expectation, TrialSettings
from sweep.stopping import EarlyStopping
from sweep.trainer.augmentation import Augmentation
from sweep.trainer.batches import Batch, TrainingBatches
from sweep.trainer.blame import first_broken_gradient
from sweep.trainer.case_metrics import CaseMetrics, Shapes
from sweep.trainer.effective import Live
from sweep.trainer.guard import Diverged, Guard, StepValues
from sweep.trainer.losses import TrainingLoss, geometric_factor
from sweep.trainer.metrics import DicePerCase
from sweep.trainer.networks import as_outputs, build_network, size_divisor
from sweep.trainer.optimizers import build_optimizer, learning_rate, set_learning_rate
from sweep.trainer.statistics import check_statistics
from sweep.trainer.tta import mean_over_flips

CHECKED_IMAGES = 32
"""How many training images of the first epoch are compared with what the normalisation promises."""


class Training:
    """Network, loss, optimizer and guard of one trial.

    Args:
        settings: the whole configuration.
        data: what `sweep.data.prepare` made of ``settings.data``.
    """

    def __init__(self, settings: TrialSettings, data: PreparedData) -> None:
        self.settings = settings
        self.data = data
        self.evaluation = settings.evaluation
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
        self._seed_torch(0)
        self.model = build_network(settings.network, len(data.channels), len(data.classes))
        self.model.to(self.device)
        self._loss = TrainingLoss(settings.loss, data.geometric_class)
        self._optimizer = build_optimizer(settings.optimizer, self.model.parameters())
        self._guard = Guard(self.model, self._optimizer, settings.optimizer.gradient_clip)

    def run_epoch(self, epoch: int) -> EpochMetrics:
        """Train one epoch, then validate.

        Args:
            epoch: index from 0.
        Raises:
            Diverged: at the first step that is not finite; the last healthy weights are kept.
        """
        start = time.perf_counter()
        warnings = self._look_at_images() if epoch == 0 else ()
        rate = self._rate(epoch)
        set_learning_rate(self._optimizer, rate)
        steps = self._train(epoch)
        dice = self.validate()
        return EpochMetrics(
            epoch=epoch,
            val_dice=dice.mean(),
            metrics={"iou": dice.mean_iou()} if "iou" in self.evaluation.metrics else {},
            **_means(steps),
            geometric_factor=self._factor(epoch),
            learning_rate=rate,
            steps=len(steps),
            warnings=warnings,
            seconds=time.perf_counter() - start,
        )

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
            best: whether its Dice is the best so far, which is known only after it.
        """
        names, every = set(self.evaluation.metrics) - {"iou"}, self.evaluation.every
        due = best or (every is not None and (metrics.epoch + 1) % every == 0)
        if not due or not names:
            return metrics
        start = time.perf_counter()
        cases = CaseMetrics(
            names, len(self.data.classes), self.data.geometric_class, self._reference_shapes
        )
        for index, (sample, prediction) in enumerate(self.predictions()):
            cases.add(index, sample.case, prediction, sample.label)
        return dataclasses.replace(
            metrics,
            metrics={**metrics.metrics, **cases.means()},
            seconds=metrics.seconds + time.perf_counter() - start,
        )

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
        """Weights and optimizer: with the epoch's number, all that going on needs."""
        return {"model": self.model.state_dict(), "optimizer": self._optimizer.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.model.load_state_dict(state["model"])
        self._optimizer.load_state_dict(state["optimizer"])

    def live(
        self, stopping: EarlyStopping, epochs: int, expect: tuple[Expectation, ...] = ()
    ) -> Live:
        """The objects that train, for whoever reads back what is in effect."""
        return Live(
            data=self.data,
            batches=self._batches,
            model=self.model,
            loss=self._loss,
            optimizer=self._optimizer,
            guard=self._guard,
            factor=self._factor,
            rate=self._rate,
            stopping=stopping,
            evaluation=self.evaluation,
            epochs=epochs,
            expect=expect,
        )

    def _train(self, epoch: int) -> list[StepValues]:
        self.model.train()
        self._guard.start_epoch(epoch)
        done: list[StepValues] = []
        try:
            for step in range(self._batches.steps):
                loss, terms = self._forward(epoch, step)
                done += self._guard.step(loss, terms)
            return done + self._guard.read()
        except Diverged as stop:
            raise Diverged(self._explain(stop.divergence)) from None

    def _forward(self, epoch: int, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss and terms of one step, a function of (seed, epoch, step) and the weights."""
        self._seed_torch(1, epoch, step)
        factor = self._factor(epoch)
        batch = self._batches.batch(epoch, step)
        distances = self._loss.distances(batch.labels, factor)  # while the labels are on the CPU
        batch = self._to_device(batch)
        if distances is not None:
            distances = distances.to(self.device)
        outputs = as_outputs(self.model(batch.images))
        return self._loss(outputs, batch.labels, factor, distances)

    def _to_device(self, batch: Batch) -> Batch:
        return dataclasses.replace(
            batch, images=batch.images.to(self.device), labels=batch.labels.to(self.device)
        )

    def _look_at_images(self) -> tuple[str, ...]:
        """Warn where the first batches are not what the normalisation promises."""
        first = range(min(self._batches.steps, -(-CHECKED_IMAGES // self._batches.batch_size)))
        images, plain = (
            torch.cat([self._batches.batch(0, n, augmented=augmented).images for n in first])
            for augmented in (True, False)
        )
        message = check_statistics(images, plain, self.settings.data.normalization)
        return (message,) if message else ()

    def _explain(self, verdict: Divergence) -> Divergence:
        """Name the term behind a broken gradient, by looking at the offending step again."""
        if verdict.stage is not Stage.GRADIENT:
            return verdict
        _, terms = self._forward(verdict.epoch, verdict.step)
        term = first_broken_gradient(self.model, terms)
        if term is None:
            return verdict
        return dataclasses.replace(
            verdict,
            term=term,
            message=f"The loss was finite but the gradient of its term {term!r} was not; "
            "the step was not taken.",
        )

    def _factor(self, epoch: int) -> float:
        loss = self.settings.loss
        return geometric_factor(epoch, loss.warmup_epochs, loss.rampup_epochs)

    def _rate(self, epoch: int) -> float:
        return learning_rate(self.settings.optimizer, epoch, self.settings.trainer.epochs)

    def _infer(self, images: Tensor) -> Tensor:
        def network(batch: Tensor) -> Tensor:
            return as_outputs(self.model(batch))[0]

        patch = self.settings.data.patch_size
        if patch is None or max(images.shape[-2:]) <= patch:
            return network(images)
        side = -(-patch // self._divisor) * self._divisor
        windows = SlidingWindowInferer((side, side), sw_batch_size=4, overlap=0.5, mode="gaussian")
        logits: Tensor = windows(images, network)
        return logits

    def _seed_torch(self, *key: int) -> None:
        seed = np.random.SeedSequence([self.settings.seed, *key]).generate_state(1, np.uint64)[0]
        torch.manual_seed(int(seed))


def choose_device(settings: TrialSettings) -> torch.device:
    """The device that ``trainer.device`` asks for; ``auto`` takes a GPU where there is one."""
    wanted = settings.trainer.device
    if wanted == "auto":
        wanted = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(wanted)


def make_deterministic(settings: TrialSettings) -> None:
    """Set torch's global switches; they belong to the process, so every run sets all of them."""
    torch.set_num_threads(settings.trainer.threads)
    torch.backends.cudnn.benchmark = not settings.trainer.deterministic
    if settings.trainer.deterministic:
        # cuBLAS reads it when it first multiplies; without it torch refuses deterministic matmuls.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(settings.trainer.deterministic, warn_only=True)


def _means(steps: list[StepValues]) -> dict[str, Any]:
    """Means over an epoch's steps, under the names of `EpochMetrics`."""
    terms: dict[str, list[float]] = defaultdict(list)
    for values in steps:
        for name, value in values.terms.items():
            terms[name].append(value)
    return {
        "train_loss": float(np.mean([values.loss for values in steps])),
        "grad_norm": float(np.mean([values.grad_norm for values in steps])),
        "terms": {name: float(np.mean(values)) for name, values in terms.items()},
    }
