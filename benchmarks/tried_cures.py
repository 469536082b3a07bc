"""Whether a training ends once it follows an advice that was tried on the step that broke.

    python benchmarks/tried_cures.py --trainings 150

Trainings on drawn circles break by themselves: each has one or two faults of a small ε, a large
weight of a geometric term, float16, and a learning rate of 3 to 100 times the usual. Each that
broke with an advice that acts within a step is trained again with it. The guess is the advice that
would be given without trying any on the step.

The order of the advice was chosen on the seeds below 200.
"""

from __future__ import annotations

import argparse
import random
from collections import Counter
from collections.abc import Sequence
from typing import Any

import torch

from sweep.spec.settings.trial_settings import TrialSettings
from sweep.trainer.divergence.advice import Advice
from sweep.trainer.runs import explain, tried_cures
from sweep.trainer.runs.under_guard import StepAgain, UnderGuard
from sweep.trial.fit import fit

TERMS = ("compactness", "boundary", "aspect")
NETWORKS = ("unet", "dynunet", "attention_unet", "segresnet")
FAULTS = ("epsilon", "weight", "float16", "rate")


def draw(rng: random.Random) -> TrialSettings:
    """A training with one or two faults."""
    faults = rng.sample(FAULTS, k=rng.choice([1, 1, 1, 2]))
    weights = {term: 10 ** rng.uniform(-3, -1) for term in TERMS}
    epsilon, amp = rng.choice([1e-8, 1e-6, 1e-4]), rng.choice(["off", "bf16"])
    optimizer: dict[str, Any] = {"name": "adamw", "lr": 10 ** rng.uniform(-3.5, -2.5)}
    if rng.random() < 0.6:
        momentum, clip = rng.choice([0.0, 0.9, 0.99]), rng.choice([None, 12.0])
        optimizer = {"name": "sgd", "lr": 10 ** rng.uniform(-2, -1)}
        optimizer |= {"momentum": momentum, "gradient_clip": clip}
    if "epsilon" in faults:
        epsilon = rng.choice([0.0, 0.0, 1e-44, 1e-40, 1e-30])
    if "weight" in faults:
        weights[rng.choice(TERMS)] = 10 ** rng.uniform(1, 38)
    if "float16" in faults:
        amp = "fp16"
    if "rate" in faults:
        optimizer["lr"] *= 10 ** rng.uniform(0.5, 2)
    kind, difficulty = rng.choice(["one_circle", "several_circles"]), rng.choice([0, 0.3, 0.6])
    shapes = {"source": "shapes", "kind": kind, "difficulty": difficulty, "size": 32, "count": 40}
    loss = {"warmup_epochs": rng.choice([1, 2, 3]), "rampup_epochs": rng.choice([0, 1, 3])}
    mode = rng.choice(["clamp", "offset", "centered"])
    values = {
        "seed": rng.randrange(10**6),
        "data": shapes,
        "trainer": {"epochs": 8, "batch_size": 4, "device": "cpu", "amp": amp},
        "network": {"name": rng.choice(NETWORKS), "channels": [8, 16, 32]},
        "optimizer": optimizer,
        "loss": loss | {"sqrt_epsilon": epsilon, "sqrt_mode": mode, "weights": weights},
    }
    return TrialSettings.model_validate(values)


def outcome(settings: TrialSettings, advice: Advice) -> str:
    """How the training ends that follows an advice."""
    if not advice.change:
        return "cannot be tried"
    again = fit(tried_cures.changed(settings, advice.change))
    return "ends" if again.divergence is None else "breaks again"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--trainings", type=int, default=150)
    parser.add_argument("--first", type=int, default=200, help="seed of the first training")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    given: list[tuple[Advice, Advice]] = []
    tried = tried_cures.tried

    def watched(run: UnderGuard, again: StepAgain | None, advices: Sequence[Advice]) -> Advice:
        given.append((advices[0], tried(run, again, advices)))
        return given[-1][1]

    explain.tried = watched
    counts: Counter[str] = Counter()
    for seed in range(arguments.first, arguments.first + arguments.trainings):
        settings = draw(random.Random(seed))
        given.clear()
        if fit(settings).divergence is None:
            counts["ended"] += 1
            continue
        if not given:
            counts["broke over epochs"] += 1
            continue
        guess, advice = given[0]
        ends = outcome(settings, advice)
        words = {
            tried_cures.cured_words("that step"): "cures the step",
            tried_cures.refuted_words("that step"): "does not cure the step",
        }
        said = next((words[end] for end in words if advice.cure.endswith(end)), "was not tried")
        counts[f"broke; advice {said}: with it the training {ends}"] += 1
        if guess.setting != advice.setting:
            ends = outcome(settings, guess)
            counts[f"  another guess than the advice: with that the training {ends}"] += 1
    for line, count in sorted(counts.items(), key=lambda one: one[0].strip()):
        print(f"{count:>4} {line}")


if __name__ == "__main__":
    main()
