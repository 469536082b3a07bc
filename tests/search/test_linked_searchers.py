"""Searchers over a space with conditions and dependent bounds."""

from __future__ import annotations

import functools
import random
from collections.abc import Mapping
from typing import Any

import pytest

from sweep.search.searchers.optuna_search import OptunaSearch
from sweep.search.searchers.plugin_searcher import PluginSearcher
from sweep.search.searchers.searcher import Searcher, make_searcher
from sweep.spec.search.search_strategy import CustomSearcher
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.spec.space.distributions import Distribution
from sweep.testing.searcher_contract import TRIALS, SearcherContract, exact, record_of, sweep
from sweep.vocabulary.errors import SweepFailed
from sweep.vocabulary.record import Status, TrialRecord

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
SEARCHERS: dict[str, Any] = {
    "random": "random",
    "tpe": {"name": "tpe", "startup_trials": 3},
    "gp": {"name": "gp", "startup_trials": 5},
    "cmaes": "cmaes",
    "qmc": "qmc",
}


def searcher_of(name: str, space: Any, seed: int = 7) -> Searcher:
    settings = {"name": "linked", "replay_patience": False, "searcher": SEARCHERS[name]}
    return make_searcher(SweepSpec.model_validate({**settings, "seed": seed, "space": space}))


@functools.cache
def uninterrupted(name: str) -> list[TrialRecord]:
    return sweep(searcher_of(name, LINKED), range(TRIALS))


@pytest.mark.parametrize("name", [name for name in SEARCHERS if name != "gp"])
class TestEverySearcherOverALinkedSpace(SearcherContract):
    space = LINKED

    @pytest.fixture(autouse=True)
    def _choose(self, name: str) -> None:
        self.name = name

    def made(self, space: Any = None) -> Searcher:
        return searcher_of(self.name, space or self.space)

    def uninterrupted(self) -> list[TrialRecord]:
        return uninterrupted(self.name)


class Plain:
    """A plug-in that has never heard of conditions: it proposes a value for everything."""

    def __init__(self, space: Mapping[str, Distribution], seed: int) -> None:
        self._space, self._seed = space, seed

    def ask(self, number: int) -> dict[str, Any]:
        rng = random.Random(self._seed + number)
        return {name: kind.sample(rng) for name, kind in self._space.items()}

    def tell(self, record: TrialRecord) -> None:
        """It does not learn."""

    learn = tell


class Short(Plain):
    """One that leaves out a parameter that is drawn."""

    def ask(self, number: int) -> dict[str, Any]:
        return {"optimizer.momentum": 0.5}


class Outside(Plain):
    """One that does not look at a bound that depends on another parameter."""

    def ask(self, number: int) -> dict[str, Any]:
        return {"loss.warmup_epochs": 2, "loss.rampup_epochs": 5}


def plugin_over(space: Any, plugin: type) -> PluginSearcher:
    spec = SweepSpec.model_validate({"name": "linked", "space": space})
    settings = CustomSearcher(entry=f"{__name__}:{plugin.__name__}")
    return PluginSearcher(settings, spec.drawn, 3)


CONDITIONAL = {name: LINKED[name] for name in ("optimizer.momentum", "optimizer.name")}
BOUND = {name: LINKED[name] for name in ("loss.warmup_epochs", "loss.rampup_epochs")}


def test_what_a_plugin_proposes_for_a_parameter_that_is_not_drawn_is_dropped() -> None:
    searcher = plugin_over(CONDITIONAL, Plain)
    proposed = [searcher.ask(number) for number in range(20)]
    assert {tuple(one) for one in proposed if one} == {
        ("optimizer.momentum", "optimizer.name"),
        ("optimizer.name",),
    }
    for one in proposed:
        assert one is not None
        assert ("optimizer.momentum" in one) == (one["optimizer.name"] == "sgd")


def test_plugin_that_leaves_out_what_is_drawn_is_told_in_words() -> None:
    with pytest.raises(SweepFailed, match="must return a value for each of"):
        plugin_over(CONDITIONAL, Short).ask(0)


def test_plugin_that_proposes_beyond_a_dependent_bound_is_told_in_words() -> None:
    with pytest.raises(SweepFailed, match=r"returned 5 for `loss\.rampup_epochs`"):
        plugin_over(BOUND, Outside).ask(0)


def test_gp_sees_the_middle_of_what_a_trial_does_not_draw_and_tpe_nothing() -> None:
    gp, tpe = (searcher_of(name, CONDITIONAL) for name in ("gp", "tpe"))
    trial = record_of(0, {"optimizer.name": "adamw"}, Status.COMPLETED, 0.5)
    for searcher in (gp, tpe):
        assert isinstance(searcher, OptunaSearch)
        searcher.tell(trial)
    # Of the nine multiples of 0.1 from 0.1 to 0.9 the middle one is step 4.
    assert gp.study.trials[0].params == {"optimizer.name": "'adamw'", "optimizer.momentum": 4}  # type: ignore[attr-defined]
    assert tpe.study.trials[0].params == {"optimizer.name": "'adamw'"}  # type: ignore[attr-defined]


def test_resumed_gp_proposes_what_the_uninterrupted_one_did() -> None:
    """Alone, since it is slow when it learns: from the trial with number 5 on."""
    space = CONDITIONAL | BOUND

    def told(number: int) -> TrialRecord:
        return record_of(number, proposals[number], Status.COMPLETED, 0.1 * number)

    whole, resumed, proposals = searcher_of("gp", space), searcher_of("gp", space), []
    for number in range(6):
        proposals.append(whole.ask(number) or {})
        whole.tell(told(number))
    for number in range(5):
        resumed.tell(told(number))
    assert exact(resumed.ask(5)) == exact(proposals[5])
    assert {len(one) for one in proposals} == {3, 4}
