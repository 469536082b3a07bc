"""What a user thinks of a searched setting: a likely value, and how sure they are of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from sweep.vocabulary.record import ParameterValue

Sureness = Literal["low", "medium", "high"]


@dataclass(frozen=True)
class Prior:
    """``prior:`` beside a distribution.

    Args:
        value: the likely value.
        sure: how sure the user is of it.
    """

    value: ParameterValue
    sure: Sureness = "medium"

    def as_yaml(self) -> dict[str, Any]:
        """The form in the YAML."""
        return {"value": self.value, "sure": self.sure}
