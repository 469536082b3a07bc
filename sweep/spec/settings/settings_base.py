"""Base class and marks of the groups of settings."""

from __future__ import annotations

import ast
import functools
import inspect
from itertools import pairwise
from textwrap import dedent
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    GetJsonSchemaHandler,
    ValidationError,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, InitErrorDetails, PydanticCustomError

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
        defer_build=True,  # most commands validate two of the sixty groups
    )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """The docstring of each setting is its description.

        pydantic can read docstrings itself (`use_attribute_docstrings`), but does so on import:
        that would be a third of the start of most commands.
        """
        schema = handler(core_schema)
        settings = handler.resolve_ref_schema(schema)["properties"]
        for one in cls.__mro__:
            for name, text in _docstrings(one).items() if issubclass(one, Settings) else ():
                if name in settings:
                    settings[name].setdefault("description", text)
        return schema


@functools.cache  # a group is in many schemas, and a base in many groups: to read one takes 6 ms
def _docstrings(group: type) -> dict[str, str]:
    """Each attribute of its own that has a docstring below it, and that. None without a source."""
    try:
        [definition] = ast.parse(dedent(inspect.getsource(group))).body
    except (OSError, TypeError, SyntaxError):  # compiled, typed at a prompt, oddly indented
        return {}
    assert isinstance(definition, ast.ClassDef)
    found = {}
    for one, below in pairwise(definition.body):
        match one, below:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(str(text))):
                found[name] = inspect.cleandoc(text)
    return found


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
