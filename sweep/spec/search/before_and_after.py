"""What a sweep does before and after its search: learn from earlier sweeps, confirm the leaders."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from sweep.machine.user_paths import expanded
from sweep.spec.settings.settings_base import Settings, one_or_several

Folder = Annotated[str, Field(min_length=1), AfterValidator(expanded)]
"""Kept relative: earlier results mostly lie beside those of the sweep and move with them."""
FOLDERS = Folder | Annotated[list[Folder], Field(min_length=1)]


class WarmStart(Settings):
    """What a sweep takes over from earlier sweeps. Their trials do not join this sweep."""

    results: Annotated[
        tuple[Folder, ...], Field(strict=False, min_length=1), one_or_several(str, FOLDERS)
    ]
    """Results folders with trials that the searcher learns from before its first proposal."""
    enqueue: int = Field(default=0, ge=0)
    """Number of the best earlier configurations to run first."""


WarmStartSettings = Annotated[
    WarmStart | None,
    BeforeValidator(
        lambda value: {"results": value} if isinstance(value, str | list) else value,
        json_schema_input_type=FOLDERS | WarmStart | None,
    ),
]


class ConfirmSettings(Settings):
    """Replicates of the leaders, trained after the search."""

    # Only replicates are compared. A finalist's run in the search tends to be a lucky one, since it
    # was selected for its result.

    top: int = Field(default=5, ge=1, le=20)
    """Number of leaders that are trained again. The preset baseline is always trained again."""
    seeds: int = Field(default=5, ge=2, le=100)
    """Number of further seeds. The search's own run is not counted, since it selected the leaders.
    Naming a winner takes at least 3."""
    folds: int = Field(default=1, ge=1)
    """Number of folds on which each seed is trained, starting with the sweep's own fold. With
    several folds, each fold counts once, whatever the number of seeds; naming a winner takes at
    least 3 folds."""
