"""Made-up sweeps: 12 parameters, 20 epochs, with loss terms and metrics in each epoch."""

from __future__ import annotations

import math
from pathlib import Path
from random import Random
from typing import Any

from sweep.store.files import to_json
from sweep.store.layout import Layout, trial_id

EPOCHS = 20
SWEEP_YAML = """\
name: made-up
trials: {trials}
trainer: {{epochs: {epochs}}}
optimizer: {{name: sgd}}
space:
  loss.warmup_epochs: {{randint: [2, 8]}}
  loss.rampup_epochs: {{randint: [0, 5]}}
  loss.weights.compactness: {{loguniform: [1.0e-3, 1.0]}}
  loss.weights.boundary: {{loguniform: [1.0e-3, 1.0]}}
  loss.weights.aspect: {{loguniform: [1.0e-3, 1.0]}}
  loss.sqrt_epsilon: {{choice: [0, 1.0e-8, 1.0e-6, 1.0e-4]}}
  optimizer.lr: {{loguniform: [1.0e-3, 1.0]}}
  optimizer.momentum: {{uniform: [0.8, 0.99]}}
  optimizer.weight_decay: {{loguniform: [1.0e-6, 1.0e-2]}}
  trainer.batch_size: {{choice: [4, 8, 16]}}
  network.name: {{choice: [unet, dynunet]}}
  early_stopping.patience: {{choice: [3, 5, 8]}}
"""


def drawn(rng: Random) -> dict[str, Any]:
    return {
        "loss.warmup_epochs": rng.randrange(2, 8),
        "loss.rampup_epochs": rng.randrange(0, 5),
        **{
            f"loss.weights.{term}": 10 ** rng.uniform(-3, 0)
            for term in ("compactness", "boundary", "aspect")
        },
        "loss.sqrt_epsilon": rng.choice([0, 1e-8, 1e-6, 1e-4]),
        "optimizer.lr": 10 ** rng.uniform(-3, 0),
        "optimizer.momentum": rng.uniform(0.8, 0.99),
        "optimizer.weight_decay": 10 ** rng.uniform(-6, -2),
        "trainer.batch_size": rng.choice([4, 8, 16]),
        "network.name": rng.choice(["unet", "dynunet"]),
        "early_stopping.patience": rng.choice([3, 5, 8]),
    }


def epochs_of(rng: Random, top: float, count: int) -> list[dict[str, Any]]:
    found = []
    for epoch in range(count):
        dice = top * (1 - 0.4 * math.exp(-epoch / 3)) + rng.gauss(0, 0.003)
        terms = {"dice": 1 - dice, "cross_entropy": (1 - dice) / 2, "compactness": 0.3 - 0.2 * dice}
        values = {"train_loss": 1.2 - dice, "grad_norm": rng.uniform(0.1, 2), "terms": terms}
        measured = {"hd95": 30 * (1.02 - dice) * rng.uniform(1, 1.2), "nsd": min(1.0, dice + 0.02)}
        found.append(
            {"epoch": epoch, "val_dice": dice, "steps": 10, "seconds": 2.0, "metrics": measured}
            | values
        )
    return found


def write(folder: Path, trials: int) -> None:
    """Write a results folder without a journal, the same for the same number of trials."""
    layout, rng = Layout(folder), Random(trials)
    layout.trials.mkdir(parents=True)
    layout.sweep_yaml.write_text(SWEEP_YAML.format(trials=trials, epochs=EPOCHS))
    for number in range(trials):
        paths, parameters = layout.trial(trial_id(number)), drawn(rng)
        paths.folder.mkdir()
        off = abs(math.log10(parameters["loss.weights.compactness"]) + 1.5)
        top = 0.9 - 0.05 * off + rng.gauss(0, 0.004)
        diverges = parameters["loss.sqrt_epsilon"] == 0
        status = "diverged" if diverges else "pruned" if top < 0.86 else "completed"
        count = {"diverged": parameters["loss.warmup_epochs"], "pruned": EPOCHS // 2}
        end = {"parameters": parameters, "status": status, "cause": "nonfinite" * diverges}
        paths.trial.write_text(to_json(end))
        lines = epochs_of(rng, top, count.get(status, EPOCHS))
        paths.history.write_text("".join(f"{to_json(line)}\n" for line in lines))
