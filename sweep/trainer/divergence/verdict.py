"""What a verdict is, and what it remembers of past steps: streaks, and usual levels."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from sweep.spec.settings.trial_settings import GuardSettings
from sweep.trainer.divergence.advice import Cure
from sweep.vocabulary.divergence import StepValues
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.record import Divergence, Stage

Broken = tuple[Stage, str | None]
"""Stage and term of the first value of a step that is not finite."""


@dataclass(slots=True)
class RunningLevel:
    """The usual level of a quantity: the highest value of its running mean so far."""

    steps: int = 0
    mean: float = 0.0
    weight: float = 0.0
    peak: float = 0.0

    def add(self, value: float, *, memory: float = 0.98) -> None:
        """Update the exponential mean, with bias correction (Kingma & Ba 2015, section 3)."""
        self.steps += 1
        self.mean = memory * self.mean + (1 - memory) * value
        self.weight = memory * self.weight + (1 - memory)
        self.peak = max(self.peak, self.mean / self.weight)


@dataclass(slots=True)
class Streak:
    """Consecutive steps with the same property."""

    length: int = 0
    first: StepValues | None = None

    def count(self, values: StepValues) -> StepValues:
        """Add a step; returns the first step of the streak."""
        self.length += 1
        self.first = self.first or values
        return self.first

    def to_json(self) -> dict[str, Any]:
        return {"length": self.length, "first": self.first.to_json() if self.first else None}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Streak:
        first = values["first"]
        return cls(values["length"], StepValues.from_json(first) if first else None)


@dataclass
class Verdict:
    """One cause of divergence: the rule that finds it, the words of its message and its cures.

    A rule is a pure function of measured values, without torch, device or clock. An instance
    judges one run, and sees every step and every validation of it.

    Args:
        settings: policy and limits.
        gradient_clip: largest gradient norm of a step; None for no clipping.
        scaled: whether a gradient scaler is used, which skips steps on purpose.
        late_terms: names of the loss terms that switch on late.
        streak: of the steps that lead to this verdict.
    """

    cause: ClassVar[str]
    """Name of the verdict, as in ``divergence.json``."""
    cures: ClassVar[tuple[Cure, ...]] = ()
    """What may cure it: the first that fits is advised."""
    moves_weights: ClassVar[bool] = False
    """Whether the steps that lead to it are taken. The weights must then be taken back."""

    settings: GuardSettings
    gradient_clip: float | None = None
    scaled: bool = False
    late_terms: Collection[str] = ()
    streak: Streak = field(default_factory=Streak)

    @property
    def steps_needed(self) -> int:
        """Consecutive steps after which it falls."""
        return 1

    def start_epoch(self, factor: float) -> None:
        """Called before the first step of an epoch, with its geometric factor."""

    def judge_step(self, values: StepValues, broken: Broken | None) -> Divergence | None:
        """The verdict after a step, if any. If several steps led to it, it names the first."""
        return None

    def judge_epochs(self, history: Sequence[EpochMetrics], *, over: bool) -> Divergence | None:
        """The verdict on the last epoch of a history that is not empty, if any."""
        return None

    def state_dict(self) -> dict[str, Any]:
        """The state needed to continue, as plain values."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from what `state_dict` gave, among the state of other verdicts."""

    def on_step(
        self, values: StepValues, message: str, stage: Stage | None, term: str | None = None
    ) -> Divergence:
        """This verdict, about a step."""
        if values.broken_batch is not None:
            message += (
                f" It broke in batch {values.broken_batch + 1} of the {values.batches} that the"
                " step accumulates."
            )
        return Divergence(
            cause=self.cause,
            epoch=values.epoch,
            step=values.step,
            stage=stage,
            term=term,
            terms={name: f"{value:.6g}" for name, value in values.terms.items()},
            message=message,
        )

    def on_epoch(self, epoch: EpochMetrics, message: str) -> Divergence:
        """This verdict, about an epoch: its last step, if the training counts steps."""
        steps = epoch.steps + epoch.skipped_steps
        return Divergence(
            cause=self.cause,
            epoch=epoch.epoch,
            step=max(0, steps - 1),
            counts_steps=steps > 0,
            terms={n: f"{value:.6g}" for n, value in epoch.terms.items() if value is not None},
            message=message,
        )


def broken_part(values: StepValues) -> Broken | None:
    """Stage and term of the first nonfinite value before the optimizer step."""
    for name, value in values.terms.items():
        if not math.isfinite(value):
            return Stage.LOSS, name
    if not math.isfinite(values.loss):
        return Stage.LOSS, None
    if not math.isfinite(values.grad_norm):
        return Stage.GRADIENT, None
    return None
