"""Replicates inside the search: a configuration is worth its mean over several folds or seeds."""

from __future__ import annotations

from pydantic import Field

from sweep.spec.settings.settings_base import Settings


class ReplicateSettings(Settings):
    """On which folds and seeds a configuration is trained, as long as it may still be the best."""

    folds: int = Field(default=3, ge=1)
    """Number of folds, starting with the sweep's own fold, on which every trial is trained."""
    seeds: int = Field(default=1, ge=1, le=100)
    """Number of seeds on each fold, starting with the sweep's own seed. All folds of a seed are
    trained before the next seed."""

    @property
    def runs(self) -> int:
        """Largest number of trainings of one configuration, its trial included."""
        return self.folds * self.seeds
