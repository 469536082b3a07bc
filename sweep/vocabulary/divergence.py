"""Details of a divergence besides its verdict: the steps before it, and the likely cure."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from sweep.vocabulary.strict_json import finite_fields, known_fields, number_or_word

NUMBERS = ("loss", "grad_norm", "weight_norm")
"""What `StepValues` writes as words where it is not finite, beside the terms."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StepValues:
    """What one training step measured. Equal means equal bit for bit, a NaN equal to a NaN.

    Args:
        epoch, step: from 0; ``step`` counts within the epoch.
        terms: each loss term before its weight, by name.
        loss: the total.
        grad_norm: Euclidean norm of the whole gradient before clipping.
        weight_norm: Euclidean norm of all weights and running statistics after the step.
        scale: of the loss, by the gradient scaler; None if there is none.
        skipped: whether the optimizer step was withheld.
        batches: number of batches whose gradients the step adds up.
        broken_batch: of several the first, from 0, with a value that is not finite; None if none
            is.
    """

    epoch: int
    step: int
    terms: Mapping[str, float]
    loss: float
    grad_norm: float
    weight_norm: float
    scale: float | None = None
    skipped: bool = False
    batches: int = 1
    broken_batch: int | None = None

    @property
    def place(self) -> tuple[int, int]:
        return self.epoch, self.step

    def to_json(self) -> dict[str, Any]:
        """Every number exactly; numbers that are not finite as words."""
        found = asdict(self) | {name: number_or_word(getattr(self, name)) for name in NUMBERS}
        found["terms"] = {name: number_or_word(value) for name, value in self.terms.items()}
        if self.batches == 1:
            del found["batches"], found["broken_batch"]
        return found

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> StepValues:
        known = known_fields(cls, values)
        known["terms"] = {name: float(value) for name, value in known["terms"].items()}
        return cls(**known | {name: float(known[name]) for name in NUMBERS})

    def __eq__(self, other: object) -> bool:
        return isinstance(other, StepValues) and self.to_json() == other.to_json()

    def __hash__(self) -> int:
        return hash(self.place)


@dataclass(frozen=True, slots=True, kw_only=True)
class EpsilonFacts:
    """The effect of the guard ε of the square roots on the masks of this training.

    Args:
        value: ε.
        mode: ``loss.sqrt_mode``.
        gradient_bound: largest slope of the square root, 1 / (2√ε); None if ε = 0: unbounded.
        bias: pixels that ε adds to the perimeter of an image that is flat everywhere.
        perimeter: median perimeter of the training masks in pixels; None without any mask.
    """

    value: float
    mode: str
    gradient_bound: float | None
    bias: float
    perimeter: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """The circumstances of a divergence.

    Args:
        likely_cause: one sentence.
        setting: dotted name of the setting that most often cures it.
        advice: the value to set it to, one sentence; a last one says what came of it on the step
            that broke, if it was tried there.
        change: the same as settings, if it can be tried on the step alone and is not known to break
            there.
        epochs_after_switch_on, steps_after_switch_on: from the first step with the geometric loss,
            negative before it; None if no geometric term has a weight. The steps are also None
            before the first whole epoch, which shows how many steps an epoch has.
        recent: the last steps before the divergence and the diverging one, oldest first.
        cases: cases of the offending batch.
        soft_areas: of each of its samples, in pixels; None if not finite. Of several geometric
            classes all of the first sample, then all of the second.
        epsilon: None if the loss has no square root.
        replayable: whether the offending batch and the state before it were kept.
    """

    likely_cause: str
    setting: str
    advice: str
    change: Mapping[str, float | str] = field(default_factory=dict)
    epochs_after_switch_on: int | None = None
    steps_after_switch_on: int | None = None
    recent: tuple[StepValues, ...] = ()
    cases: tuple[str, ...] = ()
    soft_areas: tuple[float | None, ...] = ()
    epsilon: EpsilonFacts | None = None
    replayable: bool = False

    def command(self, folder: str, *, cure: bool = True) -> str:
        """What takes the step again, given the trial's folder, with the cure if it can be tried."""
        change = self.change if cure else {}
        tried = [part for key, value in change.items() for part in ("--set", f"{key}={value}")]
        return shlex.join(["python", "-m", "sweep.train", "--replay", folder, *tried])

    def to_json(self) -> dict[str, Any]:
        plain = finite_fields(replace(self, recent=()))
        return plain | {"recent": [values.to_json() for values in self.recent]}
