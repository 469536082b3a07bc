"""Searchers over a space with conditions and dependent bounds."""

from __future__ import annotations

from typing import Any

import pytest

from sweep.search.searchers.searcher import Searcher, make_searcher
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.testing.searcher_contract import SearcherContract

LINKED: dict[str, Any] = {
    "optimizer.momentum": {"quniform": [0.1, 0.9, 0.1], "when": {"optimizer.name": "sgd"}},
    "optimizer.name": {"choice": ["sgd", "adamw"]},
    "loss.warmup_epochs": {"randint": [2, 9]},
    "loss.rampup_epochs": {"randint": [0, "loss.warmup_epochs"]},
    "loss.weights.compactness": {"choice": [0, 0.01, 0.1]},
    "loss.sqrt_epsilon": {
        "loguniform": [1e-8, 1e-2],
        "when": {"loss.weights.compactness": {"above": 0}},
    },
    "loss.min_area": {
        "uniform": [1.0, "loss.focal_gamma"],
        "when": {"loss.sqrt_epsilon": {"below": 1e-4}},
    },
    "loss.focal_gamma": {"uniform": [2.0, 3.0]},
}
FEW = {
    name: LINKED[name]
    for name in ("optimizer.momentum", "optimizer.name", "loss.warmup_epochs", "loss.rampup_epochs")
}
"""For `gp`, which is slow when it learns: in the last of 28 trials."""
SEARCHERS: dict[str, Any] = {
    "random": "random",
    "tpe": {"name": "tpe", "startup_trials": 5},
    "tpe_at_once": {"name": "tpe", "startup_trials": 0},
    "gp": {"name": "gp", "startup_trials": 13},
    "cmaes": "cmaes",
    "qmc": "qmc",
}


def searcher_of(name: str, space: Any, seed: int = 7) -> Searcher:
    settings = {"name": "linked", "replay_patience": False, "searcher": SEARCHERS[name]}
    return make_searcher(SweepSpec.model_validate({**settings, "seed": seed, "space": space}))


@pytest.mark.parametrize("name", SEARCHERS)
class TestEverySearcherOverALinkedSpace(SearcherContract):
    @pytest.fixture(autouse=True)
    def _choose(self, name: str) -> None:
        self.name = name
        self.space = FEW if name == "gp" else LINKED  # type: ignore[misc]

    def made(self, space: Any = None) -> Searcher:
        return searcher_of(self.name, space or self.space)
