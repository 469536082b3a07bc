"""What a prior brings, and what a wrong one costs: `prior:` on functions with a known optimum.

    python benchmarks/priors.py [--seeds 12] [--searcher tpe] [--tuned]

Each function maps a point of the unit cube to a score whose best value is 1 and whose mean is
about 0. A *near* prior is off by a normal error of 0.05 in each coordinate, a *wrong* one is the
corner of the cube that is farthest from the optimum. The settings of `prior_draws.py` were chosen
on the functions of ``--tuned`` with seeds below 100; the others are printed without it, with seeds
from 1000 on.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from random import Random
from statistics import mean, median

from sweep.search.searchers.optuna_samplers import tpe
from sweep.search.searchers.optuna_search import OptunaSearch
from sweep.search.searchers.random_search import RandomSearch
from sweep.search.searchers.searcher import Searcher
from sweep.spec.space.distributions import Uniform
from sweep.spec.space.priors import Prior, Sureness
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.record import Outcome, Status, TrialRecord

Point = Sequence[float]
Function = Callable[[Point], float]

TRIALS = 40
EARLY = 20
ERROR = 0.05
"""Standard deviation of the error of a near prior in each coordinate."""
NEAR = 0.01
"""How near to the best score a trial has reached it."""


def bowl(best: Point) -> Function:
    """A parabola."""
    return lambda x: 1 - 6 * mean((a - b) ** 2 for a, b in zip(x, best, strict=True))


def ridge(best: Point) -> Function:
    """A parabola along whose diagonal little changes."""

    def score(x: Point) -> float:
        off = [a - b for a, b in zip(x, best, strict=True)]
        along = sum(off) / len(off)
        return 1 - 2 * along**2 - 12 * mean((one - along) ** 2 for one in off)

    return score


def ripples(best: Point) -> Function:
    """A parabola with local optima (Rastrigin)."""

    def score(x: Point) -> float:
        off = [a - b for a, b in zip(x, best, strict=True)]
        return 1 - mean(4 * o**2 + 0.15 * (1 - math.cos(6 * math.pi * o)) for o in off)

    return score


def cliff(best: Point) -> Function:
    """It rises towards an edge in the first coordinate, beyond which all fails."""

    def score(x: Point) -> float:
        if x[0] > best[0] + 0.05:
            return -1.0
        return 1 - 5 * mean((a - b) ** 2 for a, b in zip(x, best, strict=True))

    return score


def peak(best: Point) -> Function:
    """Ackley's function: nearly flat far away, steep near the optimum."""

    def score(x: Point) -> float:
        off = [8 * (a - b) for a, b in zip(x, best, strict=True)]
        far = math.sqrt(mean(o**2 for o in off))
        waves = mean(math.cos(2 * math.pi * o) for o in off)
        return 1 - (20 * (1 - math.exp(-0.2 * far)) + math.e - math.exp(waves)) / 12

    return score


def valley(best: Point) -> Function:
    """Rosenbrock's curved valley."""

    def score(x: Point) -> float:
        z = [1 + 2 * (a - b) for a, b in zip(x, best, strict=True)]
        return 1 - sum(20 * (b - a * a) ** 2 + (1 - a) ** 2 for a, b in pairwise(z)) / 40

    return score


def plateaus(best: Point) -> Function:
    """Steps, as of settings that act in thresholds."""

    def score(x: Point) -> float:
        return 1 - mean(math.floor(9 * abs(a - b)) / 4 for a, b in zip(x, best, strict=True))

    return score


def kink(best: Point) -> Function:
    """A cone, steepest in its first coordinate."""

    def score(x: Point) -> float:
        return 1 - sum(
            2.5 / 2**n * abs(a - b) for n, (a, b) in enumerate(zip(x, best, strict=True))
        )

    return score


TUNED: dict[str, tuple[Callable[[Point], Function], int]] = {
    "bowl": (bowl, 2),
    "ridge": (ridge, 3),
    "ripples": (ripples, 2),
    "cliff": (cliff, 3),
}
UNSEEN: dict[str, tuple[Callable[[Point], Function], int]] = {
    "peak": (peak, 2),
    "valley": (valley, 2),
    "plateaus": (plateaus, 3),
    "kink": (kink, 4),
}
BELIEFS: dict[str, tuple[str, Sureness]] = {
    "none": ("none", "medium"),
    "near, low": ("near", "low"),
    "near, medium": ("near", "medium"),
    "near, high": ("near", "high"),
    "wrong, medium": ("wrong", "medium"),
    "wrong, high": ("wrong", "high"),
}


def curve(
    make: Callable[[Point], Function], axes: int, belief: str, sure: Sureness, seed: int, name: str
) -> list[float]:
    """Best score after each trial of one search."""
    rng = Random(f"optimum-{seed}")
    best = [rng.uniform(0.1, 0.9) for _ in range(axes)]
    off = [min(max(b + rng.gauss(0, ERROR), 0.0), 1.0) for b in best]
    likely = {"near": off, "wrong": [float(b < 0.5) for b in best]}.get(belief)
    space = {
        f"x{n}": Uniform(0.0, 1.0, prior=Prior(likely[n], sure) if likely else None)
        for n in range(axes)
    }
    searcher: Searcher = (
        RandomSearch(space, seed) if name == "random" else OptunaSearch(space, seed, tpe(10))
    )
    function, reached = make(best), []
    for number in range(TRIALS):
        parameters = searcher.ask(number)
        assert parameters is not None
        value = function([float(str(one)) for one in parameters.values()])
        reached.append(max(value, *reached[-1:]) if reached else value)
        searcher.tell(
            TrialRecord(
                trial_id=f"t{number:04}",
                number=number,
                parameters=parameters,
                history=(EpochMetrics(epoch=0, val_dice=(value + 3) / 4),),
                outcome=Outcome(status=Status.COMPLETED),
            )
        )
    return reached


def first_near(reached: Sequence[float]) -> int:
    """Trials until the best score is near; one more than there are if it never is."""
    return next((n for n, best in enumerate(reached, 1) if best >= 1 - NEAR), TRIALS + 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=12)
    parser.add_argument("--searcher", choices=("tpe", "random"), default="tpe")
    parser.add_argument("--tuned", action="store_true", help="the functions it was chosen on")
    options = parser.parse_args()
    functions, first = (TUNED, 0) if options.tuned else (UNSEEN, 1000)
    seeds = range(first, first + options.seeds)
    print(f"| prior | trials to within {NEAR} (median) | reached in {TRIALS} trials |", end="")
    print(f" short of the best after {EARLY} | after {TRIALS} |\n|---|---|---|---|---|")
    for title, (belief, sure) in BELIEFS.items():
        curves = [
            curve(make, axes, belief, sure, seed, options.searcher)
            for make, axes in functions.values()
            for seed in seeds
        ]
        needed = [first_near(one) for one in curves]
        share = mean(n <= TRIALS for n in needed)
        short = [mean(1 - one[n - 1] for one in curves) for n in (EARLY, TRIALS)]
        print(f"| {title} | {median(needed):g} | {share:.0%} | {short[0]:.3f} | {short[1]:.3f} |")


if __name__ == "__main__":
    main()
