"""How often `stop_when` ends a search while there is still something to find.

    python benchmarks/search_end.py
    python benchmarks/search_end.py --drawn      # only the last table, half a minute

The rule of `sweep.engine.decisions.search_end` on sweeps that are known to their last trial: those
of `search.py` (120 trials, by TPE or at random, under ASHA), those of `populations.py` (random, 120
trials), and recorded ones in random orders. For each: how many searches it ended, the share of the
trials that were started, how often one of the next 20 trials was better by more than 0.002, how
often any of the rest was, and the mean Dice that all of the rest would have added. Beside it, what
the rule said: its mean chance in all sweeps after 20, 25, … trials, and how often it came true.

A row for each rule: `stop_when`, the same with a chance of 0.1, and the end after 20 or 40 trials
without an improvement of more than 0.002.

The last table is of values that are drawn from one distribution (`DRAWN`), whose true chance is
known. Beside the rule stands one that knows no distribution: of n + k values in any order, the k
hold all J that are within 0.002 of the best with a chance of about (k / (n + k))^J.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from populations import OTHERS
from search import SPACE, Ours
from search import run as run_search
from tables import tables

from sweep.analysis.ranking.further_improvement import LEARNS, chance_of_improvement
from sweep.engine.decisions.search_end import IN_A_ROW
from sweep.search.searchers.optuna_samplers import tpe
from sweep.search.searchers.optuna_search import OptunaSearch
from sweep.search.searchers.random_search import RandomSearch
from sweep.search.searchers.searcher import Searcher
from sweep.vocabulary.record import Status

Array = NDArray[np.float64]

IMPROVEMENT, WITHIN, AFTER, TRIALS = 0.002, 20, 20, 120

Ends = Sequence[tuple[float, bool]]
"""The trials of a sweep as they end: best Dice (0 where it diverged), whether it is complete."""


class Noted(Ours):
    """Notes how its trials end."""

    def __init__(self, searcher: Searcher) -> None:
        super().__init__(searcher)
        self.ends: list[tuple[float, bool]] = []

    def _tell(self, number: int, status: Status) -> None:
        dice = [epoch.val_dice or 0.0 for epoch in self._history[number]]
        best = 0.0 if status is Status.DIVERGED else max(dice)
        self.ends.append((best, status is Status.COMPLETED))
        super()._tell(number, status)


def searched(make: Callable[[int], Searcher], seeds: range) -> Iterator[Ends]:
    for seed in seeds:
        noted = Noted(make(seed))
        run_search(noted, TRIALS)
        yield noted.ends


def populations(seeds: range) -> Iterator[Ends]:
    for population in OTHERS.values():
        for seed in seeds[: max(1, len(seeds) // 5)]:
            trials = replace(population, trials=TRIALS).draw(seed).trials
            yield [(trial.best, not trial.diverged) for trial in trials]


def recorded(seeds: range) -> Iterator[Ends]:
    for table in tables("unseen").values():
        for seed in seeds[: max(1, len(seeds) // 5)]:
            order = np.random.default_rng(seed).permutation(len(table.trials))
            trials = [table.trials[place] for place in order]
            yield [(trial.best, not trial.diverged) for trial in trials]


def by_chance(ends: Ends, learns: int) -> list[float]:
    """What the rule says after each number of trials; 1 where it says nothing."""
    scores = [dice if whole else None for dice, whole in ends]
    said = [
        chance_of_improvement(scores[:count], IMPROVEMENT, WITHIN * learns)
        for count in range(AFTER, len(ends))
    ]
    return [1.0] * AFTER + [1.0 if chance is None else chance for chance in said]


def end_by_chance(chances: Sequence[float], below: float) -> int | None:
    low = 0
    for count, chance in enumerate(chances):
        low = low + 1 if chance < below else 0
        if low == IN_A_ROW:
            return count
    return None


def end_by_patience(ends: Ends, patience: int) -> int | None:
    best, since = -1.0, 0
    for count, (dice, _) in enumerate(ends, start=1):
        best, since = (dice, 0) if dice > best + IMPROVEMENT else (best, since + 1)
        if count >= AFTER and since >= patience:
            return count
    return None


@dataclass
class Tally:
    """What one rule came to over all sweeps of a kind."""

    ended: int = 0
    share: float = 0.0
    soon: int = 0
    ever: int = 0
    lost: float = 0.0
    sweeps: int = 0

    def add(self, ends: Ends, count: int | None) -> None:
        dice = [best for best, _ in ends]
        self.sweeps += 1
        self.share += 1.0 if count is None else count / len(ends)
        if count is None or count >= len(ends):
            return
        reached = max(dice[:count])
        self.ended += 1
        self.soon += max(dice[count : count + WITHIN]) > reached + IMPROVEMENT
        self.ever += max(dice[count:]) > reached + IMPROVEMENT
        self.lost += max(0.0, max(dice[count:]) - reached)

    @property
    def cells(self) -> str:
        of = max(1, self.ended)
        return (
            f"{self.ended} of {self.sweeps} | {self.share / self.sweeps:.2f}"
            f" | {100 * self.soon / of:.0f} % | {100 * self.ever / of:.0f} %"
            f" | {self.lost / self.sweeps:.4f}"
        )


Drawing = Callable[[np.random.Generator, tuple[int, ...]], Array]
DRAWN: Mapping[str, Drawing] = {
    "normal": lambda rng, shape: rng.normal(0.9, 0.01, shape),
    "beta(8, 1)": lambda rng, shape: rng.beta(8, 1, shape),
    "uniform": lambda rng, shape: rng.uniform(0.8, 0.92, shape),
    "heavy tails (t, 3)": lambda rng, shape: 0.85 + 0.01 * rng.standard_t(3, shape),
    "exponential": lambda rng, shape: 0.8 + rng.exponential(0.01, shape),
    "a plateau, 30 % fall off": lambda rng, shape: np.where(
        rng.random(shape) < 0.7, rng.normal(0.9, 0.0015, shape), rng.uniform(0.1, 0.8, shape)
    ),
    "3 % are 0.04 better": lambda rng, shape: np.where(
        rng.random(shape) < 0.03, rng.normal(0.9, 0.004, shape), rng.normal(0.86, 0.01, shape)
    ),
    "1 % are 0.01 better": lambda rng, shape: np.where(
        rng.random(shape) < 0.01, rng.normal(0.9, 0.004, shape), rng.normal(0.89, 0.002, shape)
    ),
    "in steps of 0.01": lambda rng, shape: np.round(rng.normal(0.88, 0.015, shape), 2),
    "unseen: beta(8, 1) in steps of 0.02": lambda rng, shape: (
        np.round(rng.beta(8, 1, shape) * 50) / 50
    ),
    "unseen: uniform in steps of 0.01": lambda rng, shape: np.round(
        rng.uniform(0.8, 0.92, shape), 2
    ),
    "unseen: exponential in steps of 0.01": lambda rng, shape: np.round(
        0.8 + rng.exponential(0.01, shape), 2
    ),
    "unseen: heavy tails (t, 3) in steps of 0.01": lambda rng, shape: np.round(
        0.85 + 0.01 * rng.standard_t(3, shape), 2
    ),
    "unseen: a plateau in steps of 0.005": lambda rng, shape: (
        np.round(200 * DRAWN["a plateau, 30 % fall off"](rng, shape)) / 200
    ),
    "unseen: distances in whole pixels": lambda rng, shape: (
        -np.round(np.exp(rng.normal(1.5, 0.4, shape)))
    ),
    "unseen: 10 % are 0.2 better": lambda rng, shape: np.where(
        rng.random(shape) < 0.1, rng.normal(0.9, 0.01, shape), rng.normal(0.7, 0.01, shape)
    ),
    "5 % learn at all": lambda rng, shape: np.where(
        rng.random(shape) < 0.05, rng.normal(0.8, 0.03, shape), rng.uniform(0, 0.1, shape)
    ),
    "unseen: 3 % learn at all, skewed": lambda rng, shape: np.where(
        rng.random(shape) < 0.03,
        1 - 0.15 * np.exp(rng.normal(0, 0.4, shape)),
        rng.exponential(0.02, shape),
    ),
    "unseen: 10 % learn, 10 % half of it": lambda rng, shape: np.select(
        [rng.random(shape) < 0.1, rng.random(shape) < 0.1],
        [rng.normal(0.85, 0.01, shape), rng.normal(0.4, 0.05, shape)],
        rng.uniform(0, 0.05, shape),
    ),
    "unseen: no bound (Cauchy)": lambda rng, shape: 0.8 + 0.002 * rng.standard_cauchy(shape),
    "unseen: a ceiling, noise 0.004": lambda rng, shape: (
        0.92
        - rng.exponential(0.02, shape) * (rng.random(shape) < 0.6)
        + rng.normal(0, 0.004, shape)
    ),
    "unseen: the logistic of a normal": lambda rng, shape: (
        1 / (1 + np.exp(-rng.normal(1.75, 0.5, shape)))
    ),
    "unseen: two cases in steps of a tenth": lambda rng, shape: (
        np.round(10 * rng.normal(0.8, 0.06, (2, *shape))).mean(axis=0) / 10
    ),
    "a ceiling of 0.99, in steps of 0.01": lambda rng, shape: np.round(
        np.minimum(0.99, rng.normal(0.97, 0.02, shape)), 2
    ),
    "unseen: a ceiling of 0.96, in steps of 0.004": lambda rng, shape: (
        np.round(250 * np.minimum(0.96, 0.7 + 0.3 * rng.beta(6, 1.5, shape))) / 250
    ),
    "unseen: at most 17 of 20 cases": lambda rng, shape: (
        np.minimum(17, rng.binomial(20, 0.8, shape)) / 20
    ),
    "unseen: shares of 20 cases": lambda rng, shape: rng.binomial(20, 0.6, shape) / 20,
    "unseen: 30 settings, no noise": lambda rng, shape: np.random.default_rng(3).normal(
        0.9, 0.01, 30
    )[rng.integers(0, 30, shape)],
    "a peak over 2 parameters": lambda rng, shape: (
        0.9 - 0.4 * ((rng.random((2, *shape)) - 0.5) ** 2).sum(axis=0) + rng.normal(0, 0.002, shape)
    ),
}


def drawn(tries: int = 100) -> None:
    print(
        "\n| values | true | said | error | without a distribution | error | said below 0.1: true |"
    )
    print("|---|---|---|---|---|---|---|")
    for name, draw in DRAWN.items():
        rng, found = np.random.default_rng(1000), []
        for count in np.repeat((20, 40, 80), tries):
            values = draw(rng, (int(count),))
            further = draw(rng, (1000, WITHIN)).max(axis=1) - 1e-9
            near = int((values >= values.max() - IMPROVEMENT).sum())
            said = chance_of_improvement(values.tolist(), IMPROVEMENT, WITHIN, 1.0)
            free = (WITHIN / (count + WITHIN)) ** near
            found.append((np.mean(further > values.max() + IMPROVEMENT), said, free))
        true, said, free = np.array(found, dtype=float).T
        low = said < 0.1
        errors = [f"{np.mean((one - true) ** 2) ** 0.5:.2f}" for one in (said, free)]
        below = (
            f"{said[low].mean():.2f}: {true[low].mean():.2f} ({low.sum()})" if low.any() else "–"
        )
        print(
            f"| {name} | {true.mean():.2f} | {said.mean():.2f} | {errors[0]} | {free.mean():.2f} |"
            f" {errors[1]} | {below} |",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--first", type=int, default=1000, help="first seed; chosen on 0 to 39")
    parser.add_argument("--seeds", type=int, default=40)
    parser.add_argument("--drawn", action="store_true", help="print only the last table")
    chosen = parser.parse_args()
    if chosen.drawn:
        drawn()
        return
    seeds = range(chosen.first, chosen.first + chosen.seeds)
    kinds: Mapping[str, tuple[int, Iterator[Ends]]] = {
        "TPE": (LEARNS, searched(lambda seed: OptunaSearch(SPACE, seed, tpe(10)), seeds)),
        "random": (1, searched(lambda seed: RandomSearch(SPACE, seed), seeds)),
        "populations": (1, populations(seeds)),
        "recorded": (1, recorded(seeds)),
    }
    print("| sweeps | rule | ended | trials started | better in 20 | better ever | Dice lost |")
    print("|---|---|---|---|---|---|---|")
    calibration = []
    for kind, (learns, sweeps) in kinds.items():
        tallies = {
            rule: Tally() for rule in ("chance 0.05", "chance 0.1", "patience 20", "patience 40")
        }
        said: list[tuple[float, bool]] = []
        for ends in sweeps:
            chances = by_chance(ends, learns)
            for rule, tally in tallies.items():
                name, value = rule.split()
                found = (
                    end_by_chance(chances, float(value))
                    if name == "chance"
                    else end_by_patience(ends, int(value))
                )
                tally.add(ends, found)
            dice = [best for best, _ in ends]
            said += [
                (chances[n], max(dice[n : n + WITHIN]) > max(dice[:n]) + IMPROVEMENT)
                for n in range(AFTER, len(ends) - WITHIN + 1, 5)
            ]
        for rule, tally in tallies.items():
            print(f"| {kind} | {rule} | {tally.cells} |")
        for low, high in ((0, 0.05), (0.05, 0.1), (0.1, 0.2), (0.2, 0.4), (0.4, 1)):
            inside = [(chance, came) for chance, came in said if low <= chance < high]
            if inside:
                mean, true = np.mean(inside, axis=0)
                calibration.append(f"| {kind} | {mean:.2f} | {true:.2f} | {len(inside)} |")
    print("\n| sweeps | chance said | came true | estimates |\n|---|---|---|---|")
    print("\n".join(calibration))
    drawn()


if __name__ == "__main__":
    main()
