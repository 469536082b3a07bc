"""The earlier sweeps that a sweep learns from, as written in the YAML."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from sweep.machine.user_paths import expanded
from sweep.spec.settings.settings_base import Settings

Folder = Annotated[str, Field(min_length=1), AfterValidator(expanded)]
"""Kept relative: earlier results mostly lie beside those of the sweep and move with them."""


class WarmStart(Settings):
    """What a sweep takes over from earlier sweeps. Their trials do not join this sweep."""

    results: Annotated[
        tuple[Folder, ...],
        Field(strict=False, min_length=1),
        BeforeValidator(
            lambda value: [value] if isinstance(value, str) else value,
            json_schema_input_type=Folder | Annotated[list[Folder], Field(min_length=1)],
        ),
    ]
    """Results folders with trials that the searcher learns from before its first proposal."""
    enqueue: int = Field(default=0, ge=0)
    """Number of the best earlier configurations to run first."""


def _bare_folders(value: Any) -> Any:
    """Read ``results/a`` and ``[results/a, results/b]`` as the value of ``results``."""
    return {"results": value} if isinstance(value, str | list) else value


WarmStartSettings = Annotated[
    WarmStart | None,
    BeforeValidator(
        _bare_folders,
        json_schema_input_type=(
            Folder | Annotated[list[Folder], Field(min_length=1)] | WarmStart | None
        ),
    ),
]
