"""What a sweep does before and after its search: learn from earlier sweeps, confirm the leaders."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from sweep.machine.user_paths import expanded
from sweep.spec.settings.settings_base import Settings, one_or_several
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.spec.tree.setting_tree import value_of

SEEDS = 5
"""Number of seeds on one fold, if nobody says."""
LEAST_FOLDS = 3
"""Number of folds that it takes to name a winner."""
LEAST_RACED = 5
"""Blocks from which on a race is measurably cheaper than the full table of replicates."""

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
    seeds: int | None = Field(default=None, ge=1, le=100)
    """Number of further seeds on each fold. The search's own run is not counted, since it selected
    the leaders. On one fold, naming a winner takes at least 3. Null: 1 where `folds` is null too
    and the data have at least 3 folds, else 5."""
    folds: int | None = Field(default=None, ge=1)
    """Number of folds, starting with the sweep's own fold. With several folds, each fold counts
    once, whatever the number of seeds; naming a winner takes at least 3 folds. Null: all folds
    of the data, where `seeds` is null too and there are at least 3, else 1."""
    race: bool | None = None
    """Train block by block, and drop who cannot win any more. A block is a seed on a fold. All that
    are left train one before any trains the next. The race ends when one is left. false: train
    every block of everybody. Null: true where there are at least 5 blocks, `seeds` times
    `folds`."""
    budget: int | None = Field(default=None, ge=1)
    """Largest number of trainings, at least two for each finalist. A block that would exceed it is
    not begun. Null: no limit but `seeds` times `folds` for each finalist."""

    def filled(self, folds: int) -> ConfirmSettings:
        """With a value in place of each null but that of `budget`.

        Args:
            folds: number of folds of the data.
        """
        over_folds = self.seeds is None and self.folds is None and folds >= LEAST_FOLDS
        seeds = self.seeds or (1 if over_folds else SEEDS)
        on = self.folds or (folds if over_folds else 1)
        races = seeds * on >= LEAST_RACED if self.race is None else self.race
        return self.model_copy(update={"seeds": seeds, "folds": on, "race": races})

    @property
    def blocks(self) -> tuple[int, int]:
        """Numbers of seeds and of folds, which a sweep has filled in."""
        assert self.seeds is not None
        assert self.folds is not None
        return self.seeds, self.folds


def own_fold(settings: TrialSettings) -> int | None:
    """The fold of a sweep's trials; None if they validate on all cases."""
    fold = value_of(settings, settings.trainer.traits.fold_key)
    return fold if isinstance(fold, int) else None


def most_folds(settings: TrialSettings) -> int:
    """Number of folds to validate on, as far as the settings show."""
    if own_fold(settings) is None:
        return 1
    traits, data = settings.trainer.traits, settings.data
    return traits.folds or (1 if data.has_one_split else data.folds)


def known_folds(settings: TrialSettings) -> int:
    """As `most_folds`; 1 for a trainer whose data are not known."""
    traits = settings.trainer.traits
    return most_folds(settings) if traits.folds or "data" in traits.reads else 1


class PicturesSettings(Settings):
    """Pictures of segmentations, drawn once the sweep has ended: of the finalists, the baseline and
    the batches at which trials diverged."""

    megabytes: float = Field(default=20, ge=0, le=10_000)
    """Space for them in the results folder; 0 draws none. The most telling are drawn first, and the
    report says how many were left out."""
    channel: str | None = None
    """Name of the image channel that is shown; null: the first."""

    @property
    def bytes(self) -> int:
        """The space in bytes."""
        return round(self.megabytes * 1e6)
