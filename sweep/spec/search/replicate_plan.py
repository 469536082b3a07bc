"""The replicates of a sweep's confirmation: seeds, folds and settings of each."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import Any

from sweep.spec.search.before_and_after import most_folds, own_fold
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.spec.space.presets import BASELINE, PRESETS
from sweep.spec.tree.setting_tree import Finding
from sweep.spec.words.phrases import at_most, counted
from sweep.vocabulary.record import ParameterValue, Replicate

SEEDS = 2**31


def blocks(spec: SweepSpec) -> list[tuple[int, int]]:
    """Seed and fold of every replicate of one finalist, in order of training."""
    if spec.confirm is None:
        return []
    return [
        ((spec.seed + step) % SEEDS, fold)
        for step in range(1, spec.confirm.blocks[0] + 1)
        for fold in confirmed_folds(spec)
    ]


def confirmed_folds(spec: SweepSpec) -> list[int]:
    """Validation folds of the replicates, the sweep's own first."""
    count = spec.confirm.blocks[1] if spec.confirm else 0
    own = own_fold(spec)
    return [((own or 0) + step) % most_folds(spec) for step in range(count)]


def most_replicates(spec: SweepSpec) -> int:
    """Largest total number of replicates."""
    if spec.confirm is None:
        return 0
    most = most_finalists(spec)
    if spec.confirm.race and most > 1:  # who is dropped leaves its share to the others
        return min(full_table(spec), spec.confirm.budget or sys.maxsize)
    return most * blocks_in_budget(spec, most)


def blocks_in_budget(spec: SweepSpec, finalists: int) -> int:
    """Number of blocks that so many finalists are trained on, all of them on each."""
    every, budget = len(blocks(spec)), spec.confirm.budget if spec.confirm else None
    return every if budget is None else min(every, budget // max(1, finalists))


def least_replicates(spec: SweepSpec) -> int:
    """Smallest total number of replicates of as many finalists: two blocks of a race."""
    if spec.confirm is None or not spec.confirm.race or most_finalists(spec) < 2:
        return most_replicates(spec)
    return min(2 * most_finalists(spec), most_replicates(spec))


def most_finalists(spec: SweepSpec) -> int:
    """Largest number of trials that are trained again: the leaders and the baseline."""
    top = spec.confirm.top if spec.confirm else 0
    return min(spec.trials, top + (BASELINE in spec.presets))


def replicate_settings(
    spec: SweepSpec,
    parameters: Mapping[str, ParameterValue],
    preset: str | None,
    replicate: Replicate,
) -> TrialSettings:
    """The settings of a trial's replicate: those of the trial except for seed and fold."""
    own = parameters
    if preset is not None:
        own = PRESETS[preset].settings_beside(spec.loss.weights)
    changed: dict[str, Any] = {"seed": replicate.seed}
    if own_fold(spec) is not None:
        changed[spec.trainer.traits.fold_key] = replicate.fold
    return spec.trial({**own, **changed})


def check_test(spec: SweepSpec) -> Iterator[Finding]:
    """Contradictions of the test split in a valid sweep."""
    for key in {"data.test", "trainer.test"} & spec.space.keys():
        message = "cannot be searched: the test cases must be the same for all trials"
        yield Finding(("space", key), message)
    if spec.data.test and not spec.trainer.traits.has_test_split:
        message = f"`trainer.kind: {spec.trainer.kind}` has no test split; leave it out"
        if hasattr(spec.trainer, "test"):
            message += ", or let `trainer.test: imagesTs` score the finalists on the dataset's own"
        yield Finding(("data", "test"), message)


def full_table(spec: SweepSpec) -> int:
    """Number of replicates of all finalists on all blocks."""
    return most_finalists(spec) * len(blocks(spec)) if spec.confirm is not None else 0


def check_confirm(spec: SweepSpec) -> Iterator[Finding]:
    """Contradictions of `confirm` in a valid sweep."""
    if spec.confirm is None:
        return
    for key in dict.fromkeys(("seed", spec.trainer.traits.fold_key, "data.folds")):
        if key in spec.space:
            message = f"replicates differ only in seed and fold, so `{key}` cannot be searched too"
            yield Finding(("confirm",), message)
    seeds, asked = spec.confirm.blocks
    folds = most_folds(spec)
    if asked > folds:
        yield Finding(("confirm", "folds"), at_most(folds, "the folds of the data", asked))
    if seeds * asked < 2:
        yield Finding(("confirm", "seeds"), f"must be at least 2 on one fold, but is {seeds}")
    least, budget = 2 * most_finalists(spec), spec.confirm.budget
    if budget is not None and not spec.confirm.race:
        message = "only a race has a budget: set `confirm.race` to true, or leave it out"
        yield Finding(("confirm", "budget"), message)
    elif budget is not None and budget < least:
        who = counted(most_finalists(spec), "finalist")
        message = f"must be at least {least}, two trainings for each of {who}, but is {budget}"
        yield Finding(("confirm", "budget"), message)
