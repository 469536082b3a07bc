"""Whether what is said of the one that was picked holds: of the first finalist, of extreme rates.

    python benchmarks/picked.py [SECTION …] [--real FOLDER]     # a minute on one core

An interval holds for what was named beforehand. The first of k finalists is the one whose mean is
the highest, often by luck, and its interval would lie too high. Sections:

- *first*: made-up finalists as in `confirmation.py`, on one fold. Share of 95 % intervals of the
  first that hold its mean: those of the product, and Student's own, which they were at first.
  *Unequal*: true means, and what all finalists share on a seed, vary half as much as runs do;
- *races*: the same for the first of a race of the product;
- *unseen*: a share of the runs of every finalist collapses. Where none of the first's did, up to
  how many of its runs may do so is said with 95 % confidence: share of samples in which that is
  too few, or which say nothing although the interval is wrong;
- *extremes*: trials diverge with a known probability in each of k ranges of a parameter. Share of
  90 % intervals of the range with the most (fewest) divergences that hold its probability.

``--real``: published trainings of nnU-Net (see `real_trainings.py`). *folds* deals the real cases
of a dataset anew into folds, with replacement, and makes six finalists of its three architectures,
each twice: what holds of the mean over folds is known, because the dataset is the population.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import cache
from itertools import combinations, product
from pathlib import Path
from typing import cast

import numpy as np
from confirmation import NOISES, Array, Noise
from races import Run
from real_trainings import cases_of, read_real, table_of_real
from scipy.special import expit, stdtrit

from sweep.analysis.confirm.paired_statistics import mean_interval, most_unseen
from sweep.analysis.confirm.race import RacePlan, Runs, race, scores_on
from sweep.analysis.divergence_rates import DivergenceRate, Exposure, rate_of
from sweep.vocabulary.record import Status

SAMPLES = 1000
CHOSEN_ON, UNSEEN = 21, 22
FINALISTS, SEEDS = (2, 6, 10), (3, 5, 10)

BIMODAL: Noise = lambda rng, shape: (  # noqa: E731
    rng.standard_normal(shape) - 30 * ((rng.random(shape) < 0.1) - 0.1)
)
COARSE: Noise = lambda rng, shape: np.round(rng.standard_normal(shape))  # noqa: E731


def centred(draw: Noise) -> Noise:
    """With the mean 0 and the deviation 1, of 2,000,000 draws."""
    many = draw(np.random.default_rng(0), (2_000_000,))
    return lambda rng, shape: (draw(rng, shape) - many.mean()) / many.std()


AT_CEILING: dict[str, Noise] = {
    "a ceiling, met by every second run": lambda rng, n: np.minimum(0, rng.standard_normal(n)),
    "a ceiling, met by three of four": lambda rng, n: np.minimum(-0.67, rng.standard_normal(n)),
    "Dice as beta(60, 1.5), to 0.001": lambda rng, n: np.round(rng.beta(60, 1.5, n), 3),
    "Dice as a logistic, around 0.99": lambda rng, n: expit(4.6 + rng.standard_normal(n)),
    "shares of 50 cases, 98.5 % right": lambda rng, n: rng.binomial(50, 0.985, n) / 50,
}  # fmt: skip
"""Runs near the best that there is, drawn after the rule of the interval had been fixed."""


def held(values: Array, means: Array) -> tuple[Array, Array]:
    """Whether the interval of the first holds its mean, of the product and Student's own.

    Samples whose first has runs that are all the same have no interval, and are left out.

    Args:
        values: ``[samples, units, finalists]``.
        means: true ones, ``[samples or 1, finalists]``.
    """
    n, count = values.shape[1:]
    first = values.mean(axis=1).argmax(axis=1)
    own = np.take_along_axis(values, first[:, None, None], axis=2)[:, :, 0]
    true = np.take_along_axis(np.broadcast_to(means, (len(values), count)), first[:, None], axis=1)
    ends = np.array(
        [
            mean_interval(row, among=every)
            for row, every in zip(own.tolist(), values.swapaxes(1, 2).tolist(), strict=True)
        ]
    )
    inside = (ends[:, 0] <= true[:, 0]) & (true[:, 0] <= ends[:, 1])
    margin = stdtrit(n - 1, 0.975) * own.std(axis=1, ddof=1) / n**0.5
    has = np.ptp(own, axis=1) > 1e-12
    return inside[has], (abs(own.mean(axis=1) - true[:, 0]) <= margin)[has]


def first() -> None:
    print("Share of 95 % intervals of the first that hold its mean (Student's own, as before)\n")
    heads = [f"{what}, {n} seeds" for what in ("all equal", "unequal") for n in SEEDS]
    print(f"| noise | finalists | {' | '.join(heads)} |\n|---|---|{'---|' * len(heads)}")
    populations: list[tuple[str, Noise, int]] = [("chosen on: normal", NOISES["normal"], CHOSEN_ON)]
    populations += [(f"unseen: {name}", noise, UNSEEN) for name, noise in NOISES.items()]
    populations += [("unseen: in steps of one deviation", COARSE, UNSEEN)]
    populations += [("unseen: every tenth loses 30", BIMODAL, UNSEEN)]
    populations += [
        (f"unseen: {name}", centred(noise), UNSEEN) for name, noise in AT_CEILING.items()
    ]
    for (name, noise, seed), count in product(populations, FINALISTS):
        rng, cells = np.random.default_rng(seed), []
        for spread, n in product((0.0, 0.5), SEEDS):
            means = spread * rng.standard_normal((SAMPLES, count))
            shared = spread * rng.standard_normal((SAMPLES, n, 1))
            values = means[:, None] + shared + noise(rng, (SAMPLES, n, count))
            cells.append("{:.2f} ({:.2f})".format(*map(np.mean, held(values, means))))
        print(f"| {name} | {count} | {' | '.join(cells)} |", flush=True)


def races(tries: int = 1000) -> None:
    print("The same for the first of a race of six, on one fold\n")
    print("| noise | spread | 5 seeds | 10 seeds |\n|---|---|---|---|")
    for (name, noise), spread in product(
        ((n, NOISES[n]) for n in ("normal", "heavy tails (t, 3)", "skewed as Dice")), (0.0, 1.0)
    ):
        rng, cells = np.random.default_rng(UNSEEN), []
        for seeds in (5, 10):
            hits = np.zeros(2)
            for _ in range(tries):
                means = spread * rng.standard_normal(6)
                values = means + noise(rng, (seeds, 6))
                place, every = race_of(values)
                for rule, among in enumerate((every, ())):
                    low, high = mean_interval(every[place], 3, among=among)
                    hits[rule] += low <= means[place] <= high
            cells.append("{:.2f} ({:.2f})".format(*hits / tries))
        print(f"| {name} | {spread:g} | {' | '.join(cells)} |", flush=True)


def unseen(tries: int = 20_000) -> None:
    print(
        "\nShare of samples in which more runs collapse than is said to be possible: finalists of"
    )
    print("which so many runs lose 0.3 (by the number of runs alone, as before)\n")
    print(f"| finalists | lose 0.3 | {' | '.join(f'{n} seeds' for n in SEEDS)} |")
    print(f"|---|---|{'---|' * len(SEEDS)}")
    rng = np.random.default_rng(UNSEEN)
    for count, share in product((1, *FINALISTS), (0.1, 0.3, 0.5, 0.7)):
        cells = []
        for n in SEEDS:
            lost = rng.random((tries, n, count)) < share
            values = 0.9 + 0.01 * rng.standard_normal(lost.shape) - 0.3 * lost
            place = values.mean(axis=1).argmax(axis=1)
            none = ~np.take_along_axis(lost, place[:, None, None], axis=2).any(axis=(1, 2))
            wrong = [np.mean(none & (share > most_unseen(n, of))) for of in (count, 1)]
            cells.append("{:.2f} ({:.2f})".format(*wrong))
        print(f"| {count} | {share:.0%} | {' | '.join(cells)} |", flush=True)


RATES: dict[str, Callable[[int], Array]] = {
    "all 0.1": lambda k: np.full(k, 0.1),
    "all 0.3": lambda k: np.full(k, 0.3),
    "all 0.6": lambda k: np.full(k, 0.6),
    "0.05 to 0.8": lambda k: np.linspace(0.05, 0.8, k),
    "one 0.8, others 0.2": lambda k: np.where(np.arange(k) == 0, 0.8, 0.2),
}


@cache
def _rate(epochs: tuple[int, ...], among: int) -> DivergenceRate:
    """Args: epoch of each trial's divergence, negative where it was pruned, 0 if it completed."""
    return rate_of([Exposure(abs(n) or 30, 30, n > 0) for n in epochs], among)


def extremes(tries: int = 3000) -> None:
    print(
        "\nShare of 90 % intervals of the range with the most and the fewest divergences that hold,"
    )
    print("the least of five kinds of probabilities (of one range alone, as before)\n")
    print("| ranges | trials each | 2/3 pruned at epoch 6 | most | fewest |\n|---|---|---|---|---|")
    for k, n, pruned in product((2, 5, 8), (4, 8, 20), (False, True)):
        found = [_extremes(make(k), n, pruned, tries) for make in RATES.values()]
        most, alone, fewest, both = np.min(found, axis=0)
        print(
            f"| {k} | {n} | {'yes' if pruned else 'no'} | {most:.2f} ({alone:.2f})"
            f" | {fewest:.2f} ({both:.2f}) |",
            flush=True,
        )


def _extremes(true: Array, n: int, pruned: bool, tries: int) -> Array:
    """Coverage of the most by the product, alone, and of the fewest likewise."""
    rng, hits = np.random.default_rng(UNSEEN), np.zeros(4)
    k = len(true)
    for _ in range(tries):
        died = (rng.random((k, n)) < true[:, None]) * rng.integers(1, 31, (k, n))
        if pruned:
            cut = (rng.random((k, n)) < 2 / 3) & ((died == 0) | (died > 6))
            died = np.where(cut, -6, died)
        epochs = [tuple(sorted(row)) for row in died.tolist()]
        means = [_rate(row, 1).mean for row in epochs]
        ends = int(np.argmax(means)), int(np.argmin(means))
        for column, (place, among) in enumerate(product(ends, (k, 1))):
            low, high = _rate(epochs[place], among).interval
            hits[column] += low - 1e-9 <= true[place] <= high + 1e-9
    return hits / tries


def race_of(values: Array) -> tuple[int, list[list[float]]]:
    """The first of a race of ``values`` ``[seeds, finalists]``, and the scores of each finalist."""
    blocks = tuple((seed, 0) for seed in range(len(values)))
    ids = [str(n) for n in range(values.shape[1])]
    runs = {
        (name, block): Run(float(values[block[0], int(name)]), Status.COMPLETED)
        for name, block in product(ids, blocks)
    }
    raced = race(RacePlan(blocks, values.size, worst=None), ids, cast(Runs, runs))
    done = {one: raced.dropped[one].after if one in raced.dropped else len(raced.looks)
            for one in ids}  # fmt: skip
    scores = [scores_on(one, blocks[: done[one]], cast(Runs, runs))[0] for one in ids]
    return int(raced.order[0]), [[*own.values()] for own in scores]


def folds(folder: Path, tries: int = 2000) -> None:
    print("\nReal trainings, their cases dealt anew: the mean over folds, and its interval\n")
    print("| dataset | cases | first of six (Student's own) | one of them | real folds, 3 of 5 |")
    print("|---|---|---|---|---|")
    for name, architectures in read_real(folder):
        by_case = [cases_of(one) for one in architectures.values()]
        shared = sorted(set.intersection(*(set(one) for one in by_case)))
        table = np.array([[one[case] for one in by_case] for case in shared])  # [cases, 3]
        table = np.repeat(table, 2, axis=1)
        rng = np.random.default_rng(UNSEEN)
        size = len(table) // 5 * 5
        drawn = rng.integers(len(table), size=(tries, 5, size // 5))
        values = table[drawn].mean(axis=2) + 0.01 * rng.standard_normal((tries, 5, 6))
        means = table.mean(axis=0)[None]
        ours, alone = held(values, means)
        ends = np.array([mean_interval(row) for row in values[:, :, 0].tolist()])
        one = (ends[:, 0] <= means[0, 0]) & (means[0, 0] <= ends[:, 1])
        real = table_of_real(architectures)  # [folds, 3]
        chosen = [real[list(three)] for three in combinations(range(5), 3)]
        inside = [
            low <= own <= high
            for part in chosen
            for own, row in zip(real.mean(axis=0), part.T, strict=True)
            for low, high in [mean_interval(row.tolist())]
        ]
        shares = [f"{np.mean(hits):.2f}" for hits in (ours, alone, one, inside)]
        print(f"| {name} | {len(table)} | {{}} ({{}}) | {{}} | {{}} |".format(*shares), flush=True)


SECTIONS: dict[str, Callable[[], None]] = {f.__name__: f for f in (first, races, unseen, extremes)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sections", nargs="*", metavar="section", default=[*SECTIONS])
    parser.add_argument("--real", metavar="FOLDER", type=Path)
    asked = parser.parse_args()
    for name in asked.sections:
        SECTIONS[name]()
    if asked.real:
        folds(asked.real)


if __name__ == "__main__":
    main()
