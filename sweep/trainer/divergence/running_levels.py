"""What `StepJudge` remembers of past steps: the usual level of a quantity, and streaks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sweep.vocabulary.divergence import StepValues


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

    def end(self) -> None:
        self.length, self.first = 0, None

    def to_json(self) -> dict[str, Any]:
        return {"length": self.length, "first": self.first.to_json() if self.first else None}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Streak:
        first = values["first"]
        return cls(values["length"], StepValues.from_json(first) if first else None)
