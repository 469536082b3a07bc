"""Which trials share a warm-up, and where they may leave it."""

from __future__ import annotations

from typing import Any

import pytest

from sweep.spec.search.shared_warmup import (
    MOST_SNAPSHOTS,
    branching_epochs,
    trunk_key,
    trunk_length,
)
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.spec.settings.trial_settings import TrialSettings
from sweep.spec.tree.setting_tree import after_switch_on_keys, run_ending_keys, setting_names

LATE: dict[str, Any] = {
    "loss.warmup_epochs": 3,
    "loss.rampup_epochs": 0,
    "loss.weights.compactness": 0.5,
    "loss.weights.boundary": 0.5,
    "loss.weights.aspect": 0.0,
    "loss.weights.kervadec": 0.5,
    "loss.terms": ["my_package.losses:roughness"],
    "loss.sqrt_epsilon": 0.0,
    "loss.sqrt_mode": "clamp",
    "loss.min_area": 0.0,
    "loss.components": "separate",
    "loss.border": "ignore",
    "early_stopping.patience": None,
    "early_stopping.min_delta": 0.5,
    "early_stopping.counts_from": "start",
}
EARLY: dict[str, Any] = {
    "seed": 1,
    "data.fold": 1,
    "data.normalization": "minmax",
    "augmentation.flips.probability": 0.9,
    "trainer.epochs": 7,
    "trainer.batch_size": 3,
    "trainer.amp": "bf16",
    "trainer.tf32": True,
    "trainer.channels_last": True,
    "trainer.compile": True,
    "network.name": "unet",
    "loss.main": "dice_focal",
    "loss.dice_weight": 2.0,
    "optimizer.lr": 0.5,
    "guard.exploded_factor": 5.0,
    "evaluation.tta": "flips",
}


def settings(**changes: Any) -> TrialSettings:
    values: dict[str, Any] = {"data": {"source": "shapes"}}
    for key, value in changes.items():
        *groups, last = key.split(".")
        place = values
        for group in groups:
            place = place.setdefault(group, {})
        place[last] = value
    return TrialSettings.model_validate(values)


def sweep(**changes: Any) -> SweepSpec:
    space = {"loss.warmup_epochs": {"randint": [2, 6]}}
    values = {"name": "toy", "space": space, "trainer": {"epochs": 20}, "searcher": "random"}
    return SweepSpec.model_validate(values | changes)


def test_the_examples_name_every_late_setting_and_no_early_one() -> None:
    assert set(LATE) == after_switch_on_keys() | run_ending_keys()
    assert set(EARLY) <= set(setting_names()) - set(LATE)


@pytest.mark.parametrize("key", LATE)
def test_setting_that_acts_late_leaves_the_trunk_as_it_is(key: str) -> None:
    changed = settings(**{key: LATE[key]})
    assert changed != settings()
    assert trunk_key(changed) == trunk_key(settings())


@pytest.mark.parametrize("key", EARLY)
def test_setting_that_acts_from_the_start_makes_another_trunk(key: str) -> None:
    assert trunk_key(settings(**{key: EARLY[key]})) != trunk_key(settings())


def test_trunk_ends_with_the_warmup_and_at_the_latest_with_the_run() -> None:
    assert trunk_length(settings(**{"loss.warmup_epochs": 7})) == 7
    assert trunk_length(settings(**{"loss.warmup_epochs": 70, "trainer.epochs": 50})) == 50


def test_run_without_geometric_loss_is_all_trunk() -> None:
    weights = {"compactness": 0, "boundary": 0, "aspect": 0}
    assert trunk_length(settings(**{"loss.weights": weights, "trainer.epochs": 50})) == 50


def test_trials_branch_at_every_warmup_that_can_be_drawn() -> None:
    assert branching_epochs(sweep()) == (2, 3, 4, 5)


def test_listed_and_preset_warmups_are_branches_too() -> None:
    space = {"loss.warmup_epochs": {"choice": [0, 4, 8, 20]}}
    assert branching_epochs(sweep(space=space)) == (4, 8)
    presets = ["geometric-v2.3", "baseline"]
    longer = sweep(space=space, presets=presets, trainer={"epochs": 40})
    assert branching_epochs(longer) == (4, 8, 20)


def test_warmup_that_is_not_searched_is_a_branch_as_well() -> None:
    space = {"loss.sqrt_epsilon": {"choice": [0, 1e-6]}}
    assert branching_epochs(sweep(space=space, loss={"warmup_epochs": 9})) == (9,)


def test_snapshots_are_bounded_evenly_and_keep_the_last() -> None:
    space = {"loss.warmup_epochs": {"randint": [1, 101]}}
    branches = branching_epochs(sweep(space=space, trainer={"epochs": 200}))
    assert len(branches) == MOST_SNAPSHOTS
    assert branches[-1] == 100
    gaps = {b - a for a, b in zip((0, *branches), branches, strict=False)}
    assert gaps <= {1, 2}


def test_absurdly_long_warmups_are_never_written_out() -> None:
    space = {"loss.warmup_epochs": {"randint": [1, 2**31 - 1]}}
    branches = branching_epochs(sweep(space=space, trainer={"epochs": 2**30}))
    assert len(branches) == MOST_SNAPSHOTS


@pytest.mark.parametrize(
    "batch",
    [{"choice": [2, 3]}, {"randint": [2, 4]}, {"lograndint": [2, 4]}, {"qrandint": [2, 4, 2]}],
)
def test_several_trunks_share_the_bound_however_their_values_are_written(
    batch: dict[str, Any],
) -> None:
    space = {
        "loss.warmup_epochs": {"randint": [1, 101]},
        "optimizer.lr": {"quniform": [0.1, 0.2, 0.1]},
        "trainer.batch_size": batch,
    }
    branches = branching_epochs(sweep(space=space, trainer={"epochs": 200}))
    assert len(branches) == MOST_SNAPSHOTS // 4


@pytest.mark.parametrize(
    "changes",
    [
        {"share_warmup": False},
        {"space": {"loss.warmup_epochs": {"choice": [0]}}},
        {
            "space": {
                "loss.warmup_epochs": {"randint": [2, 6]},
                "optimizer.lr": {"uniform": [0.1, 1]},
            }
        },
        {"space": {"loss.warmup_epochs": {"randint": [2, 6]}, "seed": {"choice": list(range(40))}}},
    ],
    ids=["switched_off", "no_warmup", "continuous_base", "forty_bases"],
)
def test_nothing_is_shared_where_there_is_nothing_to_share(changes: dict[str, Any]) -> None:
    assert branching_epochs(sweep(**changes)) == ()
