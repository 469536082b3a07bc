"""What a judge of steps keeps of those behind it: the usual level of a quantity, and streaks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sweep.vocabulary.divergence import StepValues


@dataclass(slots=True)
class RunningLevel:
    """Where a quantity usually is: the highest that its running mean has been."""

    steps: int = 0
    mean: float = 0.0
    weight: float = 0.0
    peak: float = 0.0

    def add(self, value: float, *, memory: float = 0.98) -> None:
        """Exponential mean, corrected for its start (Kingma & Ba 2015, section 3)."""
        self.steps += 1
        self.mean = memory * self.mean + (1 - memory) * value
        self.weight = memory * self.weight + (1 - memory)
        self.peak = max(self.peak, self.mean / self.weight)


@dataclass(slots=True)
class Streak:
    """Steps in a row of which the same is to be said."""

    length: int = 0
    first: StepValues | None = None

    def count(self, values: StepValues) -> StepValues:
        """One more; returns the first of them."""
        self.length += 1
        self.first = self.first or values
        return self.first

    def end(self) -> None:
        self.length, self.first = 0, None

    def to_json(self) -> dict[str, Any]:
        return {"length": self.length, "first": self.first.to_json() if self.first else None}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Streak:
        first = values["first"]
        return cls(values["length"], StepValues.from_json(first) if first else None)
