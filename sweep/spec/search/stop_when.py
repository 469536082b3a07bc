"""When a search ends before its last trial."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from sweep.spec.settings.settings_base import Settings
from sweep.spec.words.phrases import must_be


class StopWhen(Settings):
    """End the search when further trials are unlikely to be better. `trials` stays the most."""

    improvement: float = Field(default=0.002, gt=0, allow_inf_nan=False)
    """Least difference that matters, in the unit of the objective: 0.002 of validation Dice."""
    within: int = Field(default=20, ge=1)
    """Number of further trials that are looked ahead."""
    chance: float = Field(default=0.05, gt=0, lt=1)
    """The search ends when the estimated probability that any of these trials improves on the best
    by `improvement` is below this, for 5 ended trials in a row."""
    after: int = Field(default=20, ge=8)
    """Trials that must have ended before, with presets and enqueued ones. After an extension
    (`--extend trials=+20`) it counts anew."""


def _improvement_alone(value: Any) -> Any:
    """`stop_when: 0.002` as the mapping that it is short for."""
    if isinstance(value, bool | str | list):
        raise ValueError(must_be("a number, a mapping of settings or null", value))
    return {"improvement": value} if isinstance(value, int | float) else value


StopWhenSettings = Annotated[
    StopWhen | None,
    BeforeValidator(
        _improvement_alone,
        json_schema_input_type=Annotated[float, Field(gt=0)] | StopWhen | None,
    ),
]
