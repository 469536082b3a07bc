"""Whether the patience that is called enough is enough for trials that were not asked.

    python benchmarks/patience.py      # a minute on one core

Curves of 60 epochs rise to a plateau, with noise from epoch to epoch. Of *late* ones, one in eight
gains 0.05 between epochs 30 and 50; of *steps* each gains up to 0.02 between 20 and 50; *coarse*
ones are rounded to 0.01. A patience is chosen on a few of 3,000 curves as the report does: the
cheapest that costs them at most 0.002 on average. *said*: what it costs those few; *true*: what it
costs all; *over*: how often the true mean is above 0.002 and above 0.004. *By one standard error*:
the same, chosen by the mean plus its standard error.
"""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray

from sweep.analysis.patience.patience_replay import LADDER
from sweep.vocabulary.early_stopping import EarlyStopping
from sweep.vocabulary.objective import TOLERANCE

Floats = NDArray[np.float64]

EPOCHS, CURVES, TRIES = 60, 3000, 300
PATIENCES = [patience for patience in LADDER if patience <= EPOCHS // 2]
NOISES = {"quiet": 0.001, "noisy": 0.006, "slow rise": 0.004, "steps": 0.003, "late": 0.003,
          "coarse": 0.004}  # fmt: skip


def curves(rng: np.random.Generator, kind: str) -> Floats:
    """``[curves, epochs]``."""
    epoch = np.arange(1, EPOCHS + 1)
    top, rise = rng.uniform(0.85, 0.93, (CURVES, 1)), rng.uniform(4, 15, (CURVES, 1))
    found: Floats = top * (1 - np.exp(-epoch / rise))
    if kind == "slow rise":
        found += 0.0003 * epoch
    if kind == "steps":
        gain = rng.uniform(0, 0.02, (CURVES, 1))
        found += gain * (epoch > rng.integers(20, 50, (CURVES, 1)))
    if kind == "late":
        is_late = rng.random((CURVES, 1)) < 1 / 8
        found -= 0.05 * is_late * (epoch < rng.integers(30, 50, (CURVES, 1)))
    found += NOISES[kind] * rng.standard_normal(found.shape)
    return np.round(found, 2) if kind == "coarse" else found


def lost(table: Floats) -> Floats:
    """Dice lost under each of `PATIENCES`, ``[patiences, curves]``."""
    rows = []
    for curve in table.tolist():
        stops = EarlyStopping(patience=None, min_delta=0.0, first_epoch=0).waits(enumerate(curve))
        ends = [stops[p - 1] if p <= len(stops) else EPOCHS for p in PATIENCES]
        rows.append([max(curve[:end]) for end in ends])
    best = np.array(rows).T
    return best.max(axis=0) - best


def chosen(losses: Floats, errors: float) -> int:
    """Place of the patience that is called enough."""
    error = losses.std(axis=1, ddof=1) / losses.shape[1] ** 0.5
    close = np.flatnonzero(losses.mean(axis=1) + errors * error <= TOLERANCE)
    return int(close[0])


def main() -> None:
    print("| curves | asked | said, true | over | by one standard error: said, true | over |")
    print("|---|---|---|---|---|---|")
    for kind, asked in product(NOISES, (6, 12, 24, 48)):
        rng = np.random.default_rng(1)
        losses = lost(curves(rng, kind))
        true, cells = losses.mean(axis=1), []
        samples = [losses[:, rng.integers(CURVES, size=asked)] for _ in range(TRIES)]
        for errors in (0.0, 1.0):
            places = [chosen(sample, errors) for sample in samples]
            said = np.mean([s[p].mean() for s, p in zip(samples, places, strict=True)])
            over = [100 * np.mean(true[places] > n * TOLERANCE) for n in (1, 2)]
            cells += [f"{said:.4f}, {true[places].mean():.4f}", f"{over[0]:.0f} %, {over[1]:.0f} %"]
        print(f"| {kind} | {asked} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
