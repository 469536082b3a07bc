"""The sweep as an experienced user of Ray Tune writes it by hand, around the same trainer.

A function trainable that trains an epoch, validates and reports; `ASHAScheduler` with its grace
period past the longest warm-up; early stopping by patience; and, with ``--nan-stopper``, a
``stop=`` that ends a trial whose training loss is NaN. No guard: a NaN is trained on until somebody
stops it, since the validation Dice stays a number.

Run by `peers.py`; prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sweep.spec.load import load_sweep, load_trial, to_yaml

CLIP_OFF = math.inf


def train(config: dict[str, Any]) -> None:
    """One trial: what Ray calls."""
    from ray import tune

    for result in epochs(load_trial(Path(config["file"]))):
        tune.report(result)


def epochs(settings: Any) -> Iterator[dict[str, Any]]:
    """Each epoch's results, by a plain training loop."""
    import numpy as np
    import torch

    from sweep.data.prepare import prepare
    from sweep.trainer.fit import early_stopping
    from sweep.trainer.optimizers import learning_rate, set_learning_rate
    from sweep.trainer.training import Training

    training = Training(settings, prepare(settings.data))
    chosen = settings.optimizer
    optimizer = torch.optim.SGD(
        training.model.parameters(),
        lr=chosen.lr,
        momentum=chosen.momentum,
        nesterov=True,
        weight_decay=chosen.weight_decay,
        fused=True,
    )
    stopping, broken, wasted = early_stopping(settings), False, 0
    for epoch in range(settings.trainer.epochs):
        set_learning_rate(optimizer, learning_rate(chosen, epoch, settings.trainer.epochs))
        training.model.train()
        losses = []
        for step in range(training.steps_per_epoch):
            wasted += broken
            passed = training.forward(training.batch(epoch, step), epoch, step)
            optimizer.zero_grad()
            torch.autograd.backward(passed.loss)
            norm = torch.nn.utils.clip_grad_norm_(
                training.model.parameters(), chosen.gradient_clip or CLIP_OFF
            )
            optimizer.step()
            losses.append(passed.loss.item())
            broken = broken or not math.isfinite(losses[-1]) or not math.isfinite(float(norm))
        dice = training.validate().mean() or 0.0
        yield {
            "epoch": epoch + 1,
            "val_dice": dice,
            "loss": float(np.mean(losses)),
            "steps": (epoch + 1) * training.steps_per_epoch,
            "wasted": wasted,
        }
        if stopping.update(epoch, dice):
            return


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("space", type=Path)
    parser.add_argument("scratch", type=Path)
    parser.add_argument("--set", action="append", default=[], dest="overrides")
    parser.add_argument("--nan-stopper", action="store_true")
    arguments = parser.parse_args()

    spec = load_sweep(arguments.space, arguments.overrides)
    from sweep.search.searcher import make_searcher

    searcher = make_searcher(spec)
    files = []
    for number in range(1, spec.trials):  # number 0 is the baseline's
        parameters = searcher.ask(number)
        assert parameters is not None
        file = arguments.scratch / f"{number:04d}.yaml"
        file.write_text(to_yaml(spec.trial(parameters)))
        files.append(str(file))

    from sweep.data.prepare import prepare

    prepare(spec.data)  # once, as a careful user would
    start = time.perf_counter()
    os.environ.setdefault("RAY_TRAIN_ENABLE_V2_MIGRATION_WARNINGS", "0")
    import ray
    from ray import tune
    from ray.tune.schedulers import ASHAScheduler

    def is_nan(trial_id: str, result: dict[str, Any]) -> bool:
        return math.isnan(result["loss"])

    ray.init(address="local", include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    scheduler = spec.scheduler
    tuner = tune.Tuner(
        tune.with_resources(train, {"cpu": 1}),
        param_space={"file": tune.grid_search(files)},
        tune_config=tune.TuneConfig(
            metric="val_dice",
            mode="max",
            scheduler=ASHAScheduler(
                time_attr="epoch",
                max_t=spec.trainer.epochs,
                grace_period=scheduler.grace_period,
                reduction_factor=scheduler.reduction_factor,
            ),
            max_concurrent_trials=spec.max_concurrent,
        ),
        run_config=tune.RunConfig(
            storage_path=str(arguments.scratch / "ray"),
            verbose=0,
            stop=is_nan if arguments.nan_stopper else None,
        ),
    )
    results = tuner.fit()
    seconds = time.perf_counter() - start
    best = results.get_best_result(scope="all")
    last = [result.metrics for result in results]
    print(
        json.dumps(
            {
                "steps": sum(metrics["steps"] for metrics in last),
                "seconds": seconds,
                "wasted": sum(metrics["wasted"] for metrics in last),
                "best": float(best.metrics_dataframe["val_dice"].max()),
                "winner": f"t{int(Path(best.config['file']).stem):04d}",
            }
        )
    )
    ray.shutdown()


if __name__ == "__main__":
    main()
