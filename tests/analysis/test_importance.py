"""Importances of sweeps whose truth is known, of `benchmarks/importance.py` with its seeds."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from synthetic import diverged_at, results_of, trial

from sweep.analysis.parameters.importance import (
    LEAST_TRIALS,
    SHUFFLES,
    Importance,
    chance_of_split,
    dice_importance,
    divergence_importance,
    importance_for_dice,
    importance_for_divergence,
)
from sweep.vocabulary.parameter_values import ParameterValue
from sweep.vocabulary.record import Status

CONDITIONAL = """\
name: synthetic
trials: {trials}
trainer: {{epochs: {epochs}}}
loss: {{warmup_epochs: 0}}
space:
  optimizer.name: {{choice: [adamw, sgd]}}
  optimizer.momentum: {{uniform: [0.8, 0.99], when: {{optimizer.name: sgd}}}}
"""
EARLY = """\
name: synthetic
trials: {trials}
trainer: {{epochs: {epochs}}}
space:
  optimizer.lr: {{uniform: [0, 1]}}
  loss.weights.compactness: {{uniform: [0.001, 1]}}
"""
LOW_END = """\
name: synthetic
trials: {trials}
trainer: {{epochs: {epochs}}}
loss: {{warmup_epochs: 0}}
space:
  loss.sqrt_epsilon: {{loguniform: [1.0e-8, 1.0e-2]}}
  loss.weights.compactness: {{uniform: [0.001, 1]}}
"""
SCRIPT = Path(__file__).parents[2] / "benchmarks" / "importance.py"


@pytest.fixture(scope="module")
def made() -> ModuleType:
    spec = importlib.util.spec_from_file_location("importance_benchmark", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("population", ["compactness", "nothing"])
def test_pruning_after_each_trials_own_warm_up_makes_the_warm_up_matter_to_nobody(
    made: ModuleType, population: str
) -> None:
    results = made.sweep_of(population, "after waiting", 40, 1)
    plain = made.importance_of(results, results.ranked_inside, results.scores)
    assert next(iter(plain.shares)) == made.WARMUP  # what the Dice as it comes says
    assert plain.shares[made.WARMUP] > 0.6
    found = importance_for_dice(results)
    assert found is not None
    if population == "nothing":
        assert found.is_noise
    else:
        assert next(iter(found.shares)) == made.COMPACTNESS


def adamw_or_sgd(number: int, rng: np.random.Generator) -> dict[str, ParameterValue]:
    """Every second trial has SGD, and alone draws its momentum."""
    if number % 2:
        return {"optimizer.name": "sgd", "optimizer.momentum": rng.uniform(0.8, 0.99)}
    return {"optimizer.name": "adamw"}


def test_conditional_parameter_without_effect_does_not_stand_for_that_of_its_condition() -> None:
    rng = np.random.default_rng(1)
    records = []
    for number in range(30):
        drawn = adamw_or_sgd(number, rng)
        dice = 0.7 + 0.1 * (number % 2) + rng.normal(0, 0.01)
        records.append(trial(number, Status.COMPLETED, [dice], drawn))
    found = importance_for_dice(results_of(*records, yaml=CONDITIONAL))
    assert found is not None
    assert found.leader_among_best == "optimizer.name"
    assert found.is_reliable


def test_conditional_parameter_is_not_relied_on_for_the_divergences_of_its_condition() -> None:
    rng = np.random.default_rng(0)
    records = []
    for number in range(30):
        drawn = adamw_or_sgd(number, rng)
        diverges = number % 2 and rng.random() < 0.6
        outcome = diverged_at(0) if diverges else Status.COMPLETED
        records.append(trial(number, outcome, [] if diverges else [0.5] * 20, drawn))
    found = importance_for_divergence(results_of(*records, yaml=CONDITIONAL))
    assert found is not None
    assert next(iter(found.shares)) == "optimizer.momentum"
    assert not found.is_noise
    assert not found.is_reliable


def test_setting_that_acts_before_the_switch_on_is_found_by_the_divergences_there() -> None:
    rng = np.random.default_rng(0)
    records = []
    for number in range(30):
        rate = (number + 0.5) / 30
        drawn: dict[str, ParameterValue] = {"optimizer.lr": rate}
        drawn["loss.weights.compactness"] = rng.uniform(0.001, 1)
        outcome = diverged_at(0) if rate > 0.6 else Status.COMPLETED
        records.append(trial(number, outcome, [] if rate > 0.6 else [0.5] * 20, drawn))
    results = results_of(*records, yaml=EARLY)
    assert not any(one.diverged for one in results.exposures.values())
    found = importance_for_divergence(results)
    assert found is not None
    assert next(iter(found.shares)) == "optimizer.lr"
    assert found.is_reliable
    assert "30 trials explains" in divergence_importance(results).finding


def test_region_at_the_low_end_of_a_logarithmic_range_is_found() -> None:
    """Of the range from 1e-8 to 1e-2 as it stands, all below 1e-6 is a ten-thousandth."""
    rng = np.random.default_rng(2)
    records = []
    for number in range(30):
        epsilon = float(10 ** rng.uniform(-8, -2))
        drawn: dict[str, ParameterValue] = {"loss.sqrt_epsilon": epsilon}
        drawn["loss.weights.compactness"] = rng.uniform(0.001, 1)
        diverges = rng.random() < (0.9 if epsilon < 1e-6 else 0.1)
        outcome = diverged_at(0) if diverges else Status.COMPLETED
        records.append(trial(number, outcome, [] if diverges else [0.5] * 20, drawn))
    found = importance_for_divergence(results_of(*records, yaml=LOW_END))
    assert found is not None
    assert next(iter(found.shares)) == "loss.sqrt_epsilon"
    assert found.shares["loss.sqrt_epsilon"] > 0.8


def test_below_a_stated_number_of_trials_nothing_is_told(made: ModuleType) -> None:
    few = made.sweep_of("compactness", "nobody", LEAST_TRIALS, 0)  # the first is the baseline
    assert importance_for_dice(few) is None
    assert dice_importance(few).finding == ("11 trials can be used; importances need at least 12.")


def test_chance_of_a_split_is_that_of_shuffled_targets() -> None:
    """Of the 70 ways to choose 4 of 8 trials, the two halves split as well as these targets."""
    places = np.array([[0.1, 0.1, 0.1, 0.1, 0.9, 0.9, 0.9, 0.9]]).T
    targets = np.array([1.0, 1, 1, 1, 0, 0, 0, 0])
    assert chance_of_split(places, targets, 0) == pytest.approx(2 / 70, abs=0.01)
    assert chance_of_split(places, np.array([1.0, 0, 1, 0, 1, 0, 1, 0]), 0) == 1


def test_nothing_is_relied_on_that_shuffled_targets_show_as_well() -> None:
    found = Importance(
        shares={"a": 0.81, "b": 0.19}, leading={}, explained=0.6, chance=0.02, trials=20
    )
    assert not found.is_reliable
    assert replace(found, chance=0.005).is_reliable
    assert not replace(found, chance=0.005, explained=0.05).is_reliable
    assert not replace(found, chance=0.005, leading={"a": 0.4, "b": 0.6}).is_reliable


def test_peak_in_the_middle_of_a_range_is_a_split_too() -> None:
    places = np.linspace(0, 1, 30)[:, None]
    assert chance_of_split(places, -((places[:, 0] - 0.5) ** 2), 0) == 1 / (SHUFFLES + 1)
