"""Whether intervals and steady ranks hold where a patient has several cases (``data.groups``).

    python benchmarks/groups.py [chosen | unseen]

A case's value is what its patient brings plus what is its own. *share* is that of the patients in
the variance; of two trials, each has its own of both. The rule was chosen on the populations of the
first run, whose values are normal. Those of the second were drawn once it was fixed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sweep.analysis.confirm.paired_statistics import mean_interval
from sweep.analysis.resampling.rank_bootstrap import LEVEL, RankBootstrap

PATIENTS, SHARES = (5, 10, 20, 40), (0.0, 0.5, 0.8)
TRIES, RANKED, DRAWS = 2000, 600, 400
Array = NDArray[np.float64]
Draw = Callable[[np.random.Generator, int], Array]


def _skewed(rng: np.random.Generator, n: int) -> Array:
    """The negative of a lognormal, as Dice near 1 is; mean 0, deviation 1."""
    return (np.exp(0.5) - np.exp(rng.standard_normal(n))) / 2.1612


@dataclass(frozen=True)
class Population:
    """How patients and cases vary, both with mean 0 and deviation 1, and how many cases each has.

    Args:
        sizes: number of patients → number of cases of each.
        patient, case: their draws.
        tied: how far a patient with more cases than others lies below them, in deviations of the
            number of cases.
    """

    sizes: Callable[[np.random.Generator, int], NDArray[np.int64]]
    patient: Draw
    case: Draw
    tied: float = 0.0

    def sample(
        self, rng: np.random.Generator, patients: int, share: float, trials: int = 1
    ) -> tuple[Array, NDArray[np.int64]]:
        """Values of cases, ``[cases, trials]``, and the patient of each."""
        sizes = self.sizes(rng, patients)
        of = np.repeat(np.arange(patients), sizes)
        columns = []
        for _ in range(trials):
            level = self.patient(rng, patients) - self.tied * (sizes - 4.0) / 3.5
            own = self.case(rng, len(of))
            columns.append(level[of] * share**0.5 + own * (1 - share) ** 0.5)
        return np.column_stack(columns), of

    def mean(self, share: float) -> float:
        """Mean over the cases of a million patients."""
        values, _ = self.sample(np.random.default_rng(1), 1_000_000, share)
        return float(values.mean())


def _same(rng: np.random.Generator, n: int) -> NDArray[np.int64]:
    return np.full(n, 5)


def _uneven(rng: np.random.Generator, n: int) -> NDArray[np.int64]:
    """1 to about 20, 4 on average."""
    return rng.geometric(0.25, n)


def _few_large(rng: np.random.Generator, n: int) -> NDArray[np.int64]:
    """Mostly under 10, and a few of up to 80."""
    return np.minimum(1 + (3 * rng.pareto(1.0, n)).astype(np.int64), 80)


def _lognormal(rng: np.random.Generator, n: int) -> NDArray[np.int64]:
    """1 to about 100, 6 on average."""
    return np.ceil(np.exp(1 + rng.standard_normal(n))).astype(np.int64)


def _some_followed(rng: np.random.Generator, n: int) -> NDArray[np.int64]:
    """One patient in five has 20, the others 2."""
    return rng.permutation(np.where(np.arange(n) % 5 == 0, 20, 2))


def _normal(rng: np.random.Generator, n: int) -> Array:
    return rng.standard_normal(n)


def _heavy(rng: np.random.Generator, n: int) -> Array:
    return rng.standard_t(3, n) / 3**0.5


CHOSEN = {
    "normal, 5 cases each": Population(_same, _normal, _normal),
    "normal, 1 to 20 cases": Population(_uneven, _normal, _normal),
    "normal, a few of up to 80": Population(_few_large, _normal, _normal),
}
UNSEEN = {
    "skewed as Dice, 5 cases each": Population(_same, _skewed, _skewed),
    "skewed as Dice, 1 to 20 cases": Population(_uneven, _skewed, _skewed),
    "heavy tails (t, 3), 1 to 20 cases": Population(_uneven, _heavy, _heavy),
    "normal, lower with more cases": Population(_uneven, _normal, _normal, tied=0.5),
    "normal, lognormal sizes": Population(_lognormal, _normal, _normal),
    "skewed as Dice, one in five has 20, others 2": Population(_some_followed, _skewed, _skewed),
}


def intervals(populations: dict[str, Population], seed: int) -> None:
    print("Share of 95 % intervals of a mean that hold it, over patients (over cases before):\n")
    print(f"| population | share | {' | '.join(f'{n} patients' for n in PATIENTS)} |")
    print(f"|---|---|{'---|' * len(PATIENTS)}")
    for name, population in populations.items():
        for share in SHARES:
            true, cells = population.mean(share), []
            for patients in PATIENTS:
                rng, hits = np.random.default_rng([seed, patients]), np.zeros(2)
                for _ in range(TRIES):
                    table, of = population.sample(rng, patients, share)
                    values = table[:, 0]
                    for method, groups in enumerate((of.astype(str), None)):
                        low, high = mean_interval(values.tolist(), groups=groups)
                        hits[method] += low <= true <= high
                cells.append("{:.2f} ({:.2f})".format(*hits / TRIES))
            print(f"| {name} | {share:g} | {' | '.join(cells)} |", flush=True)


def steady(populations: dict[str, Population], seed: int) -> None:
    print("\nHow often one of two trials is called steady, drawing patients (drawing cases before)")
    print("where both are equal; then, drawing patients, where one leads by 4 standard errors:\n")
    print(f"| population | share | {' | '.join(f'{n} patients' for n in PATIENTS)} |")
    print(f"|---|---|{'---|' * len(PATIENTS)}")
    for name, population in populations.items():
        for share in SHARES:
            cells = [_steady(population, share, n, seed) for n in PATIENTS]
            print(f"| {name} | {share:g} | {' | '.join(cells)} |", flush=True)


def _steady(population: Population, share: float, patients: int, seed: int) -> str:
    rng, counts = np.random.default_rng([seed, patients]), np.zeros(3)
    samples = [population.sample(rng, patients, share, trials=2) for _ in range(RANKED)]
    error = float(np.std([np.diff(table.mean(axis=0)) for table, _ in samples]))
    for number, (table, of) in enumerate(samples):
        for case, (ahead, groups) in enumerate(
            ((0.0, of.astype(str)), (0.0, None), (4 * error, of.astype(str)))
        ):
            found = RankBootstrap(table + np.array([ahead, 0.0]), DRAWS, number, groups)
            counts[case] += found.frequencies[int(found.means.argmax()), 0] >= LEVEL
    return "{:.3f} ({:.3f}), {:.2f}".format(*counts / RANKED)


def main() -> None:
    asked = sys.argv[1:] or ["chosen", "unseen"]
    for name in asked:
        populations, seed = (CHOSEN, 1) if name == "chosen" else (UNSEEN, 20_000)
        head = "Chosen on" if name == "chosen" else "Unseen while the intervals were built"
        print(f"\n{head}:\n")
        intervals(populations, seed)
        steady(populations, seed)


if __name__ == "__main__":
    main()
