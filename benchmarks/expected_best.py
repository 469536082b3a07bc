"""Whether the expected best of fewer random trials is what fewer trials find.

    python benchmarks/expected_best.py     # two minutes on one core

The report estimates from N trials what n would have found. Here this is compared with other,
independent searches of n trials: the mean estimate beside their mean best, in standard deviations
of that best, and the share of them whose best lies in the band (said to hold four in five
*choices* of these trials). The product's own functions, on the values of `search_end.py` and, with
ASHA at work, on the simulated curves of `search.py`: there a pruned trial counts with what it had
reached, and which are pruned depends on who else is there.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import numpy as np
from search import SPACE
from search import run as run_search
from search_end import DRAWN, Array, Noted

from sweep.analysis.resampling.expected_best import BAND, expected_maximum, quantiles_of_maximum
from sweep.search.searchers.random_search import RandomSearch

SWEEPS, FURTHER, ASHA = 1000, 20_000, 120


def row(name: str, total: int, draw: Callable[[int, int], Array], truth: Array, n: int) -> str:
    """Args: draws the scores of a sweep by number of trials and seed; bests of searches of n."""
    means, inside, errors = [], [], []
    for seed in range(ASHA if name == "ASHA" else SWEEPS):
        scores = draw(total, seed).tolist()
        means.append(float(expected_maximum(scores, [n])[0]))
        low, high = (quantiles_of_maximum(scores, [n], share)[0] for share in BAND)
        inside.append(np.mean((low - 1e-12 <= truth) & (truth <= high + 1e-12)))
        errors.append(means[-1] - truth.mean())
    bias = np.mean(errors) / truth.std()
    error = np.std(errors) / len(errors) ** 0.5 / truth.std()
    return (
        f"| {name} | {total} | {n} | {bias:+.2f} ± {error:.2f} | {np.std(errors) / truth.std():.2f}"
        f" | {np.mean(inside):.2f} |"
    )


def pruned(total: int, seed: int) -> Array:
    """Best values of a random search under ASHA; of a diverged trial the worst of the others."""
    noted = Noted(RandomSearch(SPACE, seed))
    run_search(noted, total)
    found = np.array([best for best, _ in noted.ends])
    return np.where(found > 0, found, found[found > 0].min())


def main() -> None:
    print("| values | trials | n | estimate − truth | deviation of an estimate | in the band |")
    print("|---|---|---|---|---|---|")
    for (name, own), total in product(DRAWN.items(), (8, 20, 60)):
        for n in (total // 4, total // 2):
            rng = np.random.default_rng(0)
            truth = own(rng, (FURTHER, n)).max(axis=1)
            make = lambda total, seed, own=own: own(np.random.default_rng([1, seed]), (total,))  # noqa: E731
            print(row(name, total, make, truth, n), flush=True)
    for n in (10, 20):
        truth = np.array([pruned(n, 10_000 + seed).max() for seed in range(2 * ASHA)])
        print(row("ASHA", 40, pruned, truth, n), flush=True)


if __name__ == "__main__":
    main()
