"""A race of finalists against the full table of their replicates: errors, power, trainings.

    python benchmarks/races.py [SECTION …] [--real FOLDER]

Made-up finalists as in `confirmation.py`, raced by the product's own code; a table of all blocks
stands beside each race. *First*: the race has the same first as the table. *Named*: where the table
names a winner, the race names the same one. A winner is *false* where nobody is the best.

`race_statistics.BORROWED` and `SHAPE` and `race.LEAST_PROSPECT` were chosen on the populations
marked *chosen on*; the others were drawn afterwards. The bound on p and the first look were chosen
later, on draws of their own, before all sections were run once more. ``--real``: a folder of
published nnU-Net trainings (`real_trainings.py`), raced over their folds in every order, and with
names dealt anew in each fold.

Sections: false, harder, levels, kinds, power, fields, diverged.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import permutations, product
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
from confirmation import NOISES, Array, Noise, compared, drawn
from real_trainings import read_real, table_of_real

from sweep.analysis.confirm import race_statistics
from sweep.analysis.confirm.paired_statistics import paired_p
from sweep.analysis.confirm.race import RacePlan, Runs, race, scores_on
from sweep.analysis.confirm.raced_comparison import raced_comparison
from sweep.vocabulary.record import Status

FAR = 15.0
CHOSEN_ON, UNSEEN = 11, 12


class Run(NamedTuple):
    """What a race reads of a replicate."""

    score: float | None
    status: Status


@dataclass(frozen=True)
class Result:
    """A race beside its table."""

    trainings: float
    """Share of the table's."""
    first: bool
    named: int | None
    by_table: int | None


def compare(values: Array, diverged: Array | None = None) -> Result:
    """Race ``values`` ``[seeds, folds, finalists]``; the table is compared as the product does.

    Args:
        diverged: of the same shape, which replicates diverged. The table then has those first of
            which the fewest did.
    """
    seeds, folds, count = values.shape
    blocks = tuple(product(range(seeds), range(folds)))
    ids = [str(n) for n in range(count)]
    lost = np.zeros(values.shape, bool) if diverged is None else diverged
    runs = cast(
        Runs,
        {
            (name, block): Run(None, Status.DIVERGED)
            if lost[(*block, n)]
            else Run(float(values[(*block, n)]), Status.COMPLETED)
            for n, name in enumerate(ids)
            for block in blocks
        },
    )
    found = race(RacePlan(blocks, len(blocks) * count, worst=None), ids, runs)
    order = [one for one in found.order if one in found.running or diverged is None]
    trained = {one: (d.after if (d := found.dropped.get(one)) else len(found.looks)) for one in ids}
    scores = [scores_on(one, blocks[: trained[one]], runs)[0] for one in order]
    comparison = raced_comparison(found, order, scores, by_fold=folds > 1)
    named = int(order[0]) if diverged is None and comparison.winner is not None else None
    masked = np.where(lost, np.nan, values)
    least = lost.sum(axis=(0, 1))
    mean = np.where(least == least.min(), np.nanmean(masked, axis=(0, 1)), -np.inf)
    table = None
    if diverged is None:
        table = int(mean.argmax()) if compared(values).winner is not None else None
    share = found.spent / (len(blocks) * count)
    return Result(share, int(order[0]) == int(mean.argmax()), named, table)


def summary(results: Iterable[Result], best: int | None = None) -> str:
    """Cells: share of the trainings, same first, named by table and race, the same where named."""
    every = list(results)
    by_table = [one for one in every if one.by_table is not None]
    same = [one.named == one.by_table for one in by_table]
    shares = [sum(x is not None and (best is None or x == best) for x in both) / len(every)
              for both in ([r.by_table for r in every], [r.named for r in every])]  # fmt: skip
    return (
        f"{np.mean([one.trainings for one in every]):.2f}"
        f" | {np.mean([one.first for one in every]):.3f} | {shares[0]:.3f} | {shares[1]:.3f}"
        f" | {f'{np.mean(same):.2f} ({len(same)})' if same else '–'}"
    )


def named(results: Sequence[Result]) -> tuple[float, float]:
    """Shares in which the table names somebody, and the race."""
    both = [(one.by_table is not None, one.named is not None) for one in results]
    table, raced = np.mean(both, axis=0)
    return float(table), float(raced)


HEAD = "trainings | first | named by the table | by the race | the same, where the table names"


def false() -> None:
    """Winners named where nobody is the best."""
    print("False winners, 2,000 races a row (1,000 below)\n")
    print("| finalists | seeds × folds | who | noise | table | race |\n|---|---|---|---|---|---|")
    rng = np.random.default_rng(CHOSEN_ON)
    largest = 0.0
    for finalists, (seeds, folds, spread) in product(
        (2, 6), ((5, 1, 0.0), (10, 1, 0.0), (1, 5, 1.0), (3, 5, 1.0))
    ):
        nulls = {"all equal": [0.0] * finalists}
        if finalists > 2:
            nulls["two equal, others far behind"] = [0.0, 0.0] + [-FAR] * (finalists - 2)
        for who, means in nulls.items():
            rates = _false(rng, means, seeds, folds, spread, "normal", 1.0)
            largest = max(largest, rates[1])
            print(
                f"| {finalists} | {seeds} × {folds}, spread {spread:g} | {who} | normal"
                f" | {rates[0]:.3f} | {rates[1]:.3f} |",
                flush=True,
            )
    print(
        f"\nThe largest: {largest:.3f}. Two equal, four far behind, other populations (unseen):\n"
    )
    print("| seeds | noise | deviations of the two | table | race |\n|---|---|---|---|---|")
    rng = np.random.default_rng(UNSEEN)
    for seeds, noise, own in product((5, 10), list(NOISES)[:3], ((1, 1), (3, 3), (3, 1))):
        means, deviations = [0.0, 0.0] + [-5 * FAR] * 4, [*own, 1, 1, 1, 1]
        rates = _false(rng, means, seeds, 1, 0.0, noise, deviations, tries=1000)
        cells = f"{rates[0]:.3f} | {rates[1]:.3f}"
        print(f"| {seeds} | {noise} | {own[0]}, {own[1]} | {cells} |", flush=True)


def _false(
    rng: np.random.Generator,
    means: Sequence[float],
    seeds: int,
    folds: int,
    spread: float,
    noise: str,
    deviations: Sequence[float] | float,
    tries: int = 2000,
) -> tuple[float, float]:
    return named(
        [
            compare(drawn(rng, means, seeds, folds, spread, NOISES[noise], deviations))
            for _ in range(tries)
        ]
    )


STEPS: dict[str, Noise] = {
    "two values": lambda rng, shape: rng.integers(0, 2, shape).astype(float),
    "steps of 1.5 deviations": lambda rng, shape: np.round(rng.standard_normal(shape) / 1.5),
}
LOGNORMAL: Noise = lambda rng, shape: math.exp(0.5) - rng.lognormal(size=shape)  # noqa: E731


def harder() -> None:
    """Nulls that were drawn last: ties, others close behind that vary less, unlike seeds."""
    print("False winners where two are equal, 2,000 races a row (all unseen)\n")
    print("| the two | four others | seeds × folds | table | race |\n|---|---|---|---|---|")
    rng = np.random.default_rng(UNSEEN + 1)

    def row(two: str, others: str, draw: Callable[[], Array]) -> None:
        table, raced = named([compare(draw()) for _ in range(2000)])
        seeds, folds, _ = draw().shape
        cells = f"{two} | {others} | {seeds} × {folds}"
        print(f"| {cells} | {table:.3f} | {raced:.3f} |", flush=True)

    for (name, noise), seeds in product(STEPS.items(), (5, 10, 20)):
        row(name, "–", lambda noise=noise, seeds=seeds: noise(rng, (seeds, 1, 2)))  # type: ignore[misc]
    for gap, seeds in product((3.0, 4.5), (5, 10)):
        means, own = [0.0, 0.0] + [-gap] * 4, [3, 3, 1, 1, 1, 1]
        row(
            "normal, deviation 3",
            f"{gap:g} behind, deviation 1",
            lambda means=means, own=own, seeds=seeds: drawn(  # type: ignore[misc]
                rng, means, seeds, 1, 0.0, deviations=own
            ),
        )
    for seeds in (5, 10):
        row(
            "lognormal downwards, deviations 3 and 1",
            "3 behind",
            lambda seeds=seeds: drawn(  # type: ignore[misc]
                rng, [0.0, 0.0] + [-3.0] * 4, seeds, 1, 0.0, LOGNORMAL, [3, 1, 1, 1, 1, 1]
            ),
        )
    for seeds, folds in ((5, 2), (1, 5), (5, 3)):
        for own_seed in (0.0, 0.5, 1.0):
            row(
                f"normal; a seed suits one of them on all folds, deviation {own_seed:g}",
                "15 behind",
                lambda seeds=seeds, folds=folds, own_seed=own_seed: (  # type: ignore[misc]
                    drawn(rng, [0.0, 0.0] + [-FAR] * 4, seeds, folds, 0.5)
                    + own_seed * rng.standard_normal((seeds, 1, 6))
                ),
            )
    rng = np.random.default_rng(UNSEEN + 4)  # drawn when each fold had been given its own seeds
    for (seeds, folds), own_seed in product(((5, 2), (1, 5), (5, 3)), (0.5, 1.0)):
        row(
            f"normal; a seed suits one of them on its only fold, deviation {own_seed:g}",
            "15 behind",
            lambda seeds=seeds, folds=folds, own_seed=own_seed: (  # type: ignore[misc]
                drawn(rng, [0.0, 0.0] + [-FAR] * 4, seeds, folds, 0.5)
                + own_seed * rng.standard_normal((seeds, folds, 6))
            ),
        )
    print("\nThe same first as of the table, six finalists, 1,000 races a row (unseen)\n")
    print("| noise | means | seeds | first |\n|---|---|---|---|")
    rng = np.random.default_rng(UNSEEN + 2)
    heavy: Noise = lambda rng, shape: rng.standard_t(2, shape) / 2  # noqa: E731
    noises = {"normal": NOISES["normal"], "t, 2": heavy, "lognormal downwards": LOGNORMAL}
    steps = {"all equal": 0.0, "0.3 apart": 0.3}
    for (name, noise), (which, step), seeds in product(noises.items(), steps.items(), (10, 20)):
        means = [-step * place for place in range(6)]
        found = [compare(drawn(rng, means, seeds, 1, 0.0, noise)) for _ in range(1000)]
        first = np.mean([one.first for one in found])
        print(f"| {name} | {which} | {seeds} | {first:.3f} |", flush=True)


def of_pairs(differences: Array) -> tuple[Array, Array]:
    """Which races tell two configurations apart: by all blocks at 5 %, and at any look.

    Args:
        differences: of the two, ``[races, blocks]``.
    """
    blocks = differences.shape[1]
    every = race_statistics.levels(blocks)
    p = {n: paired_p(differences[:, :n]) for n in race_statistics.looks(blocks)}
    return p[blocks] < 0.05, np.any([one < every[n - 1] for n, one in p.items()], axis=0)


def levels() -> None:
    """All looks together, at two equal configurations."""
    print("Two equal configurations told apart at any look, 400,000 races (unseen)\n")
    print("| blocks | told apart |\n|---|---|")
    rng = np.random.default_rng(UNSEEN + 3)
    for blocks in (5, 10, 20, 40):
        told = 0
        for _ in range(10):
            told += int(of_pairs(rng.standard_normal((40_000, blocks)))[1].sum())
        print(f"| {blocks} | {told / 400_000:.4f} |", flush=True)


def kinds() -> None:
    """Equal configurations whose runs are of two kinds, which lie 1 apart."""
    print(
        "Two equal configurations whose runs are of two kinds, told apart: table, race (unseen)\n"
    )
    print("| lower kind | noise within a kind | 5 blocks | 10 blocks | 20 blocks |")
    print("|---|---|---|---|---|")
    rng = np.random.default_rng(UNSEEN + 5)
    for share, noise in product((0.5, 0.2), (0.2, 0.05, 0.01, 0.001)):
        cells = []
        for blocks in (5, 10, 20):
            runs = of_two_kinds(rng, (40_000, blocks, 2), share, noise)
            table, race = of_pairs(runs[..., 0] - runs[..., 1])
            cells.append(f"{table.mean():.3f}, {race.mean():.3f}")
        print(f"| {share:.0%} | {noise:g} | {' | '.join(cells)} |", flush=True)
    print("\nSix finalists, two equal ones of two kinds ahead, 1,000 races a row (unseen)\n")
    print("| the four others | seeds × folds | table | race | first | trainings |")
    print("|---|---|---|---|---|---|")
    everybody = {"of two kinds too": 6, "of one kind": 2}
    grids = ((5, 1), (10, 1), (1, 5), (3, 5))
    for (others, count), (seeds, folds) in product(everybody.items(), grids):
        found = []
        for _ in range(1000):
            values = 0.01 * rng.standard_normal((seeds, folds, 6))
            values[..., :count] += of_two_kinds(rng, (seeds, folds, count), 0.5, 0)
            values[..., 2:] -= FAR
            found.append(compare(values))
        table, raced = named(found)
        first, share = np.mean([(one.first, one.trainings) for one in found], axis=0)
        cells = f"{table:.3f} | {raced:.3f} | {first:.3f} | {share:.2f}"
        print(f"| {others} | {seeds} × {folds} | {cells} |", flush=True)


def of_two_kinds(
    rng: np.random.Generator, shape: tuple[int, ...], share: float, noise: float
) -> Array:
    """Runs of which a share lies 1 below the others."""
    return noise * rng.standard_normal(shape) - (rng.random(shape) < share)


def power() -> None:
    """A leader d deviations ahead of five equal others."""
    print("A leader d deviations ahead of five equal others (chosen on), 200 races a row\n")
    print(f"| seeds × folds | d | {HEAD} |\n|---|---|---|---|---|---|---|")
    rng = np.random.default_rng(CHOSEN_ON)
    for (seeds, folds, spread), far in product(
        ((3, 1, 0.0), (5, 1, 0.0), (10, 1, 0.0), (1, 5, 0.5), (3, 5, 0.5)), (1, 2, 3, 4)
    ):
        means = [float(far)] + [0.0] * 5
        found = [compare(drawn(rng, means, seeds, folds, spread)) for _ in range(200)]
        which = f"{seeds} × {folds}, spread {spread:g}" if folds > 1 else f"{seeds} × 1"
        print(f"| {which} | {far} | {summary(found, best=0)} |", flush=True)


def fields() -> None:
    """Finalists whose means are drawn, in units of the noise from seed to seed."""
    print(
        "Six finalists with means drawn with a deviation, in units of the noise, 200 races a row\n"
    )
    print(f"| population | seeds × folds | deviation | {HEAD} |")
    print("|---|---|---|---|---|---|---|---|")
    for name, seed, noise, unequal in (
        ("chosen on: normal", CHOSEN_ON, "normal", False),
        ("unseen: normal", UNSEEN, "normal", False),
        ("unseen: heavy tails (t, 3)", UNSEEN, "heavy tails (t, 3)", False),
        ("unseen: skewed as Dice", UNSEEN, "skewed as Dice", False),
        ("unseen: unequal deviations", UNSEEN, "normal", True),
    ):
        rng = np.random.default_rng(seed)
        for (seeds, folds), deviation in product(((5, 1), (10, 1), (3, 5)), (0.5, 1, 2, 4)):
            if name != "chosen on: normal" and deviation == 0.5:
                continue
            found = []
            for _ in range(200):
                means = list(rng.standard_normal(6) * deviation)
                own = np.exp(rng.normal(0, 0.7, 6) - 0.49) if unequal else 1.0
                spread = 0.5 if folds > 1 else 0.0
                values = drawn(rng, means, seeds, folds, spread, NOISES[noise], own)  # type: ignore[arg-type]
                found.append(compare(values))
            cells = f"{seeds} × {folds} | {deviation:g} | {summary(found)}"
            print(f"| {name} | {cells} |", flush=True)


def diverged() -> None:
    """Replicates that diverge: the fewer, the better, whatever the means are."""
    print("Six finalists, deviation 1, whose replicates diverge in so many cases (unseen)\n")
    print("| seeds | each finalist's own rate | trainings | first |\n|---|---|---|---|")
    rng = np.random.default_rng(UNSEEN)
    for seeds, most in product((5, 10), (0.1, 0.3, 0.6)):
        found = []
        for _ in range(200):
            values = drawn(rng, list(rng.standard_normal(6)), seeds, 1, 0.0)
            lost = rng.random(values.shape) < rng.uniform(0, most, 6)
            if not lost.all(axis=(0, 1)).any():
                found.append(compare(values, lost))
        trainings = np.mean([one.trainings for one in found])
        first = np.mean([one.first for one in found])
        print(f"| {seeds} | 0 to {most:g} | {trainings:.2f} | {first:.3f} |", flush=True)


def real(folder: Path) -> None:
    """Races over the folds of real trainings, in every order of the folds."""
    print(
        "Three architectures of nnU-Net on five folds, real validation Dice, 120 orders (unseen);"
        " false winners of 1,000 races where names are dealt anew in each fold\n"
    )
    print(f"| dataset | {HEAD} | false by the table | by the race |")
    print("|---|---|---|---|---|---|---|---|")
    rng = np.random.default_rng(UNSEEN)
    for name, architectures in read_real(folder):
        dice = table_of_real(architectures)  # [folds, architectures]
        found = [compare(dice[list(order)][None]) for order in permutations(range(len(dice)))]
        dealt = [compare(rng.permuted(dice, axis=1)[None]) for _ in range(1000)]
        table, raced = named(dealt)
        print(f"| {name} | {summary(found)} | {table:.3f} | {raced:.3f} |", flush=True)


SECTIONS: dict[str, Callable[[], None]] = {
    f.__name__: f for f in (false, harder, levels, kinds, power, fields, diverged)
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("sections", nargs="*", metavar="section", default=[*SECTIONS])
    parser.add_argument("--real", metavar="FOLDER", help="of nnU-Net trainings, reduced to JSON")
    arguments = parser.parse_args()
    for name in arguments.sections:
        SECTIONS[name]()
        print()
    if arguments.real:
        real(Path(arguments.real))


if __name__ == "__main__":
    main()
