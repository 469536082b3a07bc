"""Which searched settings no trial is trained for, and what each trial is trained with instead."""

from __future__ import annotations

from typing import Any

import pytest

from sweep.spec.checks.contradictions import check_sweep
from sweep.spec.checks.doubtful_settings import warnings
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.spec.space.distribution_yaml import parse_distribution
from sweep.spec.space.replayed_settings import (
    MOST_PATIENT,
    candidate_values,
    candidates,
    most_patient,
)
from sweep.spec.tree.setting_tree import run_ending_keys

PATIENCE = "early_stopping.patience"
MIN_DELTA = "early_stopping.min_delta"
COUNTS_FROM = "early_stopping.counts_from"
RATE = {"optimizer.lr": {"choice": [0.1, 0.2, 0.3]}}


def spec_of(space: dict[str, Any], **changes: Any) -> SweepSpec:
    return SweepSpec.model_validate({"name": "x", "space": space, "presets": []} | changes)


def test_every_setting_that_ends_runs_has_a_most_patient_value() -> None:
    assert set(MOST_PATIENT) == run_ending_keys()


def test_patience_is_not_drawn_and_the_rest_is() -> None:
    spec = spec_of({PATIENCE: {"choice": [5, 3]}, **RATE, MIN_DELTA: {"loguniform": [1e-5, 1e-2]}})
    assert list(spec.drawn) == ["optimizer.lr"]
    assert list(spec.replayed) == [PATIENCE, MIN_DELTA]
    assert list(spec.space) == [PATIENCE, "optimizer.lr", MIN_DELTA]
    # in the order of the space, and the most patient of each
    parameters = spec.to_train({"optimizer.lr": 0.2})
    assert list(parameters.items()) == [(PATIENCE, 5), ("optimizer.lr", 0.2), (MIN_DELTA, 0.0)]
    assert spec.trial(parameters).early_stopping.patience == 5


def test_all_of_the_space_is_drawn_where_replay_is_off() -> None:
    spec = spec_of({PATIENCE: {"choice": [5, 3]}, **RATE}, replay_patience=False)
    assert spec.drawn == spec.space
    assert spec.replayed == {}
    assert spec.to_train({PATIENCE: 3, "optimizer.lr": 0.2}) == {PATIENCE: 3, "optimizer.lr": 0.2}


@pytest.mark.parametrize(
    ("key", "distribution", "value"),
    [
        (PATIENCE, {"choice": [20, 50, 30]}, 50),
        (PATIENCE, {"choice": [20, None, 30]}, None),
        (PATIENCE, {"randint": [5, 51]}, 50),
        (PATIENCE, {"lograndint": [5, 500]}, 499),
        (MIN_DELTA, {"choice": [1e-3, 1e-4]}, 0.0),
        (COUNTS_FROM, {"choice": ["start", "rampup_end"]}, "rampup_end"),
        (COUNTS_FROM, {"choice": ["start"]}, "start"),
    ],
)  # fmt: skip
def test_trials_are_trained_under_the_most_patient_value(
    key: str, distribution: dict[str, Any], value: object
) -> None:
    [found] = most_patient({key: parse_distribution(distribution)}).values()
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("distribution", "values"),
    [
        ({"choice": [8, None, 3]}, [3, 8, None]),
        ({"choice": ["start", "rampup_end"]}, ["start", "rampup_end"]),
        ({"randint": [3, 9]}, [3, 4, 5, 6, 7, 8]),
        ({"randint": [7, 8]}, [7]),
        ({"randint": [1, 24]}, [1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23]),
        ({"qrandint": [3, 9, 2]}, [3, 5, 7, 9]),
        ({"qrandint": [0, 44, 2]}, [0, 4, 8, 12, 16, 20, 24, 28, 32, 36, 40, 44]),
        ({"lograndint": [1, 2049]}, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048]),
        ({"uniform": [0, 0.01]}, [0.0, 0.0025, 0.005, 0.0075, 0.01]),
        ({"loguniform": [1e-6, 1e-2]}, [1e-6, 1e-5, 1e-4, 1e-3, 1e-2]),
        ({"uniform": [0.12345, 0.12349]}, [0.12345, 0.12349]),  # where they round to lies outside
        ({"quniform": [0, 0.02, 0.01]}, [0.0, 0.01, 0.02]),
    ],
)  # fmt: skip
def test_candidates_are_what_is_listed_or_spread_over_the_range(
    distribution: dict[str, Any], values: list[object]
) -> None:
    kind = parse_distribution(distribution)
    assert list(candidate_values(kind)) == values
    assert all(kind.contains(value) for value in candidate_values(kind))


def test_candidates_of_several_settings_are_all_their_combinations() -> None:
    space = {PATIENCE: {"choice": [3, 5]}, COUNTS_FROM: {"choice": ["start", "rampup_end"]}}
    assert [tuple(one.values()) for one in candidates(spec_of(space).replayed)] == [
        (3, "start"), (3, "rampup_end"), (5, "start"), (5, "rampup_end"),
    ]  # fmt: skip


def test_a_grid_shrinks_by_what_is_replayed() -> None:
    space = {**RATE, PATIENCE: {"randint": [5, 51]}}  # not listed, but no grid walks it
    spec = spec_of(space, searcher="grid")
    assert spec.trials == 3
    assert list(check_sweep(spec)) == []


def test_one_trial_answers_where_nothing_but_patience_is_searched() -> None:
    space = {PATIENCE: {"choice": [3, 5]}}
    assert spec_of(space, scheduler="none").trials == 1
    assert warnings(spec_of(space, scheduler="none")) == []
    assert spec_of(space, presets=["baseline"]).trials == 2
    assert spec_of(space, replay_patience=False).trials == 20
    [finding] = check_sweep(spec_of(space, trials=4))
    assert finding.path == ("trials",)
    assert finding.message == (
        "must be at most 1, but is 4: only when to stop is searched, and replaying one "
        "curve answers for all of that; `replay_patience: false` trains a trial for each"
    )


def test_a_preset_keeps_its_own_patience_and_takes_the_most_patient_where_it_has_none() -> None:
    spec = spec_of({PATIENCE: {"choice": [60, 70]}, MIN_DELTA: {"choice": [1e-3]}, **RATE})
    baseline = spec.preset_trial("baseline").early_stopping
    assert (baseline.patience, baseline.min_delta) == (70, 0.0)
    users = spec.preset_trial("logcosh-2024").early_stopping
    assert (users.patience, users.min_delta) == (50, 1e-4)
