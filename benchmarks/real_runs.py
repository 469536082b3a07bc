"""The guard against real runs, sane to absurd, judged by an oracle that knows nothing of it.

    python benchmarks/real_runs.py

Each configuration is trained twice to the end of its epochs or its verdict: by a plain loop without
any guard, whose end the oracle looks at, and guarded. The oracle sees the plain run alone:

- **dead**: a weight is not finite; or the main loss of the last epoch is over 10 times that of the
  untrained network; or the mean Dice of the last three epochs is under a tenth of the best, or no
  epoch reached 0.1.
- **healthy**: none of that; Dice of the last three epochs at least 0.9 of the best; main loss of
  the last epoch at most twice that of the best epoch and not above the untrained network's.
- **hurt**: in between. It has a result, a bad one: both verdicts on it are right.

A healthy run that the guard ends is a false alarm, a dead one that it lets through is missed.
"""

from __future__ import annotations

import math
import sys
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import nn

from sweep.data.prepared.prepare import prepare
from sweep.spec.load import load_trial
from sweep.spec.settings.geometric_terms import TERMS
from sweep.spec.settings.trial_settings import OptimizerSettings, TrialSettings
from sweep.trainer.networks.optimizers import learning_rate, set_learning_rate
from sweep.trainer.runs.monai_run import MonaiTraining
from sweep.trial.fit import fit
from sweep.vocabulary.record import Outcome, Status

BASE = Path(__file__).with_name("real_runs.yaml")
Health = Literal["healthy", "hurt", "dead"]


def configurations() -> list[tuple[str, ...]]:
    """Overrides of `BASE`; the seeds are others than those that the thresholds were chosen on."""
    weights = [f"loss.weights.{term}" for term in ("compactness", "boundary", "aspect")]
    return [
        *_all(
            [f"loss.sqrt_epsilon={e}" for e in ("0", "1e-8", "1e-4", "1e-2")],
            [f"loss.sqrt_mode={mode}" for mode in ("clamp", "offset", "centered")],
            ["loss.weights.compactness=1"],
            ["seed=11"],
        ),
        *_all(
            [f"optimizer.lr={rate}" for rate in ("1e-3", "0.01", "1", "10", "1e3", "1e20")],
            ["optimizer.gradient_clip=12", "optimizer.gradient_clip=null"],
            ["seed=12", "seed=13"],
        ),
        *_all(
            [f"{weight}={value}" for weight in weights for value in (1, 1000)],
            ["optimizer.gradient_clip=12", "optimizer.gradient_clip=null"],
            ["loss.sqrt_epsilon=1e-8"],
            ["seed=14"],
        ),
        *_all(
            ["optimizer.name=adamw"],
            [f"optimizer.lr={rate}" for rate in ("1e-3", "0.01", "1", "100")],
            ["seed=15"],
        ),
        *_all(
            [f"network.name={name}" for name in ("dynunet", "attention_unet")],
            ["optimizer.lr=0.1", "optimizer.lr=100", "loss.sqrt_epsilon=0"],
            ["data.difficulty=0.5"],
            ["seed=16"],
        ),
        *_all(["trainer.amp=bf16", "trainer.amp=fp16"], ["optimizer.lr=0.1", "optimizer.lr=1e3"]),
        *_all(
            ["loss.sqrt_epsilon=0"],
            ["trainer.amp=off", "trainer.amp=fp16"],
            ["guard.on_nonfinite=skip"],
        ),
    ]


def _all(*choices: list[str]) -> list[tuple[str, ...]]:
    return list(product(*choices))


@dataclass(frozen=True, slots=True)
class PlainRun:
    """What a run without a guard came to.

    Args:
        untrained: main loss of its first step.
        losses: mean main loss of each epoch.
        dice: validation Dice of each epoch.
        weights_finite: at the end.
    """

    untrained: float
    losses: list[float]
    dice: list[float]
    weights_finite: bool

    @property
    def health(self) -> Health:
        """The oracle: see the head of this file."""
        last, best, end = self.losses[-1], max(self.dice), float(np.mean(self.dice[-3:]))
        lost = end < 0.1 * best or best < 0.1
        if not self.weights_finite or not last <= 10 * self.untrained or lost:
            return "dead"
        well = end >= 0.9 * best and last <= 2 * min(self.losses) and last <= self.untrained
        return "healthy" if well else "hurt"


def train_plainly(settings: TrialSettings) -> PlainRun:
    """Every epoch to the last, with a clip and nothing else; without a scaler."""
    training = MonaiTraining(settings, prepare(settings.data))
    chosen = settings.optimizer
    optimizer = _plain_optimizer(chosen, training.model.parameters())
    losses: list[list[float]] = []
    dice: list[float] = []
    for epoch in range(settings.trainer.epochs):
        set_learning_rate(optimizer, learning_rate(chosen, epoch, settings.trainer.epochs))
        training.model.train()
        losses.append([])
        for step in range(training.steps_per_epoch):
            passed = training.forward(training.batch(epoch, step), epoch, step)
            optimizer.zero_grad()
            torch.autograd.backward(passed.loss)
            clip = chosen.gradient_clip or math.inf
            torch.nn.utils.clip_grad_norm_(training.model.parameters(), clip)
            optimizer.step()
            main = [v for n, v in passed.terms.items() if n not in TERMS]
            losses[-1].append(float(sum(value.item() for value in main)))
        dice.append(training.dice_per_case().mean() or 0.0)
    means = [float(np.mean(values)) for values in losses]
    return PlainRun(losses[0][0], means, dice, training.weights_are_finite())


def _plain_optimizer(
    chosen: OptimizerSettings, parameters: Iterable[nn.Parameter]
) -> torch.optim.Optimizer:
    if chosen.name == "adamw":
        return torch.optim.AdamW(parameters, lr=chosen.lr, weight_decay=chosen.weight_decay)
    return torch.optim.SGD(
        parameters,
        lr=chosen.lr,
        momentum=chosen.momentum,
        nesterov=True,
        weight_decay=chosen.weight_decay,
    )


@dataclass(frozen=True, slots=True)
class Classified:
    """One configuration, what became of it, and what the guard said."""

    overrides: tuple[str, ...]
    plain: PlainRun
    outcome: Outcome

    @property
    def judgement(self) -> str:
        diverged = self.outcome.status is Status.DIVERGED
        if self.plain.health == "healthy" and diverged:
            return "FALSE ALARM"
        if self.plain.health == "dead" and not diverged:
            return "MISSED"
        return "right"

    def __str__(self) -> str:
        pairs = [part.split("=") for part in self.overrides]
        short = " ".join(f"{key.rpartition('.')[2]}={value}" for key, value in pairs)
        dice = f"{self.plain.dice[-1]:.2f} of {max(self.plain.dice):.2f}"
        loss = f"{self.plain.losses[-1]:.3g}"
        finite = "finite" if self.plain.weights_finite else "broken"
        verdict = self.outcome.cause or str(self.outcome.status)
        return f"| {short} | {dice} | {loss} | {finite} | {self.plain.health} | {verdict} |"


def classify(overrides: tuple[str, ...]) -> Classified:
    settings = load_trial(BASE, overrides)
    return Classified(overrides, train_plainly(settings), fit(settings))


def main() -> None:
    start = time.perf_counter()
    print("| run | Dice | main loss | weights | without a guard | the guard says |")
    print("|---|---|---|---|---|---|")
    runs = []
    for overrides in configurations():
        runs.append(classify(overrides))
        print(runs[-1], flush=True)
    seconds = time.perf_counter() - start
    counts = Counter((run.plain.health, run.judgement) for run in runs)
    print(f"\n{len(runs)} runs in {seconds:.0f} s")
    for (health, judgement), count in sorted(counts.items()):
        print(f"{health:8s} {judgement:12s} {count}")
    sys.exit(any(run.judgement != "right" for run in runs))


if __name__ == "__main__":
    main()
