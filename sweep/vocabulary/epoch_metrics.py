"""The report of one epoch of a trial. Standard library only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sweep.vocabulary.class_scores import DistanceUnit
from sweep.vocabulary.strict_json import finite_fields, known_fields


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochMetrics:
    """The report of one epoch: one line of ``history.jsonl``.

    Args:
        epoch: index of the epoch, from 0.
        val_dice: validation Dice in [0, 1], mean over cases; None if no case had a foreground.
        train_loss: mean over the epoch's steps of the total loss. All means leave out skipped
            steps, so that one NaN batch does not hide the epoch.
        terms: mean over the epoch's steps of each loss term, before its weight.
        geometric_factor: g(epoch) in [0, 1].
        grad_norm: mean over the epoch's steps of the gradient norm before clipping.
        learning_rate: of the epoch's steps.
        steps: optimizer steps taken in the epoch.
        skipped_steps: steps that were withheld because a value was not finite.
        weight_norm: Euclidean norm of all weights after the epoch. If it is finite, no skipped step
            has harmed them.
        scale: of the loss after the epoch, by the gradient scaler; None if there is none.
        predicted_classes: number of classes that the network predicts anywhere in the validation.
        trivial_dice: validation Dice of the best answer without looking at the images, such as
            foreground everywhere; None if the trainer does not report it.
        seconds: wall time of the epoch, training and validation, and the turns of other trials in
            between if the trial shares its process (``resources.trials_per_gpu``).
        metrics: further metrics of the validation by name, if this epoch measured them; None if no
            case has a value.
        distance_unit: unit of ``hd95`` and of the tolerance of ``nsd``; None if neither was
            measured, or a trainer of the user measured it.
        warnings: sentences for the user about settings or data that are probably not intended.
        shared: whether another trial trained the epoch, and this one continued from there.

    >>> import sweep
    >>> sweep.EpochMetrics(epoch=0, val_dice=0.81, train_loss=0.4).to_json()["val_dice"]
    0.81
    """

    epoch: int
    val_dice: float | None
    train_loss: float | None = None
    terms: Mapping[str, float | None] = field(default_factory=dict)
    geometric_factor: float = 0.0
    grad_norm: float | None = None
    learning_rate: float | None = None
    steps: int = 0
    skipped_steps: int = 0
    weight_norm: float | None = None
    scale: float | None = None
    predicted_classes: int | None = None
    trivial_dice: float | None = None
    seconds: float = 0.0
    metrics: Mapping[str, float | None] = field(default_factory=dict)
    distance_unit: DistanceUnit | None = None
    warnings: tuple[str, ...] = ()
    shared: bool = False

    def to_json(self) -> dict[str, Any]:
        found = finite_fields(self)
        if self.distance_unit is None:
            del found["distance_unit"]
        return found

    @classmethod
    def from_json(cls, line: Mapping[str, Any]) -> EpochMetrics:
        """Keys of a newer version are ignored, so that old code reads new histories."""
        known = known_fields(cls, line)
        return cls(**known | {"warnings": tuple(known.get("warnings", ()))})
