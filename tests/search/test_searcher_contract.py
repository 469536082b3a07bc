"""What every searcher promises, whatever its method."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from sweep.search.searchers.searcher import Searcher, make_searcher
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.spec.space.distributions import Distribution
from sweep.testing.searcher_contract import SearcherContract, exact, sweep, toy_result
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.objective import Mode, Objective
from sweep.vocabulary.record import TrialRecord

LISTED: dict[str, Any] = {
    "loss.sqrt_epsilon": {"choice": [0, 0.0, 1e-8, 1e-4]},
    "network.deep_supervision": {"choice": [True, 1, "1", None]},
    "early_stopping.patience": {"grid": [4, 8]},
    "network.channels": {"choice": [[8, 16, 32], [16, 32, 64]]},
}
SPACE: dict[str, Any] = LISTED | {
    "loss.warmup_epochs": {"randint": [2, 5]},
    "data.count": {"lograndint": [5, 100]},
    "trainer.batch_size": {"qrandint": [3, 9, 2]},
    "loss.weights.compactness": {"loguniform": [1e-3, 1]},
    "network.dropout": {"uniform": [0.0, 0.5]},
    "optimizer.momentum": {"quniform": [0.1, 0.9, 0.1]},
}
LIKELY: dict[str, Any] = {
    **SPACE,
    "network.channels": {**SPACE["network.channels"], "prior": [16, 32, 64]},
    "trainer.batch_size": {**SPACE["trainer.batch_size"], "prior": {"value": 5, "sure": "high"}},
    "loss.weights.compactness": {**SPACE["loss.weights.compactness"], "prior": 0.03},
}
NUMBERS = {key: value for key, value in SPACE.items() if key not in LISTED}
SPACES = {
    "random": SPACE,
    "random_with_priors": LIKELY,
    "tpe_with_priors": LIKELY,
    "grid": LISTED,
    "tpe": SPACE,
    "tpe_at_once": SPACE,
    "gp": {key: SPACE[key] for key in ("loss.weights.compactness", "early_stopping.patience")},
    "cmaes": SPACE,
    "cmaes_numbers": NUMBERS,
    "qmc": SPACE,
}
SEARCHERS: dict[str, Any] = {
    "random": "random",
    "random_with_priors": "random",
    "tpe_with_priors": {"name": "tpe", "startup_trials": 5},
    "grid": "grid",
    "tpe": {"name": "tpe", "startup_trials": 5},
    "tpe_at_once": {"name": "tpe", "startup_trials": 0},
    "gp": {"name": "gp", "startup_trials": 18},  # slow when it learns: in the last of 28 trials
    "cmaes": "cmaes",
    "cmaes_numbers": "cmaes",
    "qmc": "qmc",
}

every_searcher = pytest.mark.parametrize("name", SEARCHERS)


def spec_with(**settings: Any) -> SweepSpec:
    settings = {"replay_patience": False} | settings  # a searcher does not care what it searches
    return SweepSpec.model_validate({"name": "contract", **settings})


def spec_of(name: str, seed: int = 7) -> SweepSpec:
    return spec_with(seed=seed, space=SPACES[name], searcher=SEARCHERS[name])


def searcher_of(name: str, seed: int = 7) -> Searcher:
    return make_searcher(spec_of(name, seed))


@functools.cache
def uninterrupted(name: str) -> list[TrialRecord]:
    return sweep(searcher_of(name), range(28))


@every_searcher
class TestEverySearcher(SearcherContract):
    """The suite that others run too, on ours."""

    @pytest.fixture(autouse=True)
    def _choose(self, name: str) -> None:
        self.name = name

    def made(self, space: Mapping[str, Any] | None = None) -> Searcher:
        own = spec_with(seed=7, space=space or SPACES[self.name], searcher=SEARCHERS[self.name])
        return make_searcher(own)

    def distributions(self, space: Mapping[str, Any] | None = None) -> dict[str, Distribution]:
        return super().distributions(space or SPACES[self.name])

    def uninterrupted(self) -> list[TrialRecord]:
        return uninterrupted(self.name)


@pytest.mark.parametrize("name", [name for name in SEARCHERS if name != "grid"])
def test_other_seed_proposes_others(name: str) -> None:
    assert searcher_of(name, seed=7).ask(0) != searcher_of(name, seed=8).ask(0)


@every_searcher
def test_metric_and_its_negative_lead_to_the_same_proposals(name: str) -> None:
    """Every end, a divergence first of all: before there is any value to count it with."""

    def judged(metric: str, mode: Mode, sign: int) -> list[str]:
        spec = spec_with(
            seed=7,
            space=SPACES[name],
            searcher=SEARCHERS[name],
            trainer={"kind": "custom", "entry": "mine.module:Mine"},
            objective={"metric": metric, "mode": mode},
        )
        searcher = make_searcher(spec)
        asked = []
        for number in range(24):
            parameters = searcher.ask(number)
            assert parameters is not None
            asked.append(exact(parameters))
            result = toy_result((number + 3) % 5, parameters)  # the first two diverge and fail
            values = [e.val_dice for e in result.history] if number > 1 else []
            history = [
                EpochMetrics(
                    epoch=n,
                    val_dice=None,
                    metrics={metric: None if v is None else sign * (90 * v - 30)},
                )
                for n, v in enumerate(values)
            ]
            objective = Objective(metric, mode)
            searcher.tell(
                replace(result, number=number, history=tuple(history), objective=objective)
            )
        return asked

    assert judged("gain", "max", 1) == judged("loss", "min", -1)


@pytest.mark.parametrize("name", ["random", "tpe"])
def test_own_seed_of_the_searcher_goes_before_that_of_the_sweep(name: str) -> None:
    def first(seed: int, own: int | None) -> object:
        searcher = {"name": name, "seed": own}
        return make_searcher(spec_with(seed=seed, space=SPACE, searcher=searcher)).ask(0)

    assert first(seed=1, own=5) == first(seed=2, own=5) == first(seed=5, own=None)
    assert first(seed=1, own=5) != first(seed=1, own=6)
