"""What a sweep by default saves against a hand-written script of Ray Tune, without any training.

    python benchmarks/default_search.py [--seeds 8] [--of chosen | unseen] [--worlds peers …]
                                        [--variants default …]

Sweeps of 48 trials, two at a time, through the real controller, searchers and schedulers, over
curves that are functions of the parameters (`worlds.py`). *chosen*: the worlds on which the default
was chosen; *unseen*: those that were opened after it.

- *script*: Ray's own OptunaSearch (TPE) and ASHAScheduler, called as Ray's controller calls them.
  It shares nothing, and compares Dice by trained epochs, from past the longest warm-up on; each
  rung keeps a quarter, Ray's default. A diverged trial ends at once and raises.
- *script, other seed*: the same with another seed. What it differs by is luck.
- *default*: `tpe`, each trial judged on arrival.
- *pause: true*: `tpe`, trials wait.
- *random*: `searcher: random`, trials wait.
- *more rungs*: the rungs of the clock `epochs` lie a factor of 2 apart, not 3.
- *gp*: `searcher: gp`. Set OMP_NUM_THREADS=1: on all cores it takes several times the CPU time.

*Fewer epochs* and *less time* are means over sweeps of the script's over the variant's; time is
counted in epochs of which two are trained at once, waiting included. The warm-up and the baseline
of this project are counted, once. *Dice* is what the winner reaches under full training; *behind*
is how far that is below the script's, of the same seed.
"""

from __future__ import annotations

import argparse
import logging
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import optuna
from ray.tune.schedulers import ASHAScheduler
from ray.tune.search.optuna import OptunaSearch as RaysOptunaSearch
from tables import Curve
from worlds import Landscape, LearningRates, Recorded, World

from sweep.engine.decisions import sweep_controller
from sweep.engine.decisions.sweep_controller import SweepController
from sweep.search.schedulers.decision import Decision
from sweep.search.searchers.optuna_study import Translator
from sweep.spec.search.shared_warmup import branching_epochs
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.vocabulary.early_stopping import EarlyStopping
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.record import Divergence, Outcome, Status

TRIALS, AT_A_TIME, PATIENCE = 48, 2, 30
RAYS_FACTOR = 4
NAN = Divergence(cause="nonfinite", epoch=0, step=0, message="")

WORLDS: Mapping[str, Mapping[str, Callable[[int], World]]] = {
    "chosen": {
        "peers": lambda seed: Recorded(f"peers_{seed % 4}", [f"peers_{n}" for n in range(4)]),
        "landscape": Landscape,
        "learning rates": LearningRates,
    },
    "unseen": {
        "peers": lambda seed: Recorded(
            f"peers_{4 + seed % 4}", [f"peers_{n}" for n in (4, 5, 6, 7)]
        ),
        "large weights": lambda _: Recorded(
            "unseen/one_circle_30", ["unseen/one_circle_30", "damaged/one_circle_30"]
        ),
        "landscape": lambda seed: Landscape(1000 + seed),
        "landscape, 40 epochs": lambda seed: Landscape(2000 + seed, epochs=40),
        "learning rates": lambda seed: LearningRates(1000 + seed),
        "learning rates, 40 epochs": lambda seed: LearningRates(3000 + seed, epochs=40),
    },
}
OURS: Mapping[str, Mapping[str, Any]] = {
    "default": {},
    "pause: true": {"scheduler": {"name": "asha", "pause": True}},
    "random": {"searcher": "random"},
    "more rungs": {"scheduler": {"name": "asha", "rung_factor": 2}},
    "random, more rungs": {"searcher": "random", "scheduler": {"name": "asha", "rung_factor": 2}},
    "gp": {"searcher": "gp"},
    "gp, pause: true": {"searcher": "gp", "scheduler": {"name": "asha", "pause": True}},
}
USUAL = ("default", "pause: true", "random")


@dataclass
class Came:
    """What a sweep came to.

    Args:
        epochs: trained.
        time: epochs of wall time.
        dice: of the winner under full training.
        diverged: number of trials that did.
    """

    epochs: int = 0
    time: int = 0
    dice: float = 0.0
    diverged: int = 0
    found: float = field(default=-1.0, repr=False)

    def see(self, curve: Curve, epoch: int) -> None:
        """Note an epoch of a candidate."""
        self.epochs += 1
        if not curve.diverged and curve.dice[epoch] > self.found:
            self.found, self.dice = curve.dice[epoch], curve.best


def length(curve: Curve) -> int:
    """Epochs until patience ends the trial."""
    stopping = EarlyStopping(patience=PATIENCE, min_delta=0, first_epoch=curve.warmup)
    return stopping.replay(enumerate(curve.dice)) or len(curve.dice)


class NoFolder:
    """A store that keeps of a sweep only what its trials are."""

    def __init__(self) -> None:
        self.trials: dict[str, tuple[Mapping[str, Any], str | None]] = {}
        self.layout = self

    def trial(self, trial_id: str) -> SimpleNamespace:
        return SimpleNamespace(folder=Path(trial_id))

    def start_trial(
        self, number: int, parameters: Mapping[str, Any], _config: str, preset: str | None, *_: Any
    ) -> str:
        trial_id = f"t{number:04d}"
        self.trials[trial_id] = parameters, preset
        return trial_id

    def append_epoch(self, *_: object) -> bool:
        return True

    def records(self) -> tuple[()]:
        return ()

    journal = records

    def _nothing(self, *_: object, **__: object) -> None: ...

    end_trial = note_wait = discard_checkpoints = discard_trunks = _nothing


def epoch_of(curve: Curve, epoch: int) -> EpochMetrics:
    return EpochMetrics(epoch=epoch, val_dice=curve.dice[epoch])


def ours(
    world: World,
    seed: int,
    changes: Mapping[str, Any],
    came: Came | None = None,
    epoch_of: Callable[[Curve, int], EpochMetrics] = epoch_of,
) -> Came:
    """A sweep by this project's controller, in a loop in place of Ray."""
    spec = SweepSpec.model_validate({**world.spec, "trials": TRIALS + 1, "seed": seed, **changes})
    store, came = NoFolder(), came or Came()
    controller = SweepController(spec, store)  # type: ignore[arg-type]
    curves, reached, shared = dict[str, Curve](), dict[str, int](), 0
    shares = bool(branching_epochs(spec))
    running = deque[str]()
    while True:
        while len(running) < AT_A_TIME and (folder := controller.next_trial()) is not None:
            name = folder.name
            running.append(name)
            if name not in curves:
                parameters, preset = store.trials[name]
                curves[name] = curve = world.curve({} if preset else parameters)
                reached[name] = min(curve.warmup, shared, len(curve.dice)) if shares else 0
                for epoch in range(reached[name]):
                    controller.report(name, epoch_of(curve, epoch))
        if not running:
            assert controller.finished
            return came
        came.time += 1
        for _ in range(len(running)):
            name = running.popleft()
            curve, epoch = curves[name], reached[name]
            is_baseline = store.trials[name][1] is not None
            if epoch == (len(curve.dice) if curve.diverged else length(curve)):
                came.diverged += curve.diverged
                done = Outcome.diverged(NAN) if curve.diverged else Outcome(status=Status.COMPLETED)
                controller.end(name, done)
                continue
            reached[name] += 1
            trunk = spec.trainer.epochs if is_baseline else curve.warmup
            shared = max(shared, min(reached[name], trunk))
            if is_baseline:
                came.epochs += 1
            else:
                came.see(curve, epoch)
            if controller.report(name, epoch_of(curve, epoch)) is Decision.CONTINUE:
                running.append(name)


def dice_of(curve: Curve, epoch: int) -> dict[str, float]:
    return {"dice": curve.dice[epoch]}


def script(
    world: World,
    seed: int,
    came: Came | None = None,
    result_of: Callable[[Curve, int], dict[str, float]] = dice_of,
    metrics: str | list[str] = "dice",
) -> Came:
    """A sweep by Ray's classes; its trials end by Dice, also where it searches by more metrics."""
    clock = {"name": "asha", "clock": "epochs", "reduction_factor": RAYS_FACTOR}
    spec = SweepSpec.model_validate({**world.spec, "seed": seed, "scheduler": clock})
    translator = Translator(spec.drawn)
    space = dict(translator.distributions)
    mode = "max" if isinstance(metrics, str) else ["max"] * len(metrics)
    search = RaysOptunaSearch(space=space, metric=metrics, mode=mode, seed=seed)
    asha = ASHAScheduler(
        metric="dice",
        mode="max",
        max_t=spec.trainer.epochs,
        grace_period=spec.rungs()[0],
        reduction_factor=RAYS_FACTOR,
    )
    came, started = came or Came(), 0
    running = deque[tuple[Any, Curve, int]]()
    while True:
        while started < TRIALS and len(running) < AT_A_TIME:
            trial = SimpleNamespace(trial_id=str(started))
            asha.on_trial_add(None, trial)
            curve = world.curve(translator.decode(search.suggest(trial.trial_id)))
            running.append((trial, curve, 0))
            started += 1
        if not running:
            return came
        came.time += 1
        for _ in range(len(running)):
            trial, curve, epoch = running.popleft()
            last = result_of(curve, max(0, epoch - 1)) | {"training_iteration": epoch}
            if curve.diverged and epoch == len(curve.dice):
                came.diverged += 1
                asha.on_trial_remove(None, trial)
                search.on_trial_complete(trial.trial_id, error=True)
            elif not curve.diverged and epoch == length(curve):
                asha.on_trial_complete(None, trial, last)
                search.on_trial_complete(trial.trial_id, last)
            else:
                came.see(curve, epoch)
                result = result_of(curve, epoch) | {"training_iteration": epoch + 1}
                if asha.on_trial_result(None, trial, result) == "CONTINUE":
                    search.on_trial_result(trial.trial_id, result)
                    running.append((trial, curve, epoch + 1))
                else:
                    search.on_trial_complete(trial.trial_id, result)


def variants(world: World, seed: int, names: Iterable[str]) -> Iterator[tuple[str, Came]]:
    yield "script", script(world, seed)
    yield "script, other seed", script(world, seed + 500)
    for name in names:
        yield name, ours(world, seed, OURS[name])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=8, help="sweeps of a world")
    parser.add_argument("--first-seed", type=int, default=100)
    parser.add_argument("--of", choices=WORLDS, default="unseen")
    parser.add_argument("--worlds", nargs="+", help="some of them; default: all")
    parser.add_argument("--variants", nargs="+", choices=OURS, default=USUAL)
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    warnings.filterwarnings("ignore", "All-NaN")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sweep_controller.to_yaml = lambda _: ""  # no worker reads a configuration here
    print(
        "| world | variant | epochs | fewer epochs | less time | Dice | behind, mean"
        " | ≤ 0.002 behind | ≤ 0.005 behind | diverged |\n|---|---|---|---|---|---|---|---|---|---|"
    )
    for name, make in WORLDS[arguments.of].items():
        if name not in (arguments.worlds or [name]):
            continue
        seeds = range(arguments.first_seed, arguments.first_seed + arguments.seeds)
        sweeps = [dict(variants(make(seed), seed, arguments.variants)) for seed in seeds]
        for variant in sweeps[0]:
            pairs = [(found["script"], found[variant]) for found in sweeps]
            behind = np.array([plain.dice - came.dice for plain, came in pairs])
            print(
                f"| {name} | {variant} | {np.mean([came.epochs for _, came in pairs]):.0f}"
                f" | {np.mean([plain.epochs / came.epochs for plain, came in pairs]):.2f}"
                f" | {np.mean([plain.time / came.time for plain, came in pairs]):.2f}"
                f" | {np.mean([came.dice for _, came in pairs]):.4f} | {behind.mean():.4f}"
                f" | {np.mean(behind <= 0.002):.2f} | {np.mean(behind <= 0.005):.2f}"
                f" | {np.mean([came.diverged for _, came in pairs]):.1f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
