"""A first distribution for searching a setting, from its type and default."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sweep.spec.checks.doubtful_settings import LUCK

Option = Mapping[str, Any]
"""JSON Schema of one kind of value that a setting takes."""


def suggestion(name: str, options: Sequence[Option], default: Any) -> dict[str, list[Any]] | None:
    """A distribution as in the YAML, such as ``{loguniform: [0.001, 0.1]}``; None: no suggestion.

    All listed values are tried. A number with two bounds is drawn between them, any other from a
    tenth to ten times its default, a whole number from half to twice its default. Beside a default
    that is a list of whole numbers stands the list of twice these.

    Args:
        name: the setting's dotted name.
        options: the kinds of values that the setting takes.
        default: its default.
    """
    if name in LUCK:
        return None
    values = [value for option in options for value in _listed(option)]
    kinds = {option.get("type"): option for option in options}
    if isinstance(default, list):
        return {"choice": [default, [2 * number for number in default]]}
    if default is not None:
        if "number" in kinds:
            return _fractions(kinds["number"], float(default))
        if "integer" in kinds and not values:
            return _whole(kinds["integer"], int(default))
    if "integer" in kinds and not values:
        values = [max(1, kinds["integer"].get("minimum", 1))]
    if "number" in kinds and not values:
        values = [2 * kinds["number"].get("minimum", 1)]
    values = values + [None] * ("null" in kinds)
    return {"choice": values} if len(values) > 1 else None


def _listed(option: Option) -> list[Any]:
    if option.get("type") == "boolean":
        return [False, True]
    return [option["const"]] if "const" in option else list(option.get("enum", ()))


def _fractions(option: Option, default: float) -> dict[str, list[Any]]:
    low = option.get("minimum", option.get("exclusiveMinimum"))
    high = option.get("maximum", option.get("exclusiveMaximum"))
    if low is not None and high is not None:
        margin = 0.1 * (high - low)
        ends = [
            low + margin * ("exclusiveMinimum" in option),
            high - margin * ("exclusiveMaximum" in option),
        ]
        return {"uniform": [_rounded(end) for end in ends]}
    middle = default if default > 0 else 0.03
    return {"loguniform": [_rounded(middle / 10), _rounded(middle * 10)]}


def _whole(option: Option, default: int) -> dict[str, list[Any]]:
    low = max(option.get("minimum", 0), default // 2)
    high = 2 * default + 1 if default else low + 5
    most = option.get("maximum", option.get("exclusiveMaximum", high + 1) - 1)
    return {"randint": [low, min(high, most + 1)]}


def _rounded(value: float) -> float:
    return float(f"{value:.2g}")
