"""Importances of sweeps whose truth is known, of `benchmarks/importance.py` with its seeds."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from sweep.analysis.parameters.importance import LEAST_TRIALS, dice_importance, importance_for_dice

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


def test_below_a_stated_number_of_trials_nothing_is_told(made: ModuleType) -> None:
    few = made.sweep_of("compactness", "nobody", LEAST_TRIALS, 0)  # the first is the baseline
    assert importance_for_dice(few) is None
    assert dice_importance(few).finding == ("11 trials; importances need at least 12.")
