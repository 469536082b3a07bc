"""Trials that are drawn from the user's priors, among those of a searcher."""

from __future__ import annotations

from typing import Any

import pytest

from sweep.search.searchers.searcher import make_searcher
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.spec.space.distribution_yaml import parse_distribution
from sweep.spec.space.prior_draws import PriorTrials, share
from sweep.vocabulary.record import TrialRecord

LR = {"loguniform": [1e-5, 1e-1], "prior": {"value": 0.01, "sure": "high"}}
DROPOUT = {"uniform": [0.0, 0.5]}
searchers = pytest.mark.parametrize("name", ["random", "tpe"])


def spec_of(name: str, **space: Any) -> SweepSpec:
    keys = {"lr": "optimizer.lr", "dropout": "network.dropout"}
    return SweepSpec(
        name="x", searcher=name, trials=50, space={keys[key]: form for key, form in space.items()}
    )  # type: ignore[arg-type]


@searchers
def test_first_own_trial_has_the_likely_values_whatever_was_given_before(name: str) -> None:
    searcher = make_searcher(spec_of(name, lr=LR, dropout=DROPOUT), first=3)
    assert searcher.ask(3)["optimizer.lr"] == 0.01


@searchers
def test_trials_that_are_not_from_the_priors_are_the_searchers_own(name: str) -> None:
    with_prior = make_searcher(spec_of(name, lr=LR, dropout=DROPOUT))
    without = make_searcher(spec_of(name, lr={"loguniform": [1e-5, 1e-1]}, dropout=DROPOUT))
    likely = PriorTrials(spec_of(name, lr=LR).space, 0, 0)
    found = [likely.ask(number) for number in range(9)]  # while TPE draws at random
    assert {} in found
    for number, drawn in enumerate(found):
        ours, plain = with_prior.ask(number), without.ask(number)
        if name == "random" or not drawn:
            assert ours == plain | drawn
        assert ours["optimizer.lr"] == drawn.get("optimizer.lr", plain["optimizer.lr"])


@searchers
def test_a_conditional_setting_has_its_likely_value_only_where_it_is_drawn(name: str) -> None:
    space = {
        "optimizer.name": {"choice": ["sgd", "adamw"]},
        "optimizer.momentum": {
            "uniform": [0.5, 0.99],
            "when": {"optimizer.name": "sgd"},
            "prior": {"value": 0.9, "sure": "high"},
        },
    }
    first = []
    for seed in range(12):
        spec = SweepSpec(name="x", searcher={"name": name, "seed": seed}, space=space)  # type: ignore[arg-type]
        first.append(make_searcher(spec).ask(0))
    assert {frozenset(one.items()) for one in first} == {
        frozenset({"optimizer.name": "sgd", "optimizer.momentum": 0.9}.items()),
        frozenset({"optimizer.name": "adamw"}.items()),
    }


def test_share_of_trials_from_the_priors_falls_with_their_number() -> None:
    space = {"x": parse_distribution(LR)}
    counts = [0] * 40
    for seed in range(400):
        trials = PriorTrials(space, seed, first=2)
        for place in range(40):
            counts[place] += bool(trials.ask(place + 2))
    assert counts[0] == 400
    for place in (1, 2, 5, 20, 39):
        expected = 400 * share(place)
        # 5 standard deviations of a binomial.
        assert abs(counts[place] - expected) < 5 * (expected * (1 - share(place))) ** 0.5
    assert [share(place) for place in (1, 2, 4, 20)] == [0.5, 0.5, 0.25, 0.05]


def test_a_trial_from_the_priors_is_known_to_the_study_as_it_was_trained() -> None:
    searcher = make_searcher(spec_of("tpe", lr=LR, dropout=DROPOUT))
    asked = searcher.ask(0)
    assert searcher.ask(0) == asked
    record = TrialRecord(trial_id="t0000", number=0, parameters=asked)
    searcher.tell(record)
    [trial] = searcher.study.trials  # type: ignore[attr-defined]
    assert trial.params == asked
