"""Base class and marks of the groups of settings."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError


class Settings(BaseModel):
    """Base of all groups of settings: frozen, strict, and without unknown keys."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        allow_inf_nan=False,
        validate_default=True,
        use_attribute_docstrings=True,
    )


class ActsLate:
    """Mark of a setting that acts only after the warm-up."""


class EndsRun:
    """Mark of a setting that only decides where a run ends, not what it trains before."""


def refusal(message: str, *below: str, value: Any) -> ValidationError:
    """The error that the validator of a group raises for a single setting in it.

    Args:
        message: what is wrong and how to fix it.
        below: the path from the validated group to the setting.
        value: the setting's value.
    """
    # pydantic puts the ValueError of a validator in `error`, so both are read the same way.
    kind = PydanticCustomError("value_error", "{error}", {"error": message})
    return ValidationError.from_exception_data(
        "settings", [InitErrorDetails(type=kind, loc=below, input=value)]
    )
