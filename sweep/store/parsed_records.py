"""From plain values of a results folder, which are not trusted, to records."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from sweep.store.files import read_json

T = TypeVar("T")


def parsed(cls: type[T], values: Mapping[str, Any]) -> T:
    """An instance of the dataclass ``cls`` whose fields have the types that it declares.

    Unknown keys are ignored, so that old code can read files of newer code.

    Raises:
        ValueError: names every field that is missing or has the wrong type.
    """
    kind: Any = cls
    try:
        record: T = _adapter(kind).validate_python(values)
    except ValidationError as error:
        wrong = (
            f"{'.'.join(map(str, one['loc']))}: {one['msg']}"
            for one in error.errors(include_url=False, include_input=False)
        )
        raise ValueError("; ".join(wrong)) from None
    return record


def read_record(path: Path, cls: type[T]) -> T:
    """`parsed` of the object in ``path``; raises `ResultsError` if it is broken."""
    return read_json(path, lambda values: parsed(cls, values))


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)
