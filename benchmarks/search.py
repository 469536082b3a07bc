"""What it is worth to tell the searcher the truth about diverged trials.

    python benchmarks/search.py

The same 60 trials, four at a time, by three searchers over simulated learning curves: ours (`tpe`)
with our ASHA, Ray's own OptunaSearch (TPE too, as many startup trials) with Ray's ASHA, and random
search with our ASHA. Ray's classes are called as its controller calls them, without a cluster. What
Ray is told of a divergence depends on the trainer, so there is a row for each: it raises; it
reports NaN; or it reports what argmax makes of NaN, a Dice of 0 (both of these train on).

The curves. A trial of 80 epochs reports a Dice that saturates; at its warm-up's end the geometric
losses switch on. Its final Dice is 0.90 plus a gain of up to 0.04, noise of 0.002 between trials:

- the gain is a bump over log10 of the compactness weight, centred at 0.05 with a width of one order
  of magnitude, and two flat ones over the boundary and aspect weights, centred at 0.01;
- a large ε hides the outline: the gain counts in full for ε ≤ 1e-6, by 70 % for 1e-4, by 10 % for
  1e-2; a warm-up under 10 epochs costs up to 0.01.

The divergent region, entered at the warm-up's end, as the users' trials do:

- ε = 0 always (the root's gradient is infinite);
- ε = 1e-8 with a compactness weight over 0.03, ε = 1e-6 over 0.3: the best lies at the brink;
- a warm-up under 3 epochs with weights that sum to more than 0.5: the masks are not there yet.

About 35 % of the space diverges. All of it is a function of the parameters and the seed.
"""

from __future__ import annotations

import argparse
import logging
import math
import random
import statistics
import warnings
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Protocol

from ray.tune.schedulers import ASHAScheduler
from ray.tune.search.optuna import OptunaSearch as RaysOptunaSearch

from sweep.search.schedulers.asha import Asha
from sweep.search.schedulers.decision import Decision
from sweep.search.searchers.optuna_samplers import tpe
from sweep.search.searchers.optuna_search import OptunaSearch
from sweep.search.searchers.optuna_study import Translator
from sweep.search.searchers.random_search import RandomSearch
from sweep.search.searchers.searcher import Searcher
from sweep.spec.search.search_strategy import rung_epochs
from sweep.spec.space.distributions import Choice, Distribution, LogUniform, RandInt
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.record import Outcome, Status, TrialRecord

EPOCHS, GRACE, FACTOR, AT_A_TIME = 80, 24, 2, 4
SPACE: dict[str, Distribution] = {
    "loss.warmup_epochs": RandInt(0, 21),
    "loss.sqrt_epsilon": Choice((0, 1e-8, 1e-6, 1e-4, 1e-2)),
    "loss.weights.compactness": LogUniform(1e-3, 1.0),
    "loss.weights.boundary": LogUniform(1e-3, 1.0),
    "loss.weights.aspect": LogUniform(1e-3, 1.0),
}
EFFECT_OF_EPSILON = {0: 1.0, 1e-8: 1.0, 1e-6: 1.0, 1e-4: 0.7, 1e-2: 0.1}

Parameters = Mapping[str, Any]


def bump(weight: float, best: float, width: float) -> float:
    """1 at the best weight; ``width`` is in orders of magnitude."""
    return math.exp(-0.5 * (math.log10(weight / best) / width) ** 2)


def final_dice(parameters: Parameters) -> float:
    """The Dice of the last epoch, without noise."""
    shape = 0.03 * bump(parameters["loss.weights.compactness"], 0.05, 1.0)
    shape += 0.005 * bump(parameters["loss.weights.boundary"], 0.01, 1.5)
    shape += 0.005 * bump(parameters["loss.weights.aspect"], 0.01, 1.5)
    early = 0.01 * max(0, 10 - parameters["loss.warmup_epochs"]) / 10
    return 0.90 + EFFECT_OF_EPSILON[parameters["loss.sqrt_epsilon"]] * shape - early


def diverges(parameters: Parameters) -> bool:
    epsilon, compactness = parameters["loss.sqrt_epsilon"], parameters["loss.weights.compactness"]
    weights = sum(v for name, v in parameters.items() if name.startswith("loss.weights"))
    return (
        epsilon == 0
        or (epsilon == 1e-8 and compactness > 0.03)
        or (epsilon == 1e-6 and compactness > 0.3)
        or (parameters["loss.warmup_epochs"] < 3 and weights > 0.5)
    )


def curve(parameters: Parameters) -> list[float]:
    """Validation Dice by epoch; a diverging one ends where it diverges."""
    noise = random.Random(repr(sorted(parameters.items())))
    final, epochs = final_dice(parameters) + noise.gauss(0, 0.002), range(EPOCHS)
    dice = [final * (1 - math.exp(-(epoch + 1) / 8)) + noise.gauss(0, 0.001) for epoch in epochs]
    return dice[: parameters["loss.warmup_epochs"]] if diverges(parameters) else dice


class Candidate(Protocol):
    """A searcher with its scheduler, and how a trainer under it goes on after a divergence."""

    after_divergence: float | None
    """Dice of every epoch after it; None: the trial ends."""

    def ask(self, number: int) -> Parameters: ...

    def report(self, number: int, epoch: int, dice: float) -> bool:
        """Whether the trial goes on."""
        ...

    def end(self, number: int, *, diverged: bool) -> None: ...


class Ours:
    """A searcher and ASHA of this package, told as its controller tells them."""

    after_divergence = None

    def __init__(self, searcher: Searcher) -> None:
        self._searcher = searcher
        self._rungs = rung_epochs(EPOCHS, GRACE, FACTOR)
        self._asha = Asha(rungs=self._rungs, reduction_factor=FACTOR)
        self._parameters: dict[int, Parameters] = {}
        self._history: dict[int, list[EpochMetrics]] = {}

    def ask(self, number: int) -> Parameters:
        parameters = self._searcher.ask(number)
        assert parameters is not None
        self._parameters[number], self._history[number] = parameters, []
        return parameters

    def report(self, number: int, epoch: int, dice: float) -> bool:
        self._history[number].append(EpochMetrics(epoch=epoch, val_dice=dice))
        if epoch + 1 in self._rungs:
            self._searcher.judge(number, self._rungs.index(epoch + 1) + 1, dice)
        if self._asha.report(str(number), epoch + 1, dice) is Decision.CONTINUE:
            return True
        self._tell(number, Status.PRUNED)
        return False

    def end(self, number: int, *, diverged: bool) -> None:
        self._tell(number, Status.DIVERGED if diverged else Status.COMPLETED)

    def _tell(self, number: int, status: Status) -> None:
        self._asha.end(str(number), status)
        self._searcher.tell(
            TrialRecord(
                trial_id=f"t{number:04d}",
                number=number,
                parameters=self._parameters[number],
                history=tuple(self._history[number]),
                outcome=Outcome(status=status),
            )
        )


class Rays:
    """Ray's OptunaSearch and ASHAScheduler, called as its controller calls them."""

    def __init__(self, seed: int, after_divergence: float | None) -> None:
        self.after_divergence = after_divergence
        self._translator = Translator(SPACE)
        space = dict(self._translator.distributions)
        self._search = RaysOptunaSearch(space=space, metric="dice", mode="max", seed=seed)
        self._asha = ASHAScheduler(
            metric="dice",
            mode="max",
            max_t=EPOCHS,
            grace_period=GRACE,
            reduction_factor=FACTOR,
        )
        self._trials: dict[int, SimpleNamespace] = {}
        self._last: dict[int, dict[str, float]] = {}

    def ask(self, number: int) -> Parameters:
        self._trials[number] = SimpleNamespace(trial_id=str(number))
        self._asha.on_trial_add(None, self._trials[number])
        return self._translator.decode(self._search.suggest(str(number)))

    def report(self, number: int, epoch: int, dice: float) -> bool:
        result = {"dice": dice, "training_iteration": epoch + 1}
        if self._asha.on_trial_result(None, self._trials[number], result) == "CONTINUE":
            self._search.on_trial_result(str(number), result)
            return True
        self._search.on_trial_complete(str(number), result)
        return False

    def end(self, number: int, *, diverged: bool) -> None:
        """The trainer raised; a trial of full length was stopped at its last report."""
        assert diverged
        self._asha.on_trial_remove(None, self._trials[number])
        self._search.on_trial_complete(str(number), error=True)


@dataclass
class Score:
    """What one sweep came to: diverged trials, the winner's final Dice, epochs trained."""

    diverged: int
    dice: float
    epochs: int


def run(candidate: Candidate, trials: int) -> Score:
    """One sweep; of the trials that run each reports one epoch in turn."""
    started = diverged = epochs = 0
    winner, best = 0.0, -math.inf
    running = deque[tuple[int, Parameters, list[float], int]]()
    while True:
        while started < trials and len(running) < AT_A_TIME:
            parameters = candidate.ask(started)
            dice = curve(parameters)
            if diverges(parameters):
                diverged += 1
                if candidate.after_divergence is not None:
                    dice += [candidate.after_divergence] * (EPOCHS - len(dice))
            running.append((started, parameters, dice, 0))
            started += 1
        if not running:
            return Score(diverged, winner, epochs)
        number, parameters, dice, epoch = running.popleft()
        if epoch == len(dice):
            candidate.end(number, diverged=diverges(parameters))
            continue
        epochs += 1
        if dice[epoch] > best and not diverges(parameters):
            best, winner = dice[epoch], final_dice(parameters)
        if candidate.report(number, epoch, dice[epoch]):
            running.append((number, parameters, dice, epoch + 1))


CANDIDATES: Mapping[str, Callable[[int], Candidate]] = {
    "tpe and asha of this package": lambda seed: Ours(OptunaSearch(SPACE, seed, tpe(10))),
    "Ray's OptunaSearch and ASHA; the trainer raises": lambda seed: Rays(seed, None),
    "Ray's OptunaSearch and ASHA; NaN is reported": lambda seed: Rays(seed, math.nan),
    "Ray's OptunaSearch and ASHA; Dice 0 is reported": lambda seed: Rays(seed, 0.0),
    "random and asha of this package": lambda seed: Ours(RandomSearch(SPACE, seed)),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=40)
    parser.add_argument("--trials", type=int, default=60)
    chosen = parser.parse_args()
    logging.disable(logging.WARNING)  # Ray warns of every NaN that Optuna refuses,
    warnings.filterwarnings("ignore", "All-NaN")  # and numpy of rungs that hold nothing else
    print(f"{chosen.seeds} seeds of {chosen.trials} trials; mean (standard deviation)\n")
    print("| searcher and scheduler | diverged trials | winner's Dice | epochs trained |")
    print("|---|---|---|---|")
    for name, make in CANDIDATES.items():
        scores = [run(make(seed), chosen.trials) for seed in range(chosen.seeds)]
        columns = zip(*((s.diverged, s.dice, s.epochs) for s in scores), strict=True)
        cells = [
            f"{statistics.mean(values):.{digits}f} ({statistics.stdev(values):.{digits}f})"
            for values, digits in zip(columns, (1, 4, 0), strict=True)
        ]
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
