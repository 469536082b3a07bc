"""The replicates of a sweep, in its search and its confirmation: seeds, folds, settings."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import Any

from sweep.spec.search.before_and_after import known_folds, most_folds, own_fold
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.spec.space.presets import BASELINE
from sweep.spec.tree.setting_tree import Finding
from sweep.spec.words.phrases import at_most, counted
from sweep.vocabulary.record import ParameterValue, Replicate

SEEDS = 2**31
FOLD_STRIDE = 1000
"""Distance of the seeds of one fold from those of the next: more than any fold has."""


def blocks(spec: SweepSpec) -> list[tuple[int, int]]:
    """Seed and fold of every replicate of one finalist, in order of training.

    No seed is one of the search's, by whose values the finalists were chosen.
    """
    if spec.confirm is None:
        return []
    seeds, folds = spec.confirm.blocks
    return _blocks(spec, spec.replicate.seeds if spec.replicate else 1, seeds, folds)


def search_blocks(spec: SweepSpec) -> list[tuple[int, int]]:
    """Seed and fold of every run of one configuration in the search, in order of training.

    The first is the trial, the others are its replicates.
    """
    found = spec.replicate
    return _blocks(spec, 0, found.seeds if found else 1, found.folds if found else 1)


def _blocks(spec: SweepSpec, first_seed: int, seeds: int, folds: int) -> list[tuple[int, int]]:
    # A seed may suit a configuration. With one seed on all folds it would suit it on all of them.
    stride = FOLD_STRIDE if spec.seed_per_fold else 0
    return [
        ((spec.seed + step + stride * further) % SEEDS, fold)
        for step in range(first_seed, first_seed + seeds)
        for further, fold in enumerate(_folds(spec, folds))
    ]


def _folds(spec: SweepSpec, count: int) -> list[int]:
    """So many validation folds, the sweep's own first."""
    own = own_fold(spec)
    return [((own or 0) + step) % most_folds(spec) for step in range(count)]


def further_folds(spec: SweepSpec) -> dict[str, list[int]]:
    """``confirm`` and ``replicate`` → the folds of its replicates that no trial validates on."""
    counts = {
        "confirm": spec.confirm.blocks[1] if spec.confirm else 0,
        "replicate": spec.replicate.folds if spec.replicate else 0,
    }
    return {key: _folds(spec, count)[1:] for key, count in counts.items()}


def most_replicates_in_search(spec: SweepSpec) -> int:
    """Largest number of replicates of the search: all of every trial."""
    return spec.trials * (len(search_blocks(spec)) - 1)


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


def settings_of_run(
    spec: SweepSpec,
    parameters: Mapping[str, ParameterValue],
    preset: str | None,
    replicate: Replicate | None,
) -> TrialSettings:
    """The settings of a trial, or of its replicate: those of the trial except for seed and fold."""
    own = parameters if preset is None else spec.preset_values(preset)
    if replicate is None:
        return spec.trial(own)
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


def check_replicate(spec: SweepSpec) -> Iterator[Finding]:
    """Contradictions of `replicate` in a valid sweep."""
    if spec.replicate is None:
        return
    yield from _searched_too(spec, "replicate")
    if spec.judged_by.others:
        message = (
            "trials of several objectives are not compared by a mean over folds: leave this out,"
            " or name one objective"
        )
        yield Finding(("replicate",), message)
    folds, asked = most_folds(spec), spec.replicate.folds
    if asked > known_folds(spec) < folds:  # it might train the same run again
        message = (
            f"must be 1: `trainer.kind: {spec.trainer.kind}` brings its own data, whose folds are"
            " not known here; `seeds` repeats a training with other seeds"
        )
        yield Finding(("replicate", "folds"), message)
    elif asked > folds and own_fold(spec) is None:
        key = spec.trainer.traits.fold_key
        message = f"must be 1: `{key}` is not the number of a fold, so there is no other fold"
        yield Finding(("replicate", "folds"), message)
    elif asked > folds:
        yield Finding(("replicate", "folds"), at_most(folds, "the folds of the data", asked))
    elif spec.replicate.runs < 2:
        message = "must be at least 2 on one fold: the trial itself is the first run"
        yield Finding(("replicate", "seeds"), message)


def check_confirm(spec: SweepSpec) -> Iterator[Finding]:
    """Contradictions of `confirm` in a valid sweep."""
    if spec.confirm is None:
        return
    yield from _searched_too(spec, "confirm")
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


def _searched_too(spec: SweepSpec, setting: str) -> Iterator[Finding]:
    """Searched settings in which the replicates of ``setting`` differ."""
    for key in dict.fromkeys(("seed", spec.trainer.traits.fold_key, "data.folds")):
        if key in spec.space:
            message = f"replicates differ only in seed and fold, so `{key}` cannot be searched too"
            yield Finding((setting,), message)
