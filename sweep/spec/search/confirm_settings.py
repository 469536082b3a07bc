"""Confirmation: train the leaders again with other seeds before one is called best.

The search's own run of a finalist tends to be a lucky one, since it was selected for its result. So
finalists are compared by their replicates alone.
"""

from __future__ import annotations

from pydantic import Field

from sweep.spec.settings.settings_base import Settings

MOST_FINALISTS = 20


class ConfirmSettings(Settings):
    """Replicates of the leaders, trained after the search."""

    top: int = Field(default=5, ge=1, le=MOST_FINALISTS)
    """Number of leaders that are trained again. The preset baseline is always trained again."""
    seeds: int = Field(default=5, ge=2, le=100)
    """Number of further seeds. The search's own run is not counted, since it selected the leaders.
    Naming a winner takes at least 3."""
    folds: int = Field(default=1, ge=1)
    """Number of folds on which each seed is trained, starting with the sweep's own fold. With
    several folds, each fold counts once, whatever the number of seeds; naming a winner takes at
    least 3 folds."""
