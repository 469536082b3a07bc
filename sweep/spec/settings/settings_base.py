"""Base class and marks of the groups of settings."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from sweep.vocabulary.parameter_values import as_parameter
from sweep.vocabulary.record import ParameterValue, Scalar


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


def refusal(message: str, *below: str | int, value: Any) -> ValidationError:
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


def one_or_several(alone: type, schema: Any) -> BeforeValidator:
    """Reads a single value as a list of one.

    Args:
        alone: Python type of a single value.
        schema: all forms that are accepted.
    """
    return BeforeValidator(
        lambda value: [value] if isinstance(value, alone) else value, json_schema_input_type=schema
    )


def _names_have_no_dots(options: dict[str, ParameterValue]) -> dict[str, ParameterValue]:
    dotted = next((name for name in options if not name.isidentifier()), None)
    if dotted is not None:
        raise ValueError(f"`{dotted}` must be a name of letters, digits and `_`")
    return options


OptionValue = Annotated[
    ParameterValue, BeforeValidator(as_parameter, json_schema_input_type=Scalar | list[Any])
]
Options = Annotated[dict[str, OptionValue], AfterValidator(_names_have_no_dots)]
"""Keyword arguments of a user's own class or function. A list reaches it as a tuple."""
