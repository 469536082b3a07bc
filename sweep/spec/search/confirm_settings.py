"""Whether the first of the ranking are trained again, with other seeds, before one is called best.

The search's own run of a finalist is the reason why it is one, and so tends to be a lucky one:
what is said of the finalists stands on their replicates alone.
"""

from __future__ import annotations

from pydantic import Field

from sweep.spec.settings.settings_base import Settings

MOST_FINALISTS = 20


class ConfirmSettings(Settings):
    """Replicates of the leaders, when the search has ended."""

    top: int = Field(default=5, ge=1, le=MOST_FINALISTS)
    """How many of the ranking's first are trained again; the preset baseline is in any case."""
    seeds: int = Field(default=5, ge=2, le=100)
    """How many further seeds; the run of the search itself is not counted, since it chose them. It
    takes three to name a winner."""
    folds: int = Field(default=1, ge=1)
    """On how many folds each of the seeds is trained, from the sweep's own fold on. Of several each
    counts once, whatever the number of seeds, and it takes three to name a winner."""
