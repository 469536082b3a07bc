"""Which clock a rung should count by, and which score it should compare.

    python benchmarks/clocks.py [one_circle …] [--orders 200] [--concurrent 8]

Recorded curves of real sweeps (`tables.py`; all of them, or those that are named) are replayed
through the real ASHA in random orders, eight trials at a time. Each rule is a clock, a score, a
first rung and a reduction factor, the share that goes on, and the factor by which each rung lies
later than the one before (*spacing*):

- clock *epochs*: trained epochs; the first rung lies so many past the longest warm-up, since before
  it trials are one and the same run.
- clock *activation*: epochs since the trial's own switch-on.
- score *dice*: in the epoch of the rung; *best*: the best so far.
- score *gain*, *best gain*: the same minus the baseline's in the same epoch, so that a trial that
  is looked at later in its training has no advantage. The baseline has to be trained for it.

Cost is trained epochs, the warm-up counted once (as `share_warmup` does), relative to training
every trial to its end. A rule is good if at that cost it keeps the winner, or one within 0.005.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Literal

import numpy as np
from tables import Curve, Table, tables

from sweep.record import Status
from sweep.search.asha import Asha
from sweep.search.decision import Decision
from sweep.spec.strategy import rung_epochs

CLOSE = 0.005
FIRST_RUNGS = (1, 2, 3, 4, 6)
"""In thirtieths of a training."""


@dataclass(frozen=True, slots=True)
class Rule:
    """How trials are compared on their way."""

    clock: Literal["epochs", "activation"]
    score: Literal["dice", "best", "gain", "best gain"]
    grace: int
    factor: int
    spacing: int

    def rungs(self, table: Table) -> list[int]:
        if self.clock == "activation":
            return rung_epochs(table.epochs, self.grace, self.spacing)
        longest = max(trial.warmup for trial in table.trials)
        return rung_epochs(table.epochs, min(longest + self.grace, table.epochs), self.spacing)

    def time(self, trial: Curve, epochs: int) -> int:
        return epochs - trial.warmup if self.clock == "activation" else epochs

    def value(self, trial: Curve, epoch: int, table: Table) -> float:
        first = 0 if "best" in self.score else epoch
        value = max(trial.dice[first : epoch + 1])
        return value - (max(table.baseline.dice[first : epoch + 1]) if self.is_paired else 0.0)

    @property
    def is_paired(self) -> bool:
        return "gain" in self.score


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a sweep came to.

    Args:
        cost: trained epochs.
        best: Dice that a ranking would show on top.
    """

    cost: int
    best: float


def replay(rule: Rule, table: Table, order: list[Curve], concurrent: int) -> Replayed:
    """One sweep: several trials at a time, one epoch each in turn."""
    asha = Asha(rungs=rule.rungs(table), reduction_factor=rule.factor)
    waiting = list(enumerate(order))
    running: list[tuple[int, Curve, int]] = []
    reached = [0] * len(order)
    best = 0.0
    while waiting or running:
        while waiting and len(running) < concurrent:
            number, trial = waiting.pop(0)
            running.append((number, trial, 0))
        number, trial, epoch = running.pop(0)
        name = str(number)
        if epoch == len(trial.dice):
            status = Status.DIVERGED if trial.diverged else Status.COMPLETED
            asha.end(name, status)
            best = max(best, trial.best)
            continue
        reached[number] = epoch + 1
        time = rule.time(trial, epoch + 1)
        value = rule.value(trial, epoch, table)
        if time > 0 and asha.report(name, time, value) is Decision.STOP:
            best = max(best, max(trial.dice[: epoch + 1]))
            continue
        running.append((number, trial, epoch + 1))
    own = sum(max(0, reached[n] - trial.warmup) for n, trial in enumerate(order))
    trunk = max(min(reached[n], trial.warmup) for n, trial in enumerate(order))
    if rule.is_paired:  # the baseline is the trunk, trained as far as anybody is compared
        trunk = max(trunk, *reached)
    return Replayed(own + trunk, best)


def rules(epochs: int) -> Iterator[Rule]:
    for clock, factor in product(("epochs", "activation"), (2, 3, 4)):
        for first, score in product(FIRST_RUNGS, ("dice", "best", "gain", "best gain")):
            grace = round(first * epochs / 30)
            for spacing in sorted({2, factor}):
                yield Rule(clock, score, grace, factor, spacing)  # type: ignore[arg-type]


def main() -> None:
    known = tables()
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*", default=[*known], metavar="table")
    parser.add_argument("--orders", type=int, default=200)
    parser.add_argument("--concurrent", type=int, default=8)
    arguments = parser.parse_args()
    for name in arguments.names:
        table = known[name]
        full = sum(len(trial.dice) for trial in table.trials)
        top = max(trial.best for trial in table.trials)
        print(
            f"\n{name}: {len(table.trials)} trials, {full} epochs, winner {top:.4f},"
            f" baseline {table.baseline.best:.4f},"
            f" {sum(trial.diverged for trial in table.trials)} diverged"
        )
        print(
            "| clock | score | first rung | factor | spacing | cost"
            " | winner kept | close kept | regret |"
        )
        print("|---|---|---|---|---|---|---|---|---|")
        rows = []
        for rule in rules(table.epochs):
            draws = random.Random(0)
            runs = [
                replay(
                    rule,
                    table,
                    draws.sample(table.trials, len(table.trials)),
                    arguments.concurrent,
                )
                for _ in range(arguments.orders)
            ]
            cost = float(np.mean([run.cost for run in runs])) / full
            regret = [top - run.best for run in runs]
            kept = float(np.mean([r < 1e-9 for r in regret]))
            close = float(np.mean([r <= CLOSE for r in regret]))
            rows.append((cost, rule, kept, close, float(np.mean(regret))))
        for cost, rule, kept, close, regret_ in sorted(rows, key=lambda row: row[0]):
            print(
                f"| {rule.clock} | {rule.score} | {rule.grace} | {rule.factor} | {rule.spacing}"
                f" | {cost:.3f} | {kept:.2f} | {close:.2f} | {regret_:.4f} |"
            )


if __name__ == "__main__":
    main()
