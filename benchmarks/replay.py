"""Sweeps replayed through the real schedulers, by a rule of when and by what trials are judged."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Literal

import numpy as np
from tables import Curve, Table

from sweep.search.schedulers.asha import Asha
from sweep.search.schedulers.decision import Decision
from sweep.search.schedulers.halving import Halving
from sweep.search.schedulers.projected_gain import noise_of, projected_gain
from sweep.spec.search.search_strategy import (
    TRAINED_EPOCHS_PER_RESOURCE,
    epochs_in_full,
    rung_epochs,
)
from sweep.vocabulary.record import Status

Score = Literal["dice", "gain", "gain + std", "promise"]


@dataclass(frozen=True, slots=True)
class Rule:
    """How trials are compared on their way; see the head of `clocks.py`.

    Args:
        first: the first rung, in hundredths of a training.
        factor: of the trials at a rung one in so many goes on.
        shares: whether the warm-up is trained once.
    """

    clock: Literal["epochs", "activation", "activation, 1/4"]
    score: Score
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
            most //= TRAINED_EPOCHS_PER_RESOURCE
        return rung_epochs(most, first, 2)

    def time(self, trial: Curve, epochs: int) -> int:
        match self.clock:
            case "epochs":
                return epochs
            case "activation":
                return epochs - trial.warmup
            case _:
                return epochs_in_full(epochs, trial.warmup)


SCRIPT = Rule("epochs", "dice", "arrival", 1, 4, shares=False)


class Scored:
    """A table, and what its trials are worth by each score, worked out once."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self._dice = [np.array(trial.dice) for trial in table.trials]
        self._known: dict[tuple[Score, int, int], float] = {}

    def score(self, score: Score, number: int, epochs: int) -> float:
        """Of a trial after so many epochs."""
        key = (score, number, epochs)
        if key not in self._known:
            self._known[key] = self._score(score, number, epochs)
        return self._known[key]

    def _score(self, score: Score, number: int, epochs: int) -> float:
        dice = self._dice[number][:epochs]
        if score == "dice":
            return float(dice[-1])
        known = np.array(self.table.baseline.dice[:epochs])
        control = np.append(known, np.full(epochs - len(known), known[-1]))
        full_from = self.table.trials[number].warmup
        if score == "promise":
            return projected_gain(dice, control, full_from, noise_of(known))
        gain = float(dice.max() - control.max())
        return gain + float(np.std((dice - control)[full_from:])) * (score == "gain + std")


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
        order: numbers of the trials, as they start.
    """

    def __init__(self, rule: Rule, scored: Scored, order: list[int]) -> None:
        self._rule, self._table, self._scored = rule, scored.table, scored
        self._rungs = rule.rungs(scored.table)
        kind = Halving if rule.judges == "pause" else Asha
        self._scheduler = kind(rungs=self._rungs, reduction_factor=rule.factor)
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
        if time in self._rungs:  # between them nobody is judged
            score = self._scored.score(self._rule.score, number, epoch + 1)
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
