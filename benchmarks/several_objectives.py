"""What rungs by fronts save where a sweep has two objectives, and what of the front they lose.

    python benchmarks/several_objectives.py [--seeds 12] [--first-seed 5000] [--epochs 100]

Sweeps of 48 trials, two at a time, through the real controller, as in `default_search.py`. A world
is a pair of its landscapes over the same parameters: the first is the Dice, the second an NSD whose
best parameters lie elsewhere. All worlds are new: nothing was chosen on them.

- *no rungs*: ``scheduler: none``, all trials are trained. With ``tpe`` and ``random``.
- *default*: ``tpe`` and ``asha``, by fronts at each rung. *random* and *pause: true* likewise.
- *script*: Ray's OptunaSearch with both metrics, and its ASHAScheduler by Dice alone, the only way
  it has. Each rung keeps a quarter, Ray's default.

*Volume* is the hypervolume above (0.86, 0.86) of the front that a sweep names, its trials with what
they reach under full training, over that of ``tpe`` without rungs on the same seed; *least* is that
of the worst sweep. *Of its own* is it over the front of all trials that this sweep started: what
pruning lost. *Dice*, *NSD* behind: the best of the named front below the best of ``tpe`` without
rungs.
"""

from __future__ import annotations

import argparse
import logging
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import optuna
from default_search import Came, ours, script
from tables import Curve
from worlds import Landscape, Parameters

from sweep.engine.decisions import sweep_controller
from sweep.vocabulary.dominance import Point, unbeaten
from sweep.vocabulary.epoch_metrics import EpochMetrics

LEAST = 0.86
BOTH = {
    "objective": ["val_dice", "nsd"],
    "evaluation": {"metrics": ["nsd"]},
    "trials": 48,
}
VARIANTS: Mapping[str, Mapping[str, Any]] = {
    "no rungs": {"scheduler": "none"},
    "default": {},
    "pause: true": {"scheduler": {"name": "asha", "pause": True}},
    "random, no rungs": {"searcher": "random", "scheduler": "none"},
    "random": {"searcher": "random"},
}


@dataclass(frozen=True, slots=True)
class TwoCurves(Curve):
    """A trial with a second metric of each epoch."""

    second: tuple[float, ...] = ()

    def upto(self, epoch: int) -> Point:
        """Both values in the epoch of the best Dice so far."""
        best = max(range(epoch + 1), key=lambda one: self.dice[one])
        return self.dice[best], self.second[best]


class Pair:
    """Two landscapes over the same parameters; a trial diverges where it does in the first."""

    def __init__(self, seed: int, epochs: int) -> None:
        self._first, self._second = Landscape(seed, epochs), Landscape(seed + 100_000, epochs)
        self.spec = {**self._first.spec, **BOTH}

    def curve(self, parameters: Parameters) -> TwoCurves:
        dice, nsd = self._first.curve(parameters), self._second.curve(parameters)
        second = nsd.dice[: len(dice.dice)]
        return TwoCurves(dice.warmup, dice.dice[: len(second)], dice.diverged, second)


@dataclass
class Seen(Came):
    """A sweep with what each trial had come to when it ended."""

    reached: dict[TwoCurves, int] = field(default_factory=dict)

    def see(self, curve: Curve, epoch: int) -> None:
        assert isinstance(curve, TwoCurves)
        self.epochs += 1
        self.reached[curve] = epoch

    def named(self) -> list[Point]:
        """The front that the sweep names, with what its trials reach under full training."""
        ranked = [curve for curve in self.reached if not curve.diverged]
        points = [curve.upto(self.reached[curve]) for curve in ranked]
        return [
            curve.upto(len(curve.dice) - 1)
            for curve, best in zip(ranked, unbeaten(points), strict=True)
            if best
        ]

    def possible(self) -> list[Point]:
        """What all of its trials reach under full training."""
        return [curve.upto(len(curve.dice) - 1) for curve in self.reached if not curve.diverged]


def volume(points: list[Point]) -> float:
    """The area that the points beat, above `LEAST` in both."""
    area, height = 0.0, LEAST
    for x, y in sorted(points, reverse=True):
        if x > LEAST and y > height:
            area += (x - LEAST) * (y - height)
            height = y
    return area


def epoch_of(curve: Curve, epoch: int) -> EpochMetrics:
    assert isinstance(curve, TwoCurves)
    metrics = {"nsd": curve.second[epoch]}
    return EpochMetrics(epoch=epoch, val_dice=curve.dice[epoch], metrics=metrics)


def result_of(curve: Curve, epoch: int) -> dict[str, float]:
    assert isinstance(curve, TwoCurves)
    return {"dice": curve.dice[epoch], "nsd": curve.second[epoch]} if curve.dice else {}


def sweeps(seed: int, epochs: int) -> dict[str, Seen]:
    """A sweep of each variant in the world of one seed."""
    world = Pair(seed, epochs)
    found: dict[str, Seen] = {}
    for name, changes in VARIANTS.items():
        found[name] = Seen()
        ours(world, seed, {**changes, "trials": 48}, found[name], epoch_of)
    found["script"] = Seen()
    script(world, seed, found["script"], result_of, ["dice", "nsd"])
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=12)
    parser.add_argument("--first-seed", type=int, default=5000)
    parser.add_argument("--epochs", type=int, default=100)
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    warnings.filterwarnings("ignore")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sweep_controller.to_yaml = lambda _: ""  # no worker reads a configuration here
    seeds = range(arguments.first_seed, arguments.first_seed + arguments.seeds)
    all_sweeps = [sweeps(seed, arguments.epochs) for seed in seeds]
    print(
        "| variant | epochs | fewer epochs | volume | least | of its own | Dice behind | NSD behind"
        " |\n|---|---|---|---|---|---|---|---|"
    )
    for name in all_sweeps[0]:
        pairs = [(found["no rungs"], found[name]) for found in all_sweeps]
        share = [volume(one.named()) / volume(whole.named()) for whole, one in pairs]
        own = [volume(one.named()) / volume(one.possible()) for _, one in pairs]
        behind = [
            np.max(whole.named(), axis=0) - np.max(one.named(), axis=0) for whole, one in pairs
        ]
        dice, nsd = np.mean(behind, axis=0)
        print(
            f"| {name} | {np.mean([one.epochs for _, one in pairs]):.0f}"
            f" | {np.mean([whole.epochs / one.epochs for whole, one in pairs]):.2f}"
            f" | {np.mean(share):.2f} | {np.min(share):.2f} | {np.mean(own):.2f}"
            f" | {dice:.4f} | {nsd:.4f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
