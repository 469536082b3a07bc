"""Values of searched parameters: single values and lists, which are tuples in Python."""

from __future__ import annotations

import json
from typing import Any, TypeGuard

from sweep.vocabulary.record import ParameterValue


def as_parameter(value: Any) -> Any:
    """A `ParameterValue` of a value as JSON and YAML have it: with tuples for lists."""
    return tuple(map(as_parameter, value)) if isinstance(value, list | tuple) else value


def without_arrays(value: Any) -> Any:
    """A value of NumPy's as Python's own, an array as a list; any other value as it is."""
    is_array = hasattr(value, "tolist") and not isinstance(value, type)
    return value.tolist() if is_array else value


def is_number(value: object) -> TypeGuard[int | float]:
    """Whether a value is a number; true and false are not."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def whole(value: ParameterValue) -> ParameterValue:
    """The whole number that a float is, 2 for 2.0; any other value as it is."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def exactly(value: ParameterValue) -> object:
    """A key that only the same value has: 0, 0.0 and false differ, also in lists."""
    if isinstance(value, tuple):
        return (tuple, *map(exactly, value))
    return type(value), value


def as_text(value: ParameterValue) -> ParameterValue:
    """A list as ``[16, 32, 64]``, as JSON and YAML have it, to the last digit; else the value."""
    return json.dumps(value) if isinstance(value, tuple) else value
