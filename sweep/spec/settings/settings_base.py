"""What all groups of settings have in common."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError


class Settings(BaseModel):
    """Base of all setting groups: frozen, strict, and intolerant of unknown keys."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        allow_inf_nan=False,
        validate_default=True,
        use_attribute_docstrings=True,
    )


class ActsLate:
    """Mark of a setting that acts only from the end of the warm-up on."""


class EndsRun:
    """Mark of a setting that decides where a run ends, and nothing of what it trains before."""


def refusal(message: str, *below: str, value: Any) -> ValidationError:
    """What a validator of a whole group raises to blame a single setting in it.

    Args:
        message: what is wrong and what would be right.
        below: the way from the validated group to the setting.
        value: the setting's value.
    """
    # `error` is where pydantic puts the ValueError of a validator: both are read alike.
    kind = PydanticCustomError("value_error", "{error}", {"error": message})
    return ValidationError.from_exception_data(
        "settings", [InitErrorDetails(type=kind, loc=below, input=value)]
    )
