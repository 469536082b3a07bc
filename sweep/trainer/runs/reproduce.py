"""Take the step at which a trial diverged again, from what the trial has kept of it.

Neither the data set nor the machine is needed. ``offending.pt`` holds the batch as the network saw
it, and weights, optimizer and scaler from before the step. The rest of a step is a function of
(seed, epoch, step). On a CPU, with the same versions and threads, it is the same bit for bit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from sweep.data.nnunet_raw.regions import Regions
from sweep.data.prepared.samples import CaseArrays, PreparedData, Samples
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.trainer.batches.batch import Batch
from sweep.trainer.divergence.verdict import broken_part
from sweep.trainer.runs.explain import examine
from sweep.trainer.runs.monai_run import MonaiTraining
from sweep.vocabulary.divergence import StepValues
from sweep.vocabulary.errors import ResultsError
from sweep.vocabulary.record import Divergence


@dataclass(frozen=True, slots=True)
class ReproducedStep:
    """A step as it was recorded, and as it was reproduced.

    Args:
        recorded, again: what the step measured.
        blamed: term and parameter whose gradient was found broken this time, if any.
    """

    recorded: StepValues
    again: StepValues
    blamed: tuple[str | None, str | None]

    @property
    def is_exact(self) -> bool:
        """Equal bit for bit, the values that are not finite included."""
        return self.recorded == self.again

    @property
    def is_alike(self) -> bool:
        """The same part broke, or none did. On another device the last bits may differ."""
        return broken_part(self.recorded) == broken_part(self.again)

    @property
    def was_finite(self) -> bool:
        """Whether loss, gradient and weights were finite as the step was recorded."""
        return _is_finite(self.recorded)

    @property
    def is_finite(self) -> bool:
        """Whether they were when it was reproduced."""
        return _is_finite(self.again)


def _is_finite(values: StepValues) -> bool:
    return broken_part(values) is None and math.isfinite(values.weight_norm)


class BatchBefore(NamedTuple):
    """The batch of a diverging step, and what the network made of it just before that step.

    Args:
        cases: names of the samples' cases.
        channels: names of the image channels.
        classes: names of the geometric classes.
        images: as the network saw them, ``[B, C, (D,) H, W]``.
        references: masks of the geometric classes, ``[classes, B, (D,) H, W]``.
        soft: their soft masks, of the same shape. Values may be NaN.
        spacing: along ``[(D,) H, W]``; None if unknown.
    """

    cases: tuple[str, ...]
    channels: tuple[str, ...]
    classes: tuple[str, ...]
    images: NDArray[np.float32]
    references: NDArray[np.bool_]
    soft: NDArray[np.float32]
    spacing: tuple[float, ...] | None


def batch_before(settings: TrialSettings, offending: Mapping[str, Any]) -> BatchBefore:
    """Pass the offending batch through the network with the weights from before the step.

    Args:
        settings: of the trial.
        offending: what its ``offending.pt`` holds.
    """
    training, batch = _before_step(settings, offending)
    training.model.train()  # as the step was taken
    with torch.no_grad():
        passed = training.forward(batch, offending["epoch"], offending["step"])
    numbers, data = _geometric_classes(offending), training.data
    masks = [data.mask(batch.labels[:, 0], number) for number in numbers]
    soft = training.loss.soft_masks(passed.outputs[0]).cpu().numpy()
    return BatchBefore(
        cases=batch.cases,
        channels=data.channels,
        classes=tuple(data.classes[number] for number in numbers),
        images=batch.images.numpy(),
        references=torch.stack(masks).numpy(),
        soft=soft.reshape(len(numbers), len(batch.cases), *soft.shape[1:]),
        spacing=data.spacing,
    )


def replay(
    settings: TrialSettings, divergence: Divergence, offending: Mapping[str, Any]
) -> ReproducedStep:
    """Take the diverging step again.

    Args:
        settings: of the trial, or with a cure that is to be tried.
        divergence: its verdict with the diagnosis.
        offending: what its ``offending.pt`` holds.
    Raises:
        ResultsError: the three do not belong together.
    """
    epoch, step = offending["epoch"], offending["step"]
    recent = divergence.diagnosis.recent if divergence.diagnosis else ()
    if not recent or recent[-1].place != (epoch, step):
        raise ResultsError(
            f"offending.pt holds step {step} of epoch {epoch}, divergence.json is about step"
            f" {divergence.step} of epoch {divergence.epoch}: they are not of the same run"
        )
    training, batch = _before_step(settings, offending)
    verdict = examine(training, training.given_again(batch, epoch, step), divergence).verdict
    again = training.take_step(batch, epoch, step)
    return ReproducedStep(recent[-1], again, (verdict.term, verdict.parameter))


def unscaled(offending: Mapping[str, Any]) -> dict[str, Any]:
    """The kept step with a gradient scaler that multiplies by 1, if it has a scaler.

    float16 overflows until the scale has come down to one that fits, if any does: a step that is
    finite like this was broken by its scale alone.
    """
    scaler = offending["scaler"]
    return {**offending, "scaler": scaler | {"scale": 1.0} if scaler else scaler}


def _before_step(
    settings: TrialSettings, offending: Mapping[str, Any]
) -> tuple[MonaiTraining, Batch]:
    """The run as it was before the step, and the batch of the step."""
    batch = Batch(offending["images"], offending["labels"], tuple(offending["cases"]))
    volumes = batch.images.ndim == 5
    cases = [
        CaseArrays(
            case,
            image.numpy().swapaxes(0, 1) if volumes else image.numpy()[None],  # [S, C, H, W]
            label.numpy()[0] if volumes else label.numpy(),
            (),
            spacing=offending.get("spacing"),  # older files have none
        )
        for case, image, label in zip(batch.cases, batch.images, batch.labels, strict=True)
    ]
    data = PreparedData(
        channels=tuple(offending["channels"]),
        classes=tuple(offending["classes"]),
        geometric_classes=_geometric_classes(offending),
        training=Samples(cases, volumes=volumes),
        validation=Samples([]),
        ignore=offending.get("ignore"),
        regions=Regions(**regions) if (regions := offending.get("regions")) else None,
    )
    training = MonaiTraining(settings, data)
    training.load_before_step(offending)
    return training, batch


def _geometric_classes(offending: Mapping[str, Any]) -> tuple[int, ...]:
    """The geometric classes of a kept step; earlier versions kept a single one."""
    if "geometric_class" in offending:
        return (offending["geometric_class"],)
    return tuple(offending["geometric_classes"])
