"""Whether the probability of divergence is right where a scheduler cuts trials short.

    python benchmarks/risk.py

Trials with a known hazard in each epoch since their switch-on are drawn, some are pruned, and
`sweep.analysis.divergence_rates` estimates how many diverge in a complete training. For each number
of trials: how often the 90 % interval holds the truth, the mean estimate, and in brackets the mean
share of the diverged, which is what counting says.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sweep.analysis.divergence_rates import Exposure, rate_of

Floats = NDArray[np.float64]

EPOCHS = np.arange(100)
HAZARDS: dict[str, Floats] = {
    "never": np.zeros(100),
    "3 % an epoch": np.full(100, 0.03),
    "0.3 % an epoch": np.full(100, 0.003),
    "30 % in the first": np.where(EPOCHS == 0, 0.3, 0.0),
    "first epochs": 0.25 * np.exp(-EPOCHS / 3),
    "last epochs": np.where(EPOCHS >= 42, 0.03, 0.0),
    "nearly all": np.where(EPOCHS < 3, 0.7, 0.0),
    "unseen: growing": 0.0003 * EPOCHS,
    "unseen: a late bump": np.where((EPOCHS > 30) & (EPOCHS < 36), 0.08, 0.001),
}
LENGTHS = {"70 epochs": (70,), "50 to 100 epochs": (50, 60, 70, 100)}
RUNGS = {
    "nobody": (),
    "half at 4": ((4, 0.5),),
    "2/3 at 4, 12, 36": ((4, 2 / 3), (12, 2 / 3), (36, 2 / 3)),
}
TRIALS = (3, 8, 20, 40, 100)
SWEEPS = 400


def draw(
    rng: np.random.Generator,
    trials: int,
    hazard: Floats,
    lengths: Sequence[int],
    rungs: Sequence[tuple[int, float]],
) -> list[Exposure]:
    """Trials of one sweep, pruned at rungs (epochs since the switch-on, share) whatever they do."""
    found = []
    for length in rng.choice(lengths, trials):
        fell = np.flatnonzero(rng.random(length) < hazard[:length])
        pruned = next((epochs for epochs, share in rungs if rng.random() < share), length)
        died = int(fell[0]) + 1 if len(fell) else None
        diverged = died is not None and died <= pruned
        epochs = died if diverged and died is not None else min(pruned, int(length))
        found.append(Exposure(epochs, int(length), diverged=diverged))
    return found


def truth(hazard: Floats, exposures: Sequence[Exposure]) -> float:
    """How probable it is that one of these trials diverges when nobody cuts it short."""
    return float(np.mean([1 - np.prod(1 - hazard[: one.whole]) for one in exposures]))


def judged(
    trials: int, hazard: Floats, lengths: Sequence[int], rungs: Sequence[tuple[int, float]]
) -> tuple[float, float, float]:
    """Coverage, mean estimate and mean share of the diverged over `SWEEPS` sweeps."""
    rng = np.random.default_rng(trials)
    held, means, shares = [], [], []
    for _ in range(SWEEPS):
        exposures = draw(rng, trials, hazard, lengths, rungs)
        rate, right = rate_of(exposures), truth(hazard, exposures)
        low, high = rate.interval
        held.append(low - 1e-9 <= right <= high + 1e-9)
        means.append(rate.mean)
        shares.append(rate.diverged / rate.trials)
    return float(np.mean(held)), float(np.mean(means)), float(np.mean(shares))


def main() -> None:
    heads = " | ".join(f"{n} trials" for n in TRIALS)
    print(f"| training | hazard | pruned | truth | {heads} |")
    print("|---|---|---|---|" + "---|" * len(TRIALS))
    for (length, lengths), (name, hazard), (who, rungs) in (
        (a, b, c) for a in LENGTHS.items() for b in HAZARDS.items() for c in RUNGS.items()
    ):
        right = np.mean([1 - np.prod(1 - hazard[:n]) for n in lengths])
        cells = [judged(n, hazard, lengths, rungs) for n in TRIALS]
        told = " | ".join(f"{held:.2f}: {mean:.2f} ({count:.2f})" for held, mean, count in cells)
        print(f"| {length} | {name} | {who} | {right:.2f} | {told} |", flush=True)


if __name__ == "__main__":
    main()
