"""Which parameter is relied on for divergence, in spaces with conditions and early divergences.

    python benchmarks/divergence_importance.py [--first SEED]     # 5 minutes on one core

Random searches of 40 epochs. Two trials in three are pruned, 4 or 12 epochs after their switch-on.
One parameter decides: where it is bad a trial diverges with the probability named here, elsewhere
in 5 %, in one of the three epochs after the switch-on.

*optimizer*: SGD, 60 %; it alone draws momentum. *momentum*: above 0.92, 90 %. *weight*: the highest
of three, 80 %; the middle one draws ε too, and a small ε a ramp-up. *ε*: below 1e-6, 90 %. *rate*:
above 0.1, 90 %, in the first epoch, before the switch-on. *nothing*: 30 % of all trials.

*Relied on*: how often the report relies on a parameter, and how often on one that does not decide.
*By any split*: the rule of before, which only asked that some parameter split all the trials.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from sweep.analysis.figures.sweep_results import Results
from sweep.analysis.parameters.importance import (
    MOST_CHANCE,
    chance_of_split,
    importance_for_divergence,
    martingale_residuals,
    places_of,
)
from sweep.search.searchers.random_search import RandomSearch
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.record import Divergence, Outcome, Status, TrialRecord

EPOCHS, SWEEPS, ELSEWHERE = 40, 25, 0.05
NAME, MOMENTUM, RATE = "optimizer.name", "optimizer.momentum", "optimizer.lr"
WEIGHT, EPSILON, WARMUP = "loss.weights.compactness", "loss.sqrt_epsilon", "loss.warmup_epochs"
BY_NAME = {
    NAME: {"choice": ["adamw", "sgd"]},
    RATE: {"loguniform": [1e-4, 0.1]},
    MOMENTUM: {"uniform": [0.8, 0.99], "when": {NAME: "sgd"}},
    "optimizer.weight_decay": {"loguniform": [1e-6, 1e-2]},
}
NESTED = {
    WEIGHT: {"choice": [0, 0.01, 0.1]},
    "loss.weights.boundary": {"loguniform": [1e-3, 1.0]},
    EPSILON: {"loguniform": [1e-8, 1e-2], "when": {WEIGHT: {"above": 0}}},
    "loss.rampup_epochs": {"randint": [0, 6], "when": {EPSILON: {"below": 1e-5}}},
}
MIXED = {
    RATE: {"loguniform": [1e-4, 1.0]},
    WARMUP: {"randint": [5, 31]},
    WEIGHT: {"loguniform": [1e-3, 1.0]},
    EPSILON: {"choice": [1e-8, 1e-6, 1e-4]},
}
POPULATIONS: Mapping[str, tuple[Any, Callable[[Any], bool], float, str]] = {
    "optimizer": (BY_NAME, lambda one: one[NAME] == "sgd", 0.6, NAME),
    "momentum": (BY_NAME, lambda one: one.get(MOMENTUM, 0) > 0.92, 0.9, MOMENTUM),
    "weight": (NESTED, lambda one: one[WEIGHT] == 0.1, 0.8, WEIGHT),
    "ε": (NESTED, lambda one: one.get(EPSILON, 1) < 1e-6, 0.9, EPSILON),
    "rate": (MIXED, lambda one: one[RATE] > 0.1, 0.9, RATE),
    "nothing, by name": (BY_NAME, lambda one: True, 0.3, ""),
    "nothing, nested": (NESTED, lambda one: True, 0.3, ""),
    "nothing, mixed": (MIXED, lambda one: True, 0.3, ""),
}


def sweep_of(population: str, trials: int, seed: int) -> Results:
    space, is_bad, chance, decides = POPULATIONS[population]
    values = {"name": "made-up", "trials": trials, "presets": [], "space": space}
    values |= {"trainer": {"epochs": EPOCHS}, "loss": {"warmup_epochs": 0, "rampup_epochs": 2}}
    spec = SweepSpec.model_validate(values)
    search, rng, records = RandomSearch(spec.drawn, seed), Random(f"{population} {seed}"), []
    for number in range(trials):
        one = search.ask(number)
        start = int(one.get(WARMUP, 0))  # type: ignore[arg-type]
        end = rng.choice([EPOCHS, min(EPOCHS, start + 4), min(EPOCHS, start + 12)])
        bad = is_bad(one)
        breaks = start + rng.randrange(3)
        if bad and decides == RATE:
            breaks = 0
        outcome = Outcome(status=Status.COMPLETED if end == EPOCHS else Status.PRUNED)
        if rng.random() < (chance if bad else ELSEWHERE):
            end = breaks
            verdict = Divergence(cause="nonfinite", epoch=end, step=0, message="NaN.")
            outcome = Outcome.diverged(verdict)
        records.append(
            TrialRecord(
                trial_id=f"t{number:04d}",
                number=number,
                parameters=one,
                history=tuple(EpochMetrics(epoch=epoch, val_dice=0.5) for epoch in range(end)),
                outcome=outcome,
            )
        )
    return Results(folder=Path("nowhere"), spec=spec, records=tuple(records))


def any_splits(results: Results) -> bool:
    """The rule of before: of all trials, those that do not draw a parameter in its middle."""
    values = martingale_residuals(results)
    records = [one for one in results.records if one.trial_id in values]
    places = places_of(results, records, results.varied)
    targets = np.array([values[one.trial_id] for one in records])
    every = range(len(results.varied))
    return min(chance_of_split(places, targets, one) for one in every) < MOST_CHANCE


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--first", type=int, default=0)
    first = parser.parse_args().first
    print("| decides | trials | relied on | wrong | by any split | wrong |")
    print("|---|---|---|---|---|---|")
    for name, (*_, decides) in POPULATIONS.items():
        for trials in (20, 50):
            counts = np.zeros(4)
            for seed in range(first, first + SWEEPS):
                results = sweep_of(name, trials, seed)
                found = importance_for_divergence(results)
                if found is None:
                    continue
                wrong = next(iter(found.shares)) != decides
                before = not found.is_noise and any_splits(results)
                counts += (found.is_reliable, found.is_reliable and wrong, before, before and wrong)
            cells = " | ".join(f"{100 * count / SWEEPS:.0f} %" for count in counts)
            print(f"| {name} | {trials} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
