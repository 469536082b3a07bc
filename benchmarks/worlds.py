"""Worlds in which a sweep can be run without training: a curve for every configuration of a space.

*Recorded*: curves of `curves/`, of trials that were really trained. A configuration gets the curve
of the nearest recorded one, its difference to its own baseline, laid on the baseline of the world
from the configuration's own switch-on. *Simulated*: a landscape over the parameters that is drawn
with the seed (`Landscape`), and one in which a learning rate is searched, so that no two trials
share a warm-up (`LearningRates`).
"""

from __future__ import annotations

import functools
import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from record import parameters
from tables import CURVES, Curve, Table

from sweep.spec.load import load_sweep

Parameters = Mapping[str, Any]
WEIGHTS = ("compactness", "boundary", "aspect")


class World(Protocol):
    """Curves of all configurations of one space.

    Attributes:
        spec: values of the sweep's file.
    """

    spec: dict[str, Any]

    def curve(self, parameters: Parameters) -> Curve:
        """Of a trial; without the weights in ``parameters``, of the baseline."""
        ...


def _settings(epochs: int, space: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "name": "world",
        "trials": 49,
        "trainer": {"epochs": epochs},
        "loss": {"warmup_epochs": 0, "rampup_epochs": 0},
        "early_stopping": {"patience": 30},
        "space": space,
    } | more


@dataclass(frozen=True, slots=True)
class _Entry:
    """A recorded trial: where it lies, and its differences to its baseline since its switch-on."""

    place: tuple[float, ...]
    since: tuple[float, ...]
    diverged: bool


def _place(drawn: Parameters) -> tuple[float, ...]:
    weights = [math.log10(drawn[f"loss.weights.{name}"]) / 1.5 for name in WEIGHTS]
    epsilon = drawn["loss.sqrt_epsilon"]
    scale = -12 if epsilon == 0 else math.log10(epsilon)
    return (*weights, scale / 3, drawn["loss.warmup_epochs"] / 100)


@functools.cache
def _recorded(name: str) -> tuple[Table, tuple[_Entry, ...], dict[str, Any]]:
    """A table, its trials, and the space that they were drawn from."""
    table = Table.read(CURVES / f"{name}.json")
    peers = name.startswith("peers_")
    file = Path(__file__).with_name("peers.yaml") if peers else CURVES / f"{name}.yaml"
    seed = [f"seed={name.rpartition('_')[2]}"] if peers else []
    spec = load_sweep(file, ["early_stopping.patience=null", *seed])
    baseline = _to_end(table.baseline.dice, table.epochs)
    entries = []
    for drawn, trial in zip([*parameters(spec)][1:], table.trials, strict=False):
        own = range(trial.warmup, len(trial.dice))
        since = tuple(trial.dice[epoch] - baseline[epoch] for epoch in own)
        entries.append(_Entry(_place(drawn), since, trial.diverged))
    space = spec.model_dump(mode="json")["space"]
    space.pop("early_stopping.patience", None)
    return table, tuple(entries), space


def _to_end(dice: Sequence[float], epochs: int) -> list[float]:
    return [*dice, *[dice[-1]] * (epochs - len(dice))]


class Recorded:
    """The space of recorded sweeps.

    Args:
        name: of the table whose baseline it is.
        pool: tables whose trials it has; of one space and number of epochs.
    """

    def __init__(self, name: str, pool: Sequence[str]) -> None:
        table, _, space = _recorded(name)
        self._baseline = _to_end(table.baseline.dice, table.epochs)
        self._entries = [entry for other in pool for entry in _recorded(other)[1]]
        self._places = np.array([entry.place for entry in self._entries])
        self.spec = _settings(table.epochs, space)

    def curve(self, parameters: Parameters) -> Curve:
        if "loss.sqrt_epsilon" not in parameters:
            return Curve(0, tuple(self._baseline), diverged=False)
        distance = ((self._places - _place(parameters)) ** 2).sum(axis=1)
        entry = self._entries[int(distance.argmin())]
        warmup = parameters["loss.warmup_epochs"]
        left = len(self._baseline) - warmup
        since = (
            entry.since[:left] if entry.diverged else _to_end(entry.since or (0.0,), left)[:left]
        )
        own = [self._baseline[warmup + n] + gain for n, gain in enumerate(since)]
        diverged = entry.diverged and len(entry.since) < left
        return Curve(warmup, (*self._baseline[:warmup], *own), diverged)


class Landscape:
    """The users' space over a landscape that is drawn with the seed.

    A trial follows the baseline, 0.9 (1 − e^(−t/15)), up to its switch-on, then comes to a gain
    over it that depends on where it lies: bumps over the logarithms of the three weights and an
    effect of ε, together between −0.02 and 0.03. On the way it dips, and recovers with a time
    constant that depends on the aspect weight. Where the compactness weight is larger than a limit,
    a trial is unstable or declines; with ε = 0 and with a small ε at a large weight it diverges.
    Noise in each epoch and between trials is 0.002 to 0.005.
    """

    def __init__(self, seed: int, epochs: int = 100) -> None:
        draw = random.Random(f"landscape {seed}")
        self._seed, self._epochs = seed, epochs
        self._best = {name: draw.uniform(-2.7, -0.5) for name in WEIGHTS}
        self._width = {name: draw.uniform(0.4, 1.2) for name in WEIGHTS}
        shares = [draw.expovariate(1) for _ in WEIGHTS]
        self._size = {
            n: 0.04 * share / sum(shares) for n, share in zip(WEIGHTS, shares, strict=True)
        }
        self._offset = draw.uniform(-0.015, -0.005)
        self._limit = draw.uniform(-1, 0.2)
        self._unstable = draw.random() < 0.5
        self._noise = draw.uniform(0.002, 0.005)
        self._slow = draw.uniform(3, 25)
        self._epsilon = {
            1e-8: 1.0,
            1e-6: 1.0,
            1e-4: draw.uniform(0.5, 1),
            1e-2: draw.uniform(0, 0.6),
        }
        self.spec = _settings(
            epochs,
            {
                "loss.warmup_epochs": {"randint": [0, epochs // 2 + 1]},
                **{f"loss.weights.{name}": {"loguniform": [1e-3, 1]} for name in WEIGHTS},
                "loss.sqrt_epsilon": {"choice": [0, 1e-8, 1e-6, 1e-4, 1e-2]},
            },
        )
        noise = np.random.default_rng([seed, 1])
        t = np.arange(1, epochs + 1) * 100 / epochs
        clean = 0.9 * (1 - np.exp(-t / 15))
        self._clean, self._baseline = clean, clean + noise.normal(0, self._noise, epochs)

    def curve(self, parameters: Parameters) -> Curve:
        if "loss.sqrt_epsilon" not in parameters:
            return Curve(0, tuple(self._baseline.tolist()), diverged=False)
        log = {name: math.log10(parameters[f"loss.weights.{name}"]) for name in WEIGHTS}
        epsilon, warmup = parameters["loss.sqrt_epsilon"], parameters["loss.warmup_epochs"]
        start = random.Random(repr(sorted(parameters.items()))).getrandbits(32)
        noise = np.random.default_rng([self._seed, start])
        since = np.arange(1, self._epochs - warmup + 1) * 100 / self._epochs
        bumps = sum(
            self._size[name]
            * math.exp(-0.5 * ((log[name] - self._best[name]) / self._width[name]) ** 2)
            for name in WEIGHTS
        )
        gain = (
            self._offset
            + self._epsilon.get(epsilon, 1.0) * bumps
            + noise.normal(0, self._noise / 2)
        )
        slow = 2 + self._slow * (log["aspect"] + 3) / 3
        effect = gain * (1 - np.exp(-since / slow)) - 0.3 * 10 ** (log["aspect"] - 1) * np.exp(
            -since / slow
        )
        over = max(0.0, log["compactness"] - self._limit)
        if over and self._unstable:
            effect = effect - noise.uniform(0, 0.5 * over, len(since))
        elif over:
            effect = effect - 0.5 * over * (1 - np.exp(-since / 15))
        own = self._clean[warmup:] + effect + noise.normal(0, self._noise, len(since))
        dice = [*self._baseline[:warmup].tolist(), *np.maximum(own, 0).tolist()]
        diverged = epsilon == 0 or (epsilon == 1e-8 and log["compactness"] > -1.5)
        if diverged:
            dice = dice[: warmup + int(noise.integers(0, 3))]
        return Curve(warmup, tuple(dice), diverged and len(dice) < self._epochs)


class LearningRates:
    """A learning rate is searched beside the weights, after a warm-up: no two share a trunk.

    The Dice falls with the square of the distance to the best learning rate; a small rate is slow,
    a rate over a limit diverges. The weights act as in `Landscape`.
    """

    def __init__(self, seed: int, epochs: int = 80) -> None:
        draw = random.Random(f"learning rates {seed}")
        self._epochs = epochs
        self._inner = Landscape(seed, epochs)
        self._rate, self._limit = draw.uniform(-2.2, -1), draw.uniform(0.5, 1.2)
        self._drop, self._slow = draw.uniform(0.01, 0.05), draw.uniform(0.2, 0.5)
        space = {k: v for k, v in self._inner.spec["space"].items() if "weights" in k}
        self.spec = _settings(
            epochs,
            space | {"optimizer.lr": {"loguniform": [1e-3, 1]}},
            loss={"warmup_epochs": epochs // 10, "rampup_epochs": 0, "sqrt_epsilon": 1e-6},
        )

    def curve(self, parameters: Parameters) -> Curve:
        rate = math.log10(parameters["optimizer.lr"]) - self._rate
        fixed = {"loss.warmup_epochs": self._epochs // 10, "loss.sqrt_epsilon": 1e-6}
        inner = self._inner.curve({**parameters, **fixed})
        t = np.arange(1, self._epochs + 1) * 100 / self._epochs
        slower = (1 - np.exp(-t / 15 * 10 ** (self._slow * min(rate, 0.3)))) / (1 - np.exp(-t / 15))
        dice = np.array(inner.dice) * slower - self._drop * rate**2
        diverged = rate > self._limit
        end = 3 if diverged else self._epochs
        return Curve(inner.warmup, tuple(np.maximum(dice, 0)[:end].tolist()), diverged)
