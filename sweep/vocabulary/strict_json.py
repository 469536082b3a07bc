"""Dataclasses for strict JSON, which has no NaN and no infinity."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def finite_fields(value: DataclassInstance) -> dict[str, Any]:
    """The fields of a dataclass for strict JSON (see `finite_or_none`)."""
    return {name: finite_or_none(item) for name, item in asdict(value).items()}


def finite_or_none(value: Any) -> Any:
    """Values for strict JSON: numbers that are not finite become None."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): finite_or_none(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite_or_none(item) for item in value]
    return value


def number_or_word(value: float) -> float | str:
    """A number for strict JSON: ``"nan"``, ``"inf"``, ``"-inf"``, or the finite number itself.

    ``float`` is the inverse.
    """
    return value if math.isfinite(value) else str(value)


def known_fields(cls: type, values: Mapping[str, Any]) -> dict[str, Any]:
    """The entries of ``values`` that are fields of the dataclass ``cls``."""
    names = {item.name for item in fields(cls)}
    return {key: value for key, value in values.items() if key in names}
