"""Real trainings to judge a ranking by: three architectures of nnU-Net on five folds.

    python benchmarks/real_trainings.py FOLDER

prints how often k folds order two trainings rightly. `confirmation.py --real FOLDER` prints that
and what its rules come to.

Which order is right is not known: it is estimated from the real validation, in two ways. *The
other folds*: from the mean over the folds that were not used. The two sides share no case, so no
luck of a fold counts for both, but the estimate itself has the noise of 5 - k folds, which lowers
every share. *All five*: from the mean over all folds, whose noise is less, but of which the used
folds are a part, which raises the shares of the real validation (to 1 for all five) and, less so,
of the pseudo Dice on the same cases.

Published by AutoML Hannover (github.com/automl/AutoNNUnet, BSD-3-Clause), one gzipped JSON a
dataset: ``architectures: {NAME: {FOLD: {pseudo_dice, foreground_mean_dice, cases}}}``.
"""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
FOLDS = 5
KINDS = ("pseudo", "real")
LAST = 20
"""Epochs whose pseudo Dice is averaged, as the figure in ``docs/reference/nnunet.md``."""


def real(
    folder: str,
    winner: Callable[[Array], int | None],
    covered: Callable[[np.random.Generator, Array], list[str]],
) -> None:
    """Print what the rules come to on the trainings below ``folder``.

    Args:
        winner: of values ``[1, folds, architectures]``: whether the highest mean is a winner.
        covered: coverage of intervals of a population's mean, as cells.
    """
    sets = dict(read_real(Path(folder)))
    rng = np.random.default_rng(0)
    print("Real trainings: three architectures on five folds, real validation Dice\n")
    print("| dataset | named | false winners, names dealt anew in each fold |\n|---|---|---|")
    for name, architectures in sets.items():
        dice = table_of_real(architectures)
        dealt = [winner(rng.permuted(dice, axis=1)[None]) is not None for _ in range(1000)]
        named = "a winner" if winner(dice[None]) is not None else "nobody"
        print(f"| {name} | {named} | {np.mean(dealt):.3f} |", flush=True)
    print_orders(sets)
    print("| cases of | 5 cases | 8 cases | 12 cases | 20 cases | 40 cases |")
    print("|---|---|---|---|---|---|")
    for name, architectures in sets.items():
        first, second = (cases_of(one) for one in list(architectures.values())[:2])
        both = sorted(first.keys() & second.keys())
        print(f"| {name} | {' | '.join(covered(rng, np.array([*first.values()])))} |")
        gains = np.array([first[case] - second[case] for case in both])
        print(f"| {name}, differences | {' | '.join(covered(rng, gains))} |", flush=True)


def print_orders(sets: Mapping[str, dict[str, Any]]) -> None:
    """Print how often k folds name the order of two trainings.

    Args:
        sets: name of a dataset → its architectures.
    """
    pairs = [pair for one in sets.values() for pair in _pairs(one)]
    own = [bool(a * b > 0) for pair in pairs for a, b in zip(pair.pseudo, pair.real, strict=True)]
    print(
        f"\nOne fold's pseudo Dice orders two trainings like the real validation of that fold in"
        f" {np.mean(own):.2f} of {len(own)}.\n"
    )
    clear = [pair for pair in pairs if pair.is_clear]
    for title, chosen in (
        (f"all {len(pairs)} pairs", pairs),
        (f"the {len(clear)} pairs whose real difference is over twice its standard error", clear),
    ):
        print(f"Share that orders two trainings rightly, {title}:\n")
        heads = [
            f"{kind}, by {truth}" for truth in ("the other folds", "all five") for kind in KINDS
        ]
        print(f"| folds | choices | {' | '.join(heads)} |\n|---|---|---|---|---|---|")
        for count in range(1, FOLDS + 1):
            cells = [_share(chosen, count, *how) for how in product((True, False), KINDS)]
            choices = len(list(combinations(range(FOLDS), count))) * len(chosen)
            print(f"| {count} | {choices} | {' | '.join(cells)} |")
        print()


@dataclass(frozen=True)
class Pair:
    """Differences of two trainings of one dataset, ``[folds]`` each."""

    pseudo: Array
    real: Array

    @property
    def is_clear(self) -> bool:
        """Whether the mean real difference is over twice its standard error over the folds."""
        error = self.real.std(ddof=1) / np.sqrt(len(self.real))
        return bool(abs(self.real.mean()) > 2 * error)


def _share(pairs: Sequence[Pair], count: int, others: bool, kind: str) -> str:
    """Share of pairs and choices of ``count`` folds whose mean has the sign of the right order."""
    found = []
    for pair in pairs:
        told: Array = getattr(pair, kind)
        for chosen in combinations(range(FOLDS), count):
            rest = [fold for fold in range(FOLDS) if fold not in chosen] if others else range(FOLDS)
            if rest:
                found.append(told[list(chosen)].mean() * pair.real[list(rest)].mean() > 0)
    return f"{np.mean(found):.2f}" if found else "-"


def read_real(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    for file in sorted(folder.glob("*.json.gz")):
        with gzip.open(file) as content:
            values = json.load(content)
        yield values["dataset"], values["architectures"]


def table_of_real(architectures: dict[str, Any]) -> Array:
    """Real validation Dice, ``[folds, architectures]``."""
    return _table(architectures, lambda fold: fold["foreground_mean_dice"])


def _table(architectures: dict[str, Any], value: Callable[[Any], float]) -> Array:
    rows = [[value(one[fold]) for fold in sorted(one)] for one in architectures.values()]
    return np.array(rows).T


def _pairs(architectures: dict[str, Any]) -> Iterator[Pair]:
    pseudo = _table(architectures, lambda fold: float(np.mean(fold["pseudo_dice"][-LAST:])))
    real = table_of_real(architectures)
    for i, j in combinations(range(real.shape[1]), 2):
        yield Pair(pseudo[:, i] - pseudo[:, j], real[:, i] - real[:, j])


def cases_of(architecture: dict[str, Any]) -> dict[str, float]:
    """Mean Dice over classes of each case, of all folds."""
    found = {}
    for fold in architecture.values():
        for case, classes in fold["cases"].items():
            values = [dice for dice, *_ in classes.values() if dice is not None]
            if values:
                found[case] = float(np.mean(values))
    return found


if __name__ == "__main__":
    print_orders(dict(read_real(Path(sys.argv[1]))))
