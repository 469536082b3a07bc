"""What a value of the wrong type was likely meant to be: numbers in quotes, percent, yes.

YAML is read as version 1.2: ``1e-3`` is a number and ``yes`` a text, unlike in PyYAML.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection
from typing import Any

NUMBERS = frozenset({"float_type", "int_type"})
PERCENT = re.compile(r"([+-]?[0-9.]+) ?%")
POWER = re.compile(
    r"([+-]?[0-9.]+) ?[*x·] ?10 ?(?:\^|\*\*) ?([+-]?[0-9]+)|10(?:\^|\*\*)([+-]?[0-9]+)"
)
YES, NO = ("yes", "on", "true", "y", "1"), ("no", "off", "false", "n", "0")


def meant_value(value: Any, kinds: Collection[str], nullable: bool = False) -> str | None:
    """The likely correct form of the value, as YAML; None if it is unknown.

    Args:
        value: as it was read.
        kinds: pydantic's error types, which say what it should have been.
        nullable: whether null is allowed.
    """
    if nullable and isinstance(value, str) and value.lower() in ("none", "nil", "na", "never"):
        return "null"
    if "bool_type" in kinds and isinstance(value, str | int):
        word = str(value).lower()
        return "true" if word in YES else "false" if word in NO else None
    if not NUMBERS & set(kinds):
        return None
    number = number_of(value)
    if number is None or ("float_type" not in kinds and not float(number).is_integer()):
        return None
    if "float_type" not in kinds or isinstance(number, int):
        return f"{int(number)}{_without_quotes(value)}"
    return f"{in_full(number)}{_without_quotes(value)}"


def in_full(number: float) -> str:
    """A number, also one of NumPy's, as short as possible, to the last digit: ``1`` for 1.0."""
    short = f"{number:g}"
    return short if type(number)(float(short)) == number else str(number)


def number_of(value: Any) -> float | None:
    """The number that a text stands for; a float without decimals becomes whole."""
    if isinstance(value, bool) or not isinstance(value, str | float):
        return None
    if isinstance(value, float):
        return int(value) if value.is_integer() else value
    text = value.strip().replace("\N{MINUS SIGN}", "-")
    if found := PERCENT.fullmatch(text):
        text, divisor = found[1], 100
    elif found := POWER.fullmatch(text):
        text, divisor = (f"{found[1]}e{found[2]}" if found[1] else f"1e{found[3]}"), 1
    else:
        text, divisor = re.sub(r"(?<=[0-9]),(?=[0-9]+$)", ".", text), 1
    try:
        number = float(text) / divisor
    except ValueError:
        return None
    whole = re.fullmatch(r"[+-]?[0-9]+", text) is not None and divisor == 1
    return (int(text) if whole else number) if math.isfinite(number) else None


def _without_quotes(value: Any) -> str:
    # A hint for a number that was read as a text only because of its quotes.
    try:
        float(value)
    except ValueError:
        return ""
    return ", without quotes" if isinstance(value, str) else ""
