"""Whether what is said of finalists holds: false winners, power, P(best), intervals.

    python benchmarks/confirmation.py [SECTION …] [--real FOLDER]

Made-up finalists, compared by the product's own code. Their Dice on a seed and a fold is

    mean(configuration) + block(seed, fold) + g(configuration, fold) + e(configuration, seed, fold)

with e of deviation 1 and g of deviation *spread*. A winner is *false* where no configuration is
the best one: all are equal, or two are and the others lie far behind, which is the hardest case.
With one fold g belongs to the means: from a single fold it cannot be told what other folds would
say, and a winner is the best on that fold. ``--real``: a folder of published nnU-Net trainings.

Sections: winners, letters, coarse, power, priors, calibration, leading,
intervals, clusters, runs, hard, stated.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise, product

import numpy as np
from numpy.typing import NDArray
from other_rules import by_blocks, pooled
from real_trainings import real
from scipy.special import ndtr

from sweep.analysis.confirm import paired_statistics as paired
from sweep.analysis.confirm.paired_comparison import LEVEL, PairedComparison, detectable, interval
from sweep.analysis.confirm.paired_statistics import mean_interval, probability_best, two_kinds

Array = NDArray[np.float64]
Noise = Callable[[np.random.Generator, tuple[int, ...]], Array]

SEEDS, FOLDS, SPREADS, FINALISTS = (2, 3, 5, 10), (1, 2, 3, 5), (0.0, 0.5, 1.0, 2.0), (2, 5, 10)
FAR = 15.0
CHOSEN_ON, UNSEEN = 1, 2
"""Seeds of the populations that the prior was chosen on, and of those it was not."""

NOISES: dict[str, Noise] = {
    "normal": lambda rng, shape: rng.standard_normal(shape),
    "heavy tails (t, 3)": lambda rng, shape: rng.standard_t(3, shape) / math.sqrt(3),
    "skewed as Dice": lambda rng, shape: 1 - rng.exponential(size=shape),
    "skewed upwards": lambda rng, shape: rng.exponential(size=shape) - 1,
}


def compared(values: Array) -> PairedComparison:
    """Of ``values`` ``[seeds, folds, configurations]``, the highest mean first."""
    order = np.argsort(-values.mean(axis=(0, 1)), kind="stable")
    seeds, folds, _ = values.shape
    blocks = list(product(range(seeds), range(folds)))
    rows = values.reshape(len(blocks), -1).T[order]
    return PairedComparison(
        tuple(dict(zip(blocks, row.tolist(), strict=True)) for row in rows), by_fold=folds > 1
    )


def drawn(
    rng: np.random.Generator,
    means: Sequence[float],
    seeds: int,
    folds: int,
    spread: float,
    noise: Noise = NOISES["normal"],
    deviations: Sequence[float] | float = 1.0,
) -> Array:
    shape = (seeds, folds, len(means))
    own = noise(rng, shape) * np.asarray(deviations)
    suits = spread * rng.standard_normal((1, folds, len(means))) if folds > 1 else 0.0
    values: Array = np.asarray(means) + rng.standard_normal((seeds, folds, 1)) + suits + own
    return values


def nulls(finalists: int) -> Iterator[list[float]]:
    yield [0.0] * finalists
    if finalists > 2:
        yield [0.0, 0.0] + [-FAR] * (finalists - 2)


def winners() -> None:
    print("False winners; a cell holds the rates of the spreads 0, 0.5, 1 and 2\n")
    print(f"| finalists | folds | {' | '.join(f'{n} seeds' for n in SEEDS)} |")
    print(f"|---|---|{'---|' * len(SEEDS)}")
    largest, rng = 0.0, np.random.default_rng(0)
    for finalists, folds in product(FINALISTS, FOLDS):
        cells = []
        for seeds in SEEDS:
            rates = [
                max(
                    _rate(rng, lambda v: compared(v).winner is not None, null, seeds, folds, spread)
                    for null in nulls(finalists)
                )
                for spread in (SPREADS if folds > 1 else SPREADS[:1])
            ]
            largest = max(largest, *rates)
            cells.append(" ".join(f"{rate:.3f}" for rate in rates))
        print(f"| {finalists} | {folds} | {' | '.join(cells)} |", flush=True)
    print(f"\nThe largest: {largest:.3f}. Two finalists, spread 1, every block as a unit (before):")
    for seeds, folds in ((5, 2), (5, 5), (10, 5)):
        rate = _rate(rng, by_blocks, [0.0, 0.0], seeds, folds, 1.0)
        print(f"{seeds} seeds on {folds} folds {rate:.2f}")
    print("\nTwo equal finalists with k = 4 others far behind, five seeds: other populations\n")
    print("| noise | deviations of the two | false winners | with one pooled variance |")
    print("|---|---|---|---|")
    for (name, noise), own in product(NOISES.items(), ((1, 1), (3, 3), (3, 1))):
        means, deviations = [0.0, 0.0] + [-5 * FAR] * 4, [*own, 1, 1, 1, 1]
        rates = [
            _rate(rng, rule, means, 5, 1, 0.0, noise, deviations)
            for rule in (lambda v: compared(v).winner is not None, pooled)
        ]
        print(f"| {name} | {own[0]}, {own[1]} | {rates[0]:.3f} | {rates[1]:.3f} |", flush=True)


def letters() -> None:
    print("Two equal finalists that are said to differ: a winner among them, or letters apart\n")
    print("| finalists | equal at the top, the others equal 6 behind | 5 seeds | 10 seeds |")
    print("|---|---|---|---|")
    rng = np.random.default_rng(0)
    for count, tied in ((2, 2), (4, 4), (4, 2), (10, 10), (10, 2)):
        means = np.array([0.0] * tied + [-6.0] * (count - tied))

        def differ(values: Array, means: Array = means) -> bool:
            order = np.argsort(-values.mean(axis=(0, 1)), kind="stable")
            apart = compared(values).apart
            return any(means[order[i]] == means[order[j]] for i, j in apart)

        rates = [_rate(rng, differ, list(means), seeds, 1, 0.0, tries=3000) for seeds in (5, 10)]
        print(f"| {count} | {tied} | {rates[0]:.3f} | {rates[1]:.3f} |", flush=True)


COARSE: dict[str, Callable[[np.random.Generator, tuple[int, ...]], Array]] = {
    "two values": lambda rng, shape: rng.integers(0, 2, shape) - 0.5,
    "three values": lambda rng, shape: rng.binomial(2, 0.5, shape) - 1.0,
    "one run in five lower": lambda rng, shape: 0.2 - 1.0 * (rng.random(shape) < 0.2),
    "steps of two deviations": lambda rng, shape: 2 * np.round(rng.standard_normal(shape) / 2),
    "steps of half a deviation": lambda rng, shape: np.round(2 * rng.standard_normal(shape)) / 2,
    "shares of 20 cases": lambda rng, shape: rng.binomial(20, 0.8, shape) / 20 - 0.8,
    "two values and noise": lambda rng, shape: (
        rng.integers(0, 2, shape) - (0.5 + 0.05 * rng.standard_normal(shape))
    ),
    "a ceiling, met by one run in three": lambda rng, shape: _below(0.43, rng, shape),
    "a ceiling, met by two runs in three": lambda rng, shape: _below(-0.43, rng, shape),
}
"""Runs of mean 0 with few different values, or many equal ones."""


def _below(ceiling: float, rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Normal runs that none of lies above a ceiling."""
    mean = ceiling * ndtr(-ceiling) - math.exp(-(ceiling**2) / 2) / math.sqrt(2 * math.pi)
    return np.minimum(ceiling, rng.standard_normal(shape)) - mean


def coarse(tries: int = 1500) -> None:
    print("Equal finalists with coarse scores, letters apart, and the interval of the first: held")
    print("the mean, of those with an interval; had none\n")
    print("| runs | seeds | letters of 3 | of 6 | interval, 1 | first of 6 |")
    print("|---|---|---|---|---|---|")
    rng = np.random.default_rng(UNSEEN)
    for (name, noise), seeds in product(COARSE.items(), (3, 5, 10)):
        apart = [
            _rate(
                rng, lambda v: bool(compared(v).apart), [0.0] * k, seeds, 1, 0.0, noise, 1.0, tries
            )
            for k in (3, 6)
        ]
        cells = [f"{rate:.3f}" for rate in apart]
        for count in (1, 6):
            ends = np.array([_of_first(noise(rng, (count, seeds))) for _ in range(tries)])
            has = ~np.isnan(ends[:, 0])
            held = (ends[has, 0] <= 1e-12) & (ends[has, 1] >= -1e-12)
            cells.append(f"{held.mean():.2f}; {1 - has.mean():.2f}")
        print(f"| {name} | {seeds} | {' | '.join(cells)} |", flush=True)


def _of_first(runs: Array) -> tuple[float, float]:
    """Args: runs ``[finalists, seeds]``."""
    every = [{(n, 0): x for n, x in enumerate(own)} for own in runs.tolist()]
    return interval(max(every, key=lambda one: math.fsum(one.values())), by_fold=False, among=every)


def power() -> None:
    print("A leader d deviations ahead of five equal others is named in\n")
    print("| seeds | d | all pairs by Holm (before) | first against each | one pooled variance |")
    print("|---|---|---|---|---|")
    rng = np.random.default_rng(0)
    rules = (by_blocks, lambda v: compared(v).winner == 0, pooled)
    for seeds, far in product((3, 5, 10), (1, 2, 3, 4, 6)):
        means = [float(far)] + [0.0] * 5
        rates = [_rate(rng, rule, means, seeds, 1, 0.0, tries=2000) for rule in rules]
        print(f"| {seeds} | {far} | {' | '.join(f'{rate:.3f}' for rate in rates)} |", flush=True)


def _rate(
    rng: np.random.Generator,
    rule: Callable[[Array], bool],
    means: Sequence[float],
    seeds: int,
    folds: int,
    spread: float,
    noise: Noise = NOISES["normal"],
    deviations: Sequence[float] | float = 1.0,
    tries: int = 6000,
) -> float:
    found = (rule(drawn(rng, means, seeds, folds, spread, noise, deviations)) for _ in range(tries))
    return sum(found) / tries


LEADING: dict[str, Callable[[np.random.Generator, int], Array]] = {
    "one ahead by 1, 2, 3 or 4, the others equal": lambda rng, n: np.append(
        rng.choice([1.0, 2.0, 3.0, 4.0]), np.zeros(n - 1)
    ),
    "one 10 behind, the others of spread 0.5": lambda rng, n: np.append(
        rng.standard_normal(n - 1) / 2, -10.0
    ),
    "one ahead by 3, one behind by 6": lambda rng, n: np.append(
        0.2 * rng.standard_normal(n - 1) + 3 * (np.arange(n - 1) == 0), -6.0
    ),
    "two close leaders, exponential gaps": lambda rng, n: (
        -np.append([0.0, 0.2], 0.2 + np.cumsum(rng.exponential(0.7, n - 2)))
    ),
    "heavy tails (t, 2), times 0.5": lambda rng, n: rng.standard_t(2, n) / 2,
}
"""True means of finalists, of shapes that no normal distribution has."""


def leading(tries: int = 100) -> None:
    print("The same where the true means are not normal\n")
    heads = [f"{a:g} to {min(b, 1):g}" for a, b in pairwise(BINS)]
    print(
        f"| true means | all: said, right | {' | '.join(heads)} |\n|---|---|{'---|' * len(heads)}"
    )
    for name, means_of in LEADING.items():
        rng, found = np.random.default_rng(UNSEEN), list[Said]()
        for count, seeds in product((3, 6, 10), (3, 5, 10)):
            for _ in range(tries):
                means = means_of(rng, count)
                values = drawn(rng, list(means), seeds, 1, 0.0)
                p = probability_best(values[:, 0], draws=2000, seed=int(rng.integers(2**31)))
                likeliest, best = int(np.argmax(p)), int(np.argmax(means))
                found.append((0.0, count, seeds, p[likeliest], likeliest == best, 0.0))
        said, right = np.mean([(one[3], one[4]) for one in found], axis=0)
        print(f"| {name} | {said:.2f}, {right:.2f} | {' | '.join(_binned(found))} |", flush=True)


Said = tuple[float, int, int, float, bool, float]
"""Spread, finalists, seeds, what was said of the likeliest, whether it was right, log score."""


def chances(
    seed: int, noise: Noise, spreads: Sequence[float], *, unequal: bool = False, tries: int = 80
) -> list[Said]:
    rng, found = np.random.default_rng(seed), []
    for spread, count, seeds in product(spreads, (2, 3, 6, 10, 20), (3, 5, 10)):
        for _ in range(tries):
            means = rng.standard_normal(count) * max(spread, 1e-9)
            own = np.exp(rng.normal(0, 0.7, count) - 0.49) if unequal else 1.0
            values = drawn(rng, list(means), seeds, 1, 0.0, noise, own)  # type: ignore[arg-type]
            p = probability_best(values[:, 0], draws=2000, seed=int(rng.integers(2**31)))
            likeliest, best = int(np.argmax(p)), int(np.argmax(means))
            score = -math.log(max(p[best], 1e-3))
            found.append((spread, count, seeds, p[likeliest], likeliest == best, score))
    return found


SPREAD_OF_MEANS = (0.0, 0.25, 0.5, 1.0, 2.0)


def priors() -> None:
    print("Mean log score of P(best), less is better, on the populations that it is chosen on\n")
    print("| half-t, degrees | scale 0.25 | 0.5 | 1 |\n|---|---|---|---|")
    before = paired.DEGREES, paired.SCALE
    for degrees in (1, 3, 30):
        row = []
        for scale in (0.25, 0.5, 1.0):
            paired.DEGREES, paired.SCALE = degrees, scale
            said = chances(CHOSEN_ON, NOISES["normal"], SPREAD_OF_MEANS)
            row.append(f"{np.mean([one[-1] for one in said]):.4f}")
        print(f"| {degrees} | {' | '.join(row)} |", flush=True)
    paired.DEGREES, paired.SCALE = before


BINS = (0.0, 0.2, 0.4, 0.6, 0.8, 0.9, 0.95, 1.01)


def calibration() -> None:
    print("What P(best) says of the likeliest, and the share in which that one is the best\n")
    heads = [f"{a:g} to {min(b, 1):g}" for a, b in pairwise(BINS)]
    print(f"| population | {' | '.join(heads)} |\n|---|{'---|' * len(heads)}")
    populations = [("chosen on: normal", CHOSEN_ON, "normal", SPREAD_OF_MEANS, False)]
    populations += [(f"unseen: {n}", UNSEEN, n, SPREAD_OF_MEANS, False) for n in list(NOISES)[:3]]
    populations += [
        ("unseen: unequal deviations", UNSEEN, "normal", SPREAD_OF_MEANS, True),
        ("unseen: other spreads (0.1, 0.35, 0.7, 1.5, 4)", UNSEEN, "normal",
         (0.1, 0.35, 0.7, 1.5, 4.0), False),
    ]  # fmt: skip
    for name, seed, noise, spreads, unequal in populations:
        said = chances(seed, NOISES[noise], spreads, unequal=unequal, tries=150)
        print(f"| {name} | {' | '.join(_binned(said))} |", flush=True)
    said = chances(UNSEEN, NOISES["normal"], SPREAD_OF_MEANS, tries=400)
    for spread in SPREAD_OF_MEANS:
        ours = [one for one in said if one[0] == spread]
        print(f"| unseen: normal, spread {spread:g} alone | {' | '.join(_binned(ours))} |")
    print("\nIn a cell: said, right (number of confirmations).")


def _binned(said: Sequence[Said]) -> list[str]:
    cells = []
    for low, high in pairwise(BINS):
        inside = np.array([(one[3], one[4]) for one in said if low <= one[3] < high])
        if not len(inside):
            cells.append("–")
            continue
        p, right = inside.mean(axis=0)
        cells.append(f"{p:.2f}, {right:.2f} ({len(inside)})")
    return cells


CASES = (5, 8, 12, 20, 40)


def intervals() -> None:
    print("Share of 95 % intervals of a mean over cases that hold it, Student's t (percentile")
    print("bootstrap before)\n")
    print(f"| Dice of a case | {' | '.join(f'{n} cases' for n in CASES)} |")
    print(f"|---|{'---|' * len(CASES)}")
    rng = np.random.default_rng(0)
    for name, population in _populations(rng).items():
        print(f"| {name} | {' | '.join(covered(rng, population))} |", flush=True)


def covered(rng: np.random.Generator, population: Array, tries: int = 1500) -> list[str]:
    """Of intervals of ``population``'s mean, of samples of `CASES`, by t and by bootstrap."""
    cells = []
    for n in CASES:
        hits = [0, 0]
        for sample in rng.choice(population, (tries, n)):
            means = sample[rng.integers(n, size=(400, n))].mean(axis=1)
            bounds = (mean_interval(list(sample)), np.quantile(means, (0.025, 0.975)))
            for method, (low, high) in enumerate(bounds):
                hits[method] += low <= population.mean() <= high
        cells.append(f"{hits[0] / tries:.2f} ({hits[1] / tries:.2f})")
    return cells


def _populations(rng: np.random.Generator) -> dict[str, Array]:
    def beta(a: float, b: float, dead: float = 0.0) -> Array:
        values = rng.beta(a, b, 100_000)
        values[rng.random(len(values)) < dead] = 0.0
        return values

    return {
        "beta(18, 2), mean 0.9": beta(18, 2),
        "beta(9, 1), mean 0.9": beta(9, 1),
        "beta(4, 2), mean 0.67": beta(4, 2),
        "beta(18, 2), 5 % of cases 0": beta(18, 2, 0.05),
        "beta(18, 2), 15 % of cases 0": beta(18, 2, 0.15),
    }


CLUSTERED = ((20, 1), (10, 2), (5, 4), (50, 1), (10, 5), (5, 10))
"""Patients, and cases of each."""


def clusters(tries: int = 10_000) -> None:
    print("Share of 95 % intervals over cases that hold the mean, where a patient has several\n")
    print("| cases | share of the variance between patients: 0 | 0.2 | 0.5 | 0.8 |")
    print("|---|---|---|---|---|")
    rng = np.random.default_rng(0)
    for patients, each in CLUSTERED:
        cells = []
        for share in (0.0, 0.2, 0.5, 0.8):
            between = rng.standard_normal((tries, patients, 1)) * share**0.5
            own = rng.standard_normal((tries, patients, each)) * (1 - share) ** 0.5
            rows = (between + own).reshape(tries, -1)
            bounds = (mean_interval(row) for row in rows.tolist())
            cells.append(f"{np.mean([low <= 0 <= high for low, high in bounds]):.2f}")
        print(f"| {patients} patients, {each} of each | {' | '.join(cells)} |", flush=True)


RUNS: dict[str, Callable[[np.random.Generator, tuple[int, ...]], Array]] = {
    "normal, deviation 0.003": lambda rng, shape: 0.9 + 0.003 * rng.standard_normal(shape),
    "normal, deviation 0.02": lambda rng, shape: 0.9 + 0.02 * rng.standard_normal(shape),
    "normal, deviation 0.05": lambda rng, shape: 0.8 + 0.05 * rng.standard_normal(shape),
    "skewed as Dice, deviation 0.01": lambda rng, shape: 0.91 - 0.01 * rng.exponential(size=shape),
    "heavy tails (t, 3), deviation 0.01": lambda rng, shape: (
        0.9 + 0.01 * rng.standard_t(3, shape) / math.sqrt(3)
    ),
    "one run in ten loses 0.3": lambda rng, shape: (
        0.9 + 0.01 * rng.standard_normal(shape) - 0.3 * (rng.random(shape) < 0.1)
    ),
    "one run in ten loses 0.05 to 0.9": lambda rng, shape: (
        0.9
        + 0.01 * rng.standard_normal(shape)
        - rng.uniform(0.05, 0.9, shape) * (rng.random(shape) < 0.1)
    ),
    "one run in three loses 0.3": lambda rng, shape: (
        0.9 + 0.01 * rng.standard_normal(shape) - 0.3 * (rng.random(shape) < 1 / 3)
    ),
    "kept aside: beta(4, 2)": lambda rng, shape: rng.beta(4, 2, shape),
    "kept aside: lognormal distances, 10 px": lambda rng, shape: (
        10 * np.exp(0.05 * rng.standard_normal(shape))
    ),
    "kept aside: one run in five ends at 0 to 0.6": lambda rng, shape: np.where(
        rng.random(shape) < 0.2, rng.uniform(0, 0.6, shape), rng.normal(0.8, 0.02, shape)
    ),
    "kept aside: one run in two finds 0.85, else 0.78": lambda rng, shape: (
        np.where(rng.random(shape) < 0.5, 0.85, 0.78) + 0.004 * rng.standard_normal(shape)
    ),
}


def runs(tries: int = 5000) -> None:
    print("Intervals of the mean over runs, and what is said of two kinds of outcome\n")
    print(f"| a run | {' | '.join(f'{n} runs' for n in SEEDS[1:])} |")
    print(f"|---|{'---|' * len(SEEDS[1:])}")
    for name, draw in RUNS.items():
        rng, cells = np.random.default_rng(UNSEEN), []
        mean = float(draw(rng, (1_000_000,)).mean())
        for n in SEEDS[1:]:
            held = told = either = 0
            for row in draw(rng, (tries, n)).tolist():
                low, high = mean_interval(row)
                is_told = two_kinds(row) is not None
                held, told = held + (low <= mean <= high), told + is_told
                either += is_told or low <= mean <= high
            cells.append(f"{held / tries:.2f}, {told / tries:.2f}, {either / tries:.2f}")
        print(f"| {name} | {' | '.join(cells)} |", flush=True)
    print("\nIn a cell: the interval holds the mean, two kinds are told, one or the other.")


def stated(tries: int = 6000) -> None:
    print(
        "Share of confirmations of six that name a leader which is ahead by what a tie says would"
    )
    print(
        "be named, by the spread of its own runs (`detectable` takes the spread as known: 0.80)\n"
    )
    print("| noise | 3 seeds | 5 seeds | 10 seeds |\n|---|---|---|---|")
    for name, noise in NOISES.items():
        rng, cells = np.random.default_rng(UNSEEN), []
        for n in (3, 5, 10):
            residual = noise(rng, (tries, n, 6))
            residual -= residual.mean(axis=1, keepdims=True)
            residual -= residual.mean(axis=2, keepdims=True)
            spread = np.sqrt((residual**2).sum(axis=(1, 2)) / ((n - 1) * 5))  # of all pairs
            values = noise(rng, (tries, n, 6))
            values[:, :, 0] += (detectable(n, 5) * spread)[:, None]
            differences = values[:, :, :1] - values[:, :, 1:]
            ahead, p = differences.mean(axis=1) > 0, paired.paired_p(differences.swapaxes(1, 2))
            cells.append(f"{(ahead & (p < LEVEL)).all(axis=1).mean():.2f}")
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


HARD: dict[str, Noise] = {
    "in steps of one deviation": lambda rng, shape: np.round(rng.standard_normal(shape)),
    "in steps of two deviations": lambda rng, shape: 2 * np.round(rng.standard_normal(shape) / 2),
    "every tenth loses 30": lambda rng, shape: (
        rng.standard_normal(shape) - 30 * ((rng.random(shape) < 0.1) - 0.1)
    ),
    "every third loses 30": lambda rng, shape: (
        rng.standard_normal(shape) - 30 * ((rng.random(shape) < 1 / 3) - 1 / 3)
    ),
    "a quarter of the units is five times as noisy": lambda rng, shape: (
        rng.standard_normal(shape) * np.where(rng.random((*shape[:-1], 1)) < 0.25, 5, 1)
    ),
    "heavier tails (t, 2)": lambda rng, shape: rng.standard_t(2, shape),
}
"""Populations that nothing was chosen on. Units that are noisier than others are hard folds."""


def hard(tries: int = 3000) -> None:
    print(
        "False winners, two equal and four far behind; letters apart or a winner among two equal;"
    )
    print("then P(best), means of spread 0, 0.25, 0.5, 1 and 2: said and right of the likeliest\n")
    heads = [f"{what}, {n} units" for what in ("winner", "letters or winner") for n in (3, 5, 10)]
    print(f"| noise | {' | '.join(heads)} | P(best) | from 0.9 on |\n|---|{'---|' * 8}")
    for name, noise in HARD.items():
        rng, cells = np.random.default_rng(UNSEEN), []
        winners, different = [], []
        for n in (3, 5, 10):
            means = [0.0, 0.0] + [-5 * FAR] * 4
            found = [compared(drawn(rng, means, n, 1, 0.0, noise)) for _ in range(tries)]
            winners.append(np.mean([one.winner is not None for one in found]))
            different.append(np.mean([(0, 1) in one.apart for one in found]))
        cells = [f"{rate:.3f}" for rate in (*winners, *different)]
        said = chances(UNSEEN, noise, SPREAD_OF_MEANS)
        for least in (0.0, 0.9):
            own = [(one[3], one[4]) for one in said if one[3] >= least]
            cells.append("{:.2f}, {:.2f} ({})".format(*np.mean(own, axis=0), len(own)))
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


SECTIONS = {
    section.__name__: section
    for section in (
        *(winners, letters, coarse, power, priors, calibration, leading),
        *(intervals, clusters, runs, hard, stated),
    )
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
        real(arguments.real, lambda values: compared(values).winner, covered)


if __name__ == "__main__":
    main()
