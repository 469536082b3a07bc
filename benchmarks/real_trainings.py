"""What `confirmation.py` says of real trainings: three architectures of nnU-Net on five folds.

Published by AutoML Hannover (github.com/automl/AutoNNUnet, BSD-3-Clause), one gzipped JSON a
dataset: ``architectures: {NAME: {FOLD: {pseudo_dice, foreground_mean_dice, cases}}}``.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
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
    sets = dict(_read(Path(folder)))
    rng = np.random.default_rng(0)
    print("Real trainings: three architectures on five folds, real validation Dice\n")
    print("| dataset | named | false winners, names dealt anew in each fold |\n|---|---|---|")
    for name, architectures in sets.items():
        dice = _table(architectures, lambda fold: fold["foreground_mean_dice"])  # [folds, names]
        dealt = [winner(rng.permuted(dice, axis=1)[None]) is not None for _ in range(1000)]
        named = "a winner" if winner(dice[None]) is not None else "nobody"
        print(f"| {name} | {named} | {np.mean(dealt):.3f} |", flush=True)
    pairs = [pair for one in sets.values() for pair in _agreements(one)]
    folds = [one for one, _ in pairs]
    means = [one for _, one in pairs[::5]]
    print(f"\nPseudo Dice orders two trainings like the real validation of their fold in"
          f" {np.mean(folds):.2f} of {len(folds)} pairs,\nthe means over five folds in"
          f" {np.mean(means):.2f} of {len(means)}.\n")  # fmt: skip
    print("| cases of | 5 cases | 8 cases | 12 cases | 20 cases | 40 cases |")
    print("|---|---|---|---|---|---|")
    for name, architectures in sets.items():
        first, second = (_cases(one) for one in list(architectures.values())[:2])
        both = sorted(first.keys() & second.keys())
        print(f"| {name} | {' | '.join(covered(rng, np.array([*first.values()])))} |")
        gains = np.array([first[case] - second[case] for case in both])
        print(f"| {name}, differences | {' | '.join(covered(rng, gains))} |", flush=True)


def _read(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    for file in sorted(folder.glob("*.json.gz")):
        with gzip.open(file) as content:
            values = json.load(content)
        yield values["dataset"], values["architectures"]


def _table(architectures: dict[str, Any], value: Callable[[Any], float]) -> Array:
    rows = [[value(one[fold]) for fold in sorted(one)] for one in architectures.values()]
    return np.array(rows).T


def _agreements(architectures: dict[str, Any]) -> Iterator[tuple[bool, bool]]:
    """For each pair and fold whether the fold alone agrees, and whether all folds together do."""
    pseudo = _table(architectures, lambda fold: float(np.mean(fold["pseudo_dice"][-LAST:])))
    dice = _table(architectures, lambda fold: fold["foreground_mean_dice"])
    for i, j in combinations(range(dice.shape[1]), 2):
        told, found = pseudo[:, i] - pseudo[:, j], dice[:, i] - dice[:, j]
        together = bool(told.mean() * found.mean() > 0)
        yield from ((bool(a * b > 0), together) for a, b in zip(told, found, strict=True))


def _cases(architecture: dict[str, Any]) -> dict[str, float]:
    """Mean Dice over classes of each case, of all folds."""
    found = {}
    for fold in architecture.values():
        for case, classes in fold["cases"].items():
            values = [dice for dice, *_ in classes.values() if dice is not None]
            if values:
                found[case] = float(np.mean(values))
    return found
