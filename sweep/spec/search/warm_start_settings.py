"""Earlier sweeps that a sweep begins with, as the YAML names them."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from sweep.machine.user_paths import expanded
from sweep.spec.settings.settings_base import Settings

Folder = Annotated[str, Field(min_length=1), AfterValidator(expanded)]
"""Not made absolute: earlier results mostly lie beside those of the sweep, and move with them."""


class WarmStart(Settings):
    """What a sweep takes over from earlier ones; their trials are none of its own."""

    results: Annotated[
        tuple[Folder, ...],
        Field(strict=False, min_length=1),
        BeforeValidator(
            lambda value: [value] if isinstance(value, str) else value,
            json_schema_input_type=Folder | Annotated[list[Folder], Field(min_length=1)],
        ),
    ]
    """Results folders whose trials the searcher learns from before it proposes any."""
    enqueue: int = Field(default=0, ge=0)
    """Evaluate as many of the best earlier configurations first."""


def _bare_folders(value: Any) -> Any:
    """Reads ``results/a`` and ``[results/a, results/b]`` as the folders alone."""
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
