"""The sweep as an experienced user of Ray Tune writes it by hand, around the same trainer.

A function trainable that trains an epoch, validates and reports; `ASHAScheduler` with its grace
period past the longest warm-up, since before that all trials are alike; early stopping by patience;
data that is prepared once; one thread a trial, as Ray wants it; else Ray's defaults. With
``--nan-stopper``, a ``stop=`` ends a trial whose training loss is NaN. No guard: a NaN is trained
on until somebody stops it, since the validation Dice stays a number. With ``--reuse-actors``, a
process serves one trial after the other, which is not Ray's default for a function. The
configurations are the project's random ones; with ``--tpe`` Ray's ``OptunaSearch`` proposes them.

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
from typing import TYPE_CHECKING, Any

from sweep.spec.load import load_sweep, load_trial, to_yaml

if TYPE_CHECKING:
    from sweep.spec.search.sweep_spec import SweepSpec
    from sweep.spec.settings.trial_settings import TrialSettings

CLIP_OFF = math.inf


def train(config: dict[str, Any]) -> None:
    """One trial: what Ray calls."""
    from ray import tune

    for result in epochs(load_trial(Path(config["file"]))):
        tune.report(result)


def train_proposed(config: dict[str, Any], spec: SweepSpec, folder: Path) -> None:
    """One trial of what `OptunaSearch` proposes. Its configuration is kept in a file."""
    from ray import tune

    from sweep.search.searchers.optuna_study import Translator

    settings = spec.trial(Translator(spec.drawn).decode(config))
    file = folder / f"{tune.get_context().get_trial_id()}.yaml"
    file.write_text(to_yaml(settings))
    for result in epochs(settings):
        tune.report(result | {"file": str(file)})


def epochs(settings: TrialSettings) -> Iterator[dict[str, Any]]:
    """Each epoch's results, by a plain training loop."""
    import numpy as np
    import torch

    from sweep.data.prepared.prepare import prepare
    from sweep.trainer.networks.optimizers import learning_rate, set_learning_rate
    from sweep.trainer.runs.monai_run import MonaiTraining
    from sweep.trainer.runs.run_protocol import Loop

    training = MonaiTraining(
        settings, prepare(settings.data)
    )  # network, loss and data; no guard is used
    chosen = settings.optimizer
    optimizer = torch.optim.SGD(
        training.model.parameters(),
        lr=chosen.lr,
        momentum=chosen.momentum,
        nesterov=True,
        weight_decay=chosen.weight_decay,
        fused=True,
    )
    stopping, best = Loop.of(settings).stopping, 0.0
    for epoch in range(settings.trainer.epochs):
        set_learning_rate(optimizer, learning_rate(chosen, epoch, settings.trainer.epochs))
        training.model.train()
        losses = []
        for step in range(training.steps_per_epoch):
            passed = training.forward(training.batch(epoch, step), epoch, step)
            optimizer.zero_grad()
            torch.autograd.backward(passed.loss)
            torch.nn.utils.clip_grad_norm_(
                training.model.parameters(), chosen.gradient_clip or CLIP_OFF
            )
            optimizer.step()
            losses.append(passed.loss.item())
        dice = training.dice_per_case().mean() or 0.0
        best = max(best, dice)
        loss = float(np.mean(losses))
        yield {"epoch": epoch + 1, "val_dice": dice, "best_dice": best, "loss": loss}
        if stopping.update(epoch, dice):
            return


def configurations(spec: SweepSpec, folder: Path) -> list[str]:
    """A file for each configuration that the project's random search draws, in its order."""
    from sweep.search.searchers.searcher import make_searcher

    searcher = make_searcher(spec)
    files = []
    for number in range(1, spec.trials):  # number 0 is the baseline's
        parameters = searcher.ask(number)
        assert parameters is not None
        file = folder / f"t{number:04d}.yaml"
        file.write_text(to_yaml(spec.trial(parameters)))
        files.append(str(file))
    return files


def file_of(result: Any) -> str:
    """The configuration of a trial."""
    return str({**result.config, **result.metrics}["file"])


def search_of(spec: SweepSpec) -> Any:
    """Ray's Optuna searcher over the space, as its documentation shows it."""
    from ray.tune.search.optuna import OptunaSearch

    from sweep.search.searchers.optuna_study import Translator

    space = dict(Translator(spec.drawn).distributions)
    return OptunaSearch(space=space, metric="val_dice", mode="max", seed=spec.seed)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("space", type=Path)
    parser.add_argument("scratch", type=Path)
    parser.add_argument("--set", action="append", default=[], dest="overrides")
    parser.add_argument("--nan-stopper", action="store_true")
    parser.add_argument("--reuse-actors", action="store_true")
    parser.add_argument("--tpe", action="store_true")
    arguments = parser.parse_args()

    spec = load_sweep(arguments.space, arguments.overrides)
    files = [] if arguments.tpe else configurations(spec, arguments.scratch)

    from sweep.data.prepared.prepare import prepare

    prepare(spec.data)  # once, as a careful user would
    start = time.perf_counter()
    os.environ.setdefault("RAY_TRAIN_ENABLE_V2_MIGRATION_WARNINGS", "0")
    os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")  # nobody reads their files
    import ray
    from ray import tune
    from ray.tune.schedulers import ASHAScheduler

    def is_nan(trial_id: str, result: dict[str, Any]) -> bool:
        return math.isnan(result["loss"])

    ray.init(address="local", include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    scheduler: Any = spec.scheduler
    trainable: Any = train
    if arguments.tpe:
        trainable = tune.with_parameters(train_proposed, spec=spec, folder=arguments.scratch)
    tuner = tune.Tuner(
        tune.with_resources(trainable, {"cpu": 1}),
        param_space=None if arguments.tpe else {"file": tune.grid_search(files)},
        tune_config=tune.TuneConfig(
            search_alg=search_of(spec) if arguments.tpe else None,
            num_samples=spec.trials - 1 if arguments.tpe else 1,
            metric="val_dice",
            mode="max",
            scheduler=ASHAScheduler(
                time_attr="epoch",
                max_t=spec.trainer.epochs,
                grace_period=scheduler.grace_period,
                reduction_factor=scheduler.reduction_factor,
            ),
            max_concurrent_trials=spec.max_concurrent,
            reuse_actors=arguments.reuse_actors,
        ),
        run_config=tune.RunConfig(
            storage_path=str(arguments.scratch / "ray"),
            verbose=0,
            stop=is_nan if arguments.nan_stopper else None,
        ),
    )
    results = tuner.fit()
    best = results.get_best_result("best_dice")
    seconds = time.perf_counter() - start
    metrics = best.metrics
    assert metrics is not None
    file, found = Path(file_of(best)), metrics["best_dice"]
    told = {"seconds": seconds, "found": found, "winner": file.stem, "config": str(file)}
    trained = [(file_of(r), r.metrics["epoch"]) for r in results if r.config and r.metrics]
    print(json.dumps(told | {"trained": trained}))
    ray.shutdown()


if __name__ == "__main__":
    main()
