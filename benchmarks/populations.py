"""Simulated sweeps, of kinds of trials that recorded ones hold too few of.

A baseline rises as 0.9 (1 − e^(−t/15)), t of 100 parts of the training, with normal noise in each
epoch. Trials follow it up to a switch-on in the first half, then differ from it by the effect of
their kind (`EFFECTS`) and noise of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from tables import Curve, Table

Values = NDArray[np.float64]
Effect = Callable[[np.random.Generator, Values], Values]

EFFECTS: Mapping[str, Effect] = {
    # A little better or worse from the first epoch on.
    "mild": lambda draw, s: np.full(len(s), draw.uniform(-0.01, 0.01)),
    # In every epoch a loss of up to so much.
    "unstable": lambda draw, s: -draw.uniform(0, draw.uniform(0.05, 0.5), len(s)),
    # Falls for good.
    "declining": lambda draw, s: -draw.uniform(0.1, 0.6) * (1 - np.exp(-s / 15)),
    # Dips, then gains.
    "late": lambda draw, s: (
        draw.uniform(0, 0.025) * (1 - np.exp(-s / 25)) - draw.uniform(0.005, 0.02) * np.exp(-s / 8)
    ),
    # Only worse.
    "worse": lambda draw, s: np.full(len(s), -draw.uniform(0, 0.02)),
    # Falls deep, and comes back to a little better or worse.
    "healing": lambda draw, s: draw.uniform(-0.01, 0.01) - draw.uniform(0.1, 0.6) * np.exp(-s / 10),
    # A little better or worse, with an epoch of ruin now and then.
    "spiking": lambda draw, s: (
        draw.uniform(-0.01, 0.01)
        - draw.uniform(0.1, 0.5, len(s)) * (draw.uniform(0, 1, len(s)) < 0.1)
    ),
}
"""Difference to the baseline, ``s`` hundredths of a training after the switch-on."""


@dataclass(frozen=True, slots=True)
class Population:
    """What sweeps are drawn from.

    Args:
        shares: of each kind but *mild*, of which the rest is.
        diverging: share of the trials that turn NaN in some epoch after their switch-on.
    """

    shares: Mapping[str, float] = field(default_factory=dict)
    trials: int = 32
    epochs: int = 100
    noise: float = 0.004
    diverging: float = 0.0

    def draw(self, seed: int) -> Table:
        """The sweep of a seed."""
        draw = np.random.default_rng(seed)
        hundredths = np.arange(1, self.epochs + 1) * 100 / self.epochs
        clean = 0.9 * (1 - np.exp(-hundredths / 15))
        baseline = clean + draw.normal(0, self.noise, self.epochs)
        kinds = [
            kind for kind, share in self.shares.items() for _ in range(round(share * self.trials))
        ]
        kinds += ["mild"] * (self.trials - len(kinds))
        trials = [self._trial(draw, EFFECTS[kind], clean, baseline) for kind in kinds]
        order = draw.permutation(len(trials))
        known = Curve(self.epochs, tuple(baseline.tolist()), diverged=False)
        return Table(self.epochs, known, tuple(trials[number] for number in order))

    def _trial(
        self, draw: np.random.Generator, effect: Effect, clean: Values, baseline: Values
    ) -> Curve:
        switch_on = int(draw.integers(0, self.epochs // 2))
        since = np.arange(1, self.epochs - switch_on + 1) * 100 / self.epochs
        own = clean[switch_on:] + effect(draw, since) + draw.normal(0, self.noise, len(since))
        dice = [*baseline[:switch_on].tolist(), *own.tolist()]
        diverged = bool(draw.uniform() < self.diverging)
        if diverged:
            dice = dice[: int(draw.integers(switch_on + 1, self.epochs))]
        return Curve(switch_on, tuple(dice), diverged)


SIMULATED: Mapping[str, Population] = {
    "mild": Population(),
    "20 % unstable": Population({"unstable": 0.2}),
    "50 % unstable": Population({"unstable": 0.5}),
    "35 % declining": Population({"declining": 0.35}),
    "50 % late": Population({"late": 0.5}),
    "50 % late, 35 % unstable": Population({"late": 0.5, "unstable": 0.35}),
}
"""Those that the score was chosen on, with other seeds than `clocks.py` takes."""

MIXED: Mapping[str, float] = {"unstable": 0.2, "declining": 0.2, "late": 0.3}
OTHERS: Mapping[str, Population] = {
    "mixed": Population(MIXED),
    "mixed, noise 0.002": Population(MIXED, noise=0.002),
    "mixed, noise 0.01": Population(MIXED, noise=0.01),
    "mixed, 40 epochs": Population(MIXED, epochs=40),
    "mixed, 200 epochs": Population(MIXED, epochs=200),
    "mixed, 16 trials": Population(MIXED, trials=16),
    "mixed, 64 trials": Population(MIXED, trials=64),
    "mixed, 25 % diverge": Population(MIXED, diverging=0.25),
    "all worse than the baseline": Population({"worse": 1.0}),
    "35 % healing": Population({"healing": 0.35}),
    "35 % spiking": Population({"spiking": 0.35}),
    "50 % healing, 50 % late": Population({"healing": 0.5, "late": 0.5}),
}
"""Those that it was not."""
