"""Whether the first of the ranking are trained again, with other seeds, before one is called best.

The search's own run of a finalist is the reason why it is one, and so tends to be a lucky one:
what is said of the finalists stands on their replicates alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from pydantic import Field

from sweep.spec.base import Settings
from sweep.spec.presets import BASELINE, PRESETS
from sweep.spec.tree import Finding, value_of

if TYPE_CHECKING:
    from sweep.record import ParameterValue, Replicate
    from sweep.spec.settings import TrialSettings
    from sweep.spec.sweep import SweepSpec

MOST_FINALISTS = 20
SEEDS = 2**31
NNUNET_FOLDS = 5


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


def blocks(spec: SweepSpec) -> list[tuple[int, int]]:
    """Seed and fold of every replicate of one finalist, in the order in which they are trained."""
    if spec.confirm is None:
        return []
    return [
        ((spec.seed + step) % SEEDS, fold)
        for step in range(1, spec.confirm.seeds + 1)
        for fold in confirmed_folds(spec)
    ]


def confirmed_folds(spec: SweepSpec) -> list[int]:
    """The folds that replicates validate on, the sweep's own first."""
    count = spec.confirm.folds if spec.confirm else 0
    own = own_fold(spec)
    return [((own or 0) + step) % most_folds(spec) for step in range(count)]


def fold_key(spec: SweepSpec) -> str:
    """Dotted name of the setting that chooses the fold: nnU-Net deals its cases itself."""
    return "trainer.fold" if spec.trainer.kind == "nnunet" else "data.fold"


def own_fold(spec: SweepSpec) -> int | None:
    """The fold of the search's trials; None where nnU-Net validates on all cases."""
    fold = value_of(spec, fold_key(spec))
    return fold if isinstance(fold, int) else None


def most_folds(spec: SweepSpec) -> int:
    """How many folds there are to validate on, as far as the settings tell."""
    if spec.trainer.kind == "nnunet":
        return NNUNET_FOLDS if own_fold(spec) is not None else 1
    return 1 if spec.data.source == "brain" else spec.data.folds


def most_replicates(spec: SweepSpec) -> int:
    """How many replicates there can be in all."""
    if spec.confirm is None:
        return 0
    return most_finalists(spec) * len(blocks(spec))


def most_finalists(spec: SweepSpec) -> int:
    """How many trials are trained again at most: the leaders, and the baseline beside them."""
    top = spec.confirm.top if spec.confirm else 0
    return min(spec.trials, top + (BASELINE in spec.presets))


def replicate_settings(
    spec: SweepSpec,
    parameters: Mapping[str, ParameterValue],
    preset: str | None,
    replicate: Replicate,
) -> TrialSettings:
    """The settings of a trial's replicate: all of its own, but for seed and fold."""
    own: Mapping[str, Any] = parameters if preset is None else PRESETS[preset].settings
    changed: dict[str, Any] = {"seed": replicate.seed}
    if own_fold(spec) is not None:
        changed[fold_key(spec)] = replicate.fold
    return spec.trial({**own, **changed})


def check_test(spec: SweepSpec) -> Iterator[Finding]:
    """What contradicts a test split in a valid sweep."""
    if "data.test" in spec.space:
        message = "cannot be searched: what is tested on must be the same for all trials"
        yield Finding(("space", "data.test"), message)
    if spec.data.test and spec.trainer.kind != "monai":
        message = f"`trainer.kind: {spec.trainer.kind}` has no test split; leave it out"
        yield Finding(("data", "test"), message)


def check_confirm(spec: SweepSpec) -> Iterator[Finding]:
    """What contradicts `confirm` in a valid sweep."""
    if spec.confirm is None:
        return
    for key in dict.fromkeys(("seed", fold_key(spec), "data.folds")):
        if key in spec.space:
            message = f"replicates differ in seed and fold alone, so `{key}` cannot be searched too"
            yield Finding(("confirm",), message)
    folds = most_folds(spec)
    if spec.confirm.folds > folds:
        message = f"must be at most {folds}, the folds of the data, but is {spec.confirm.folds}"
        yield Finding(("confirm", "folds"), message)
