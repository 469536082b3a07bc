"""What the driver's decisions cost as a sweep grows: CPU milliseconds of a trial, nothing trained.

    python benchmarks/decision_time.py [--trials 100 300 1000] [--searchers tpe cmaes …]

*searchers*: each trial is asked for, judged at a rung, and told: three in five are pruned there.
*replay*: CPU seconds in which a new searcher is told of all of them and asked for one more, as
after a kill. *replicate*: of `replicate: {folds: 3}` alone, what is due after each end, without the
time of the searcher.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from search_replicates import named, spec_of

from sweep.search.searchers.searcher import make_searcher
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.record import Outcome, Status, TrialRecord

CONDITION: dict[str, Any] = {
    "optimizer.name": {"choice": ["sgd", "adam"]},
    "optimizer.momentum": {"uniform": [0, 0.9], "when": {"optimizer.name": "sgd"}},
}
SEARCHERS = ("tpe", "tpe with a condition", "cmaes", "replicate")


def spec(searcher: str) -> SweepSpec:
    weights = ("compactness", "boundary", "aspect")
    space: dict[str, Any] = {f"loss.weights.{n}": {"loguniform": [1e-3, 1]} for n in weights}
    space |= {"loss.sqrt_epsilon": {"choice": [0, 1e-8, 1e-6, 1e-4]}}
    name, _, condition = searcher.partition(" ")
    values = {"name": "time", "searcher": name, "space": space | (CONDITION if condition else {})}
    return SweepSpec.model_validate(values)


def search(searcher: str, marks: Sequence[int]) -> None:
    drawn, sweep = random.Random(0), spec(searcher)
    made, told = make_searcher(sweep), list[TrialRecord]()
    since, before = time.process_time(), 0
    for number in range(max(marks)):
        parameters, value = made.ask(number), drawn.random()
        assert parameters is not None
        status = Status.PRUNED if value < 0.6 else Status.COMPLETED
        record = TrialRecord(
            trial_id=f"t{number:04d}",
            number=number,
            parameters=parameters,
            history=(EpochMetrics(epoch=0, val_dice=value),),
            outcome=Outcome(status=status),
        )
        made.judge(number, 1, value)
        made.tell(record)
        told.append(record)
        if number + 1 in marks:
            own = 1000 * (time.process_time() - since) / (number + 1 - before)
            again = replayed(sweep, told)
            print(f"{searcher:<22} {number + 1:>7} {own:>15.1f} {again:>10.2f}", flush=True)
            since, before = time.process_time(), number + 1


def replayed(sweep: SweepSpec, told: Sequence[TrialRecord]) -> float:
    since, made = time.process_time(), make_searcher(sweep)
    for record in told:
        made.tell(replace(record, history=(), outcome=None))
        made.judge(record.number, 1, record.history[0].val_dice)
        made.tell(record)
    made.ask(len(told))
    return time.process_time() - since


def replicates(marks: Sequence[int]) -> None:
    for trials in marks:
        draw = np.random.default_rng(0)
        table = draw.normal(0.8, 0.01, (trials, 1)) + draw.normal(0, 0.006, (trials, 3))
        since = time.process_time()
        named(spec_of(searcher="tpe", replicate={"folds": 3}), table)
        own = 1000 * (time.process_time() - since) / trials
        print(f"{'replicate':<22} {trials:>7} {own:>15.1f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--trials", type=int, nargs="+", default=[100, 300, 1000])
    parser.add_argument("--searchers", nargs="+", choices=SEARCHERS, default=SEARCHERS)
    arguments = parser.parse_args()
    print(f"{'':<22}  trials  CPU ms a trial   replay s")
    for name in arguments.searchers:
        if name == "replicate":
            replicates(arguments.trials)
        else:
            search(name, arguments.trials)


if __name__ == "__main__":
    main()
