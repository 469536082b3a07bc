"""By which clock and which score trials should be compared, and whether they should wait for it.

    python benchmarks/clocks.py [one_circle …] [--orders 4] [--concurrent 2]

Recorded curves of real sweeps (`tables.py`; all of them, or those that are named) are replayed
through the real schedulers in random orders, two trials at a time. A rule is

- a clock. *epochs*: trained epochs, the first rung past the longest warm-up, since before it trials
  are one and the same run. *activation*: epochs since the trial's own geometric loss acts, here
  without a ramp-up. *activation, 1/4*: the same, but at most a quarter of all trained epochs.
- a score. *dice*: in the epoch of the rung; *gain*: the best so far minus the baseline's best so
  far in the same epoch; *promise*: the same plus the standard deviation of the differences in
  single epochs since activation.
- when it judges. *arrival*: `Asha`, by those that came before; *pause*: `Halving`, by all.
- the first rung, in hundredths of a training, at least 2; each later one comes after twice as
  much time.
- the share that goes on.

*Epochs*: what a script that knows none of this trains (no warm-up is shared, Dice by trained
epochs, ASHA that keeps a quarter), over what the rule trains, the warm-up counted once (as
`share_warmup` does) and the baseline where it compares with it. A rule is good if at that cost it
keeps the best trial or one close to it: within 0.002, or 0.005. *Regret* is what it loses.
"""

from __future__ import annotations

import argparse
import random
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from tables import Curve, Table, tables

from sweep.record import Status
from sweep.search.asha import Asha
from sweep.search.decision import Decision
from sweep.search.halving import Halving
from sweep.spec.strategy import TRAINED_EPOCHS_OF_A_TICK, activation_time, rung_epochs

CLOSE = (0.002, 0.005)


@dataclass(frozen=True, slots=True)
class Rule:
    """How trials are compared on their way; see the head of this file.

    Args:
        first: the first rung, in hundredths of a training.
        factor: of the trials at a rung one in so many goes on.
        shares: whether the warm-up is trained once.
    """

    clock: Literal["epochs", "activation", "activation, 1/4"]
    score: Literal["dice", "gain", "promise"]
    judges: Literal["arrival", "pause"]
    first: float
    factor: int
    shares: bool = True

    def rungs(self, table: Table) -> list[int]:
        first = max(2, round(self.first * table.epochs / 100))
        if self.clock == "epochs":
            first += max(trial.warmup for trial in table.trials)
            return rung_epochs(table.epochs, first, self.factor)
        most = table.epochs
        if self.clock == "activation, 1/4":
            most //= TRAINED_EPOCHS_OF_A_TICK
        return rung_epochs(most, first, 2)

    def time(self, trial: Curve, epochs: int) -> int:
        match self.clock:
            case "epochs":
                return epochs
            case "activation":
                return epochs - trial.warmup
            case _:
                return activation_time(epochs, trial.warmup)


SCRIPT = Rule("epochs", "dice", "arrival", 1, 4, shares=False)


@cache
def scores(name: str, score: str) -> list[NDArray[np.float64]]:
    """Of each trial of a table, by epoch."""
    table = tables()[name]
    return [_scores(table, trial, score) for trial in table.trials]


def _scores(table: Table, trial: Curve, score: str) -> NDArray[np.float64]:
    dice = np.array(trial.dice)
    if score == "dice":
        return dice
    known = table.baseline.dice
    control = np.array([known[min(epoch, len(known) - 1)] for epoch in range(len(dice))])
    gain = np.maximum.accumulate(dice) - np.maximum.accumulate(control)
    if score == "promise":
        for epoch in range(trial.warmup, len(dice)):
            gain[epoch] += np.std((dice - control)[trial.warmup : epoch + 1])
    return gain


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a sweep came to.

    Args:
        cost: trained epochs.
        best: Dice that a ranking would show on top.
    """

    cost: int
    best: float


class Sweep:
    """One sweep by a rule: several trials at a time, one epoch each in turn.

    Args:
        name: of the table.
        order: numbers of its trials, as they start.
    """

    def __init__(self, rule: Rule, name: str, table: Table, order: list[int]) -> None:
        self._rule, self._table = rule, table
        self._scores = scores(name, rule.score)
        kind = Halving if rule.judges == "pause" else Asha
        self._scheduler = kind(rungs=rule.rungs(table), reduction_factor=rule.factor)
        self._waiting, self._running = deque(order), deque[int]()
        self._to_start = len(order)
        self._reached = [0] * len(order)
        self._best = 0.0

    def run(self, concurrent: int) -> Replayed:
        while self._waiting or self._running:
            while self._waiting and len(self._running) < concurrent:
                self._start(self._waiting.popleft())
            self._train(self._running.popleft())
            for trial_id, decision in list(self._scheduler.decided()):
                if decision is Decision.CONTINUE:
                    self._waiting.appendleft(int(trial_id))
                else:
                    self._end(int(trial_id), Status.PRUNED)
        return Replayed(_cost(self._rule, self._table, self._reached), self._best)

    def _start(self, number: int) -> None:
        self._running.append(number)
        if not self._reached[number]:  # else it has paused
            self._to_start -= 1
            self._scheduler.start(str(number))
            self._scheduler.expect(self._to_start)

    def _train(self, number: int) -> None:
        """An epoch more."""
        trial, epoch = self._table.trials[number], self._reached[number]
        if epoch == len(trial.dice):
            self._end(number, Status.DIVERGED if trial.diverged else Status.COMPLETED)
            return
        self._reached[number] = epoch + 1
        time, decision = self._rule.time(trial, epoch + 1), Decision.CONTINUE
        if time > 0:
            score = float(self._scores[number][epoch])
            decision = self._scheduler.report(str(number), time, score)
        if decision is Decision.CONTINUE:
            self._running.append(number)
        elif decision is Decision.STOP:
            self._end(number, Status.PRUNED)

    def _end(self, number: int, status: Status) -> None:
        self._scheduler.end(str(number), status)
        if status.has_result:
            seen = self._table.trials[number].dice[: self._reached[number]]
            self._best = max(self._best, *seen)


def _cost(rule: Rule, table: Table, reached: list[int]) -> int:
    if not rule.shares:
        return sum(reached)
    own = sum(max(0, reached[n] - trial.warmup) for n, trial in enumerate(table.trials))
    trunk = max(min(reached[n], trial.warmup) for n, trial in enumerate(table.trials))
    if rule.score != "dice":  # the baseline is the trunk, and goes on to its end
        trunk = max(trunk, len(table.baseline.dice))
    return own + trunk


def rules() -> Iterator[Rule]:
    yield Rule("epochs", "dice", "arrival", 1, 4)
    yield Rule("activation", "dice", "arrival", 10, 3)
    for judges in ("arrival", "pause"):
        for factor in (3, 4):
            base = Rule("activation", "gain", judges, 10, factor)  # type: ignore[arg-type]
            yield base
            yield replace(base, score="promise")
            quarter = replace(base, clock="activation, 1/4")
            for first in (3, 4, 5):
                yield replace(quarter, first=first)
                yield replace(quarter, first=first, score="promise")


def main() -> None:
    known = tables()
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*", default=[*known], metavar="table")
    parser.add_argument("--orders", type=int, default=4)
    parser.add_argument("--concurrent", type=int, default=2)
    arguments = parser.parse_args()
    chosen = {name: known[name] for name in arguments.names}
    draws, wanted = random.Random(0), arguments.orders
    orders = {
        name: [draws.sample(range(len(table.trials)), len(table.trials)) for _ in range(wanted)]
        for name, table in chosen.items()
    }

    def runs(rule: Rule, name: str) -> list[Replayed]:
        table = chosen[name]
        sweeps = (Sweep(rule, name, table, order) for order in orders[name])
        return [sweep.run(arguments.concurrent) for sweep in sweeps]

    plain = {name: np.mean([run.cost for run in runs(SCRIPT, name)]) for name in chosen}
    for name, table in chosen.items():
        top = sorted((trial.best for trial in table.trials), reverse=True)
        print(
            f"{name}: {len(table.trials)} trials of {table.epochs} epochs,"
            f" {sum(trial.diverged for trial in table.trials)} diverged,"
            f" best {top[0]:.4f}, next {top[1]:.4f}, baseline {table.baseline.best:.4f}"
        )
    print(
        "\n| clock | score | judges on | first rung | goes on | fewer epochs"
        " | within 0.002 | within 0.005 | regret |\n|---|---|---|---|---|---|---|---|---|"
    )
    rows = []
    for rule in rules():
        saved, regrets = [], []
        for name, table in chosen.items():
            winner = max(trial.best for trial in table.trials)
            replayed = runs(rule, name)
            saved.append(plain[name] / np.mean([run.cost for run in replayed]))
            regrets += [max(0.0, winner - run.best) for run in replayed]
        kept = [float(np.mean([regret <= close for regret in regrets])) for close in CLOSE]
        rows.append((float(np.mean(saved)), rule, kept, float(np.mean(regrets))))
    for ratio, rule, kept, regret in sorted(rows, key=lambda row: row[0]):
        print(
            f"| {rule.clock} | {rule.score} | {rule.judges} | {rule.first:g} | 1/{rule.factor}"
            f" | {ratio:.2f} | {kept[0]:.2f} | {kept[1]:.2f} | {regret:.4f} |"
        )


if __name__ == "__main__":
    main()
