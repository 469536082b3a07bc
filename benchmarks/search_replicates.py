"""What replicates inside the search (``replicate: {folds: 3}``) bring, without any training.

    python benchmarks/search_replicates.py rule   [--first-seed 1000] [--seeds 400]
    python benchmarks/search_replicates.py sweeps [--first-seed 1000] [--seeds 24]
    python benchmarks/search_replicates.py folds FOLDER

*rule*: complete trials with a true Dice (normal, or all alike), a shift of each fold, and noise of
each trial on each fold. Which one `SearchReplicates` comes to name, against the one that has the
highest mean over all folds of all trials, and against the best of the first fold alone. *Short* is
how far the named one is below the best in truth, in standard deviations of the noise.

*sweeps*: whole sweeps through the real controller, searchers and schedulers, at equal epochs. The
truth of a configuration is known; on each fold it has its own deviation from it. *one run*: more
trials, ranked by the first fold. *as many trials*: the same 40, one run each. *all folds*: every
trial is the mean of three trainings. *replicate*: as it is built.

*folds*: the three architectures of nnU-Net on five folds below FOLDER (see `real_trainings.py`), in
all orders of the folds: how often the rule names the one with the highest mean over all folds.
"""

from __future__ import annotations

import argparse
import math
import random
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import permutations
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import optuna
from numpy.typing import NDArray
from real_trainings import read_real, table_of_real

from sweep.analysis.confirm.search_replicates import SearchReplicates
from sweep.analysis.ranking.finalists import best_first, confirmation_of
from sweep.engine.decisions import sweep_controller
from sweep.engine.decisions.sweep_controller import SweepController
from sweep.search.schedulers.decision import Decision
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.record import Outcome, Replicate, Status, TrialRecord, searched

Array = NDArray[np.float64]
DONE = Outcome(status=Status.COMPLETED)
WEIGHTS = ("compactness", "boundary", "aspect")
EPOCHS, TRIALS, FOLDS, AT_A_TIME = 40, 40, 3, 2
FOLD_SHIFT, EPOCH_NOISE = 0.021, 0.002
SPREADS = (0.003, 0.006, 0.012)
"""Standard deviation of a configuration's deviation on a fold. Between two architectures of nnU-Net
that of paired differences is 0.008 (median of ten datasets), which is 0.006 of each."""

SWEEPS: Mapping[str, Mapping[str, Any]] = {
    "tpe, asha": {"searcher": "tpe"},
    "tpe, nobody pruned": {"searcher": "tpe", "scheduler": "none"},
    "random, waiting": {"searcher": "random"},
}


def spec_of(**changes: Any) -> SweepSpec:
    values = {
        "name": "folds",
        "trials": TRIALS,
        "space": {f"loss.weights.{name}": {"loguniform": [1e-3, 1]} for name in WEIGHTS},
        "trainer": {"epochs": EPOCHS},
        "loss": {"warmup_epochs": 0, "rampup_epochs": 0},
        "early_stopping": {"patience": None},
        "share_warmup": False,
        "presets": [],
    }
    return SweepSpec.model_validate(values | changes)


def record(number: int, score: float, replicate: Replicate | None = None) -> TrialRecord:
    name = f"t{number:04d}" + (f"r{replicate.fold}" if replicate else "")
    history = (EpochMetrics(epoch=0, val_dice=score),)
    parameters = {"optimizer.lr": number}
    return TrialRecord(
        trial_id=name, number=number, parameters=parameters, history=history, outcome=DONE,
        replicate=replicate,
    )  # fmt: skip


def named(spec: SweepSpec, table: Array) -> tuple[int, int]:
    """Which trial the rule comes to name, and how many replicates it took.

    Args:
        spec: with `replicate`.
        table: scores ``[trials, folds]``.
    """
    runs, told = SearchReplicates(spec), list[TrialRecord]()

    def tell(one: TrialRecord) -> None:
        runs.add(one)
        told.append(one)

    startup = min(spec.searcher.random_trials, len(table))
    for number, scores in enumerate(table):
        tell(record(number, float(scores[0])))
        while number + 1 >= startup and runs.due:
            replicate, of = runs.due[0]
            tell(record(of.number, float(table[of.number, replicate.fold]), replicate))
    return best_first(searched(told))[0].number, runs.ended


def rule(seeds: Iterable[int]) -> None:
    print(
        "| searcher | trials | folds | true spread / noise | same as all folds | short: one fold"
        " | rule | all folds | replicates | of all |\n|---|---|---|---|---|---|---|---|---|---|"
    )
    for searcher in ("random", "tpe"):
        for trials, folds in ((8, 3), (20, 3), (20, 5), (60, 3)):
            spec = spec_of(searcher=searcher, replicate={"folds": folds})
            for ratio in (0, 0.5, 1, 2):
                found = []
                for seed in seeds:
                    rng = np.random.default_rng([seed, trials, folds])
                    truth = ratio * rng.standard_normal(trials)
                    noise = rng.standard_normal((trials, folds))
                    table = truth[:, None] + 3 * rng.standard_normal(folds) + noise
                    one, full = int(table[:, 0].argmax()), int(table.mean(axis=1).argmax())
                    own, spent = named(spec, 0.8 + 0.01 * table)
                    short = truth.max() - truth[[one, own, full]]
                    found.append((own == full, *short, spent, spent / trials / (folds - 1)))
                same, *short, spent, share = np.mean(found, axis=0)
                cells = " | ".join(f"{value:.2f}" for value in short)
                print(
                    f"| {searcher} | {trials} | {folds} | {ratio:g} | {same:.2f} | {cells}"
                    f" | {spent:.1f} | {share:.2f} |",
                    flush=True,
                )


class World:
    """A landscape over three weights, and how each configuration fares on each fold.

    Args:
        seed: of the landscape, and of all noise.
        spread: standard deviation of a configuration's deviation on a fold.
        averaged: validate on all folds at once, at the cost of as many trainings.
    """

    def __init__(self, seed: int, spread: float, *, averaged: bool = False) -> None:
        draw = random.Random(f"folds {seed}")
        self._seed, self._spread = seed, spread
        self.averaged = averaged
        self._best = {name: draw.uniform(-2.7, -0.5) for name in WEIGHTS}
        self._width = {name: draw.uniform(0.4, 1.2) for name in WEIGHTS}
        shares = [draw.expovariate(1) for _ in WEIGHTS]
        self._size = {n: 0.04 * s / sum(shares) for n, s in zip(WEIGHTS, shares, strict=True)}
        self._shift = [draw.gauss(0, FOLD_SHIFT) for _ in range(FOLDS)]

    def truth(self, parameters: Mapping[str, Any]) -> float:
        """Dice under full training, over all folds that there could be."""
        place = {n: math.log10(parameters[f"loss.weights.{n}"]) for n in WEIGHTS}
        return 0.85 + sum(
            self._size[n] * math.exp(-0.5 * ((place[n] - self._best[n]) / self._width[n]) ** 2)
            for n in WEIGHTS
        )

    def curve(self, parameters: Mapping[str, Any], seed: int, fold: int) -> Array:
        if self.averaged:
            own = [self._curve(parameters, seed, each) for each in range(FOLDS)]
            return np.asarray(np.mean(own, axis=0))
        return self._curve(parameters, seed, fold)

    def _curve(self, parameters: Mapping[str, Any], seed: int, fold: int) -> Array:
        key = repr((sorted(parameters.items()), fold))
        of_fold = np.random.default_rng([self._seed, random.Random(key).getrandbits(32)])
        # Half of the variance is of the configuration on the fold, half of the seed.
        run = random.Random(f"{key} {seed}").getrandbits(32)
        of_seed = np.random.default_rng([self._seed, run])
        half = self._spread / math.sqrt(2)
        level = self.truth(parameters) + self._shift[fold]
        level += of_fold.normal(0, half) + of_seed.normal(0, half)
        rise = 1 - np.exp(-np.arange(1, EPOCHS + 1) / 8)
        return np.asarray(level * rise + of_seed.normal(0, EPOCH_NOISE, EPOCHS))


@dataclass
class Kept:
    """A store in memory."""

    trials: dict[str, TrialRecord]

    @property
    def layout(self) -> Kept:
        return self

    def trial(self, trial_id: str) -> SimpleNamespace:
        return SimpleNamespace(folder=Path(trial_id))

    def start_trial(
        self,
        number: int,
        parameters: Mapping[str, Any],
        _config: str,
        preset: str | None = None,
        replicate: Replicate | None = None,
        _enqueued: object = None,
    ) -> str:
        name = f"t{number:04d}"
        if replicate is not None:
            name += f"r{1 + sum(one.startswith(f'{name}r') for one in self.trials)}"
        self.trials[name] = TrialRecord(
            trial_id=name, number=number, parameters=dict(parameters), preset=preset,
            replicate=replicate,
        )  # fmt: skip
        return name

    def append_epoch(self, trial_id: str, metrics: EpochMetrics) -> bool:
        known = self.trials[trial_id]
        self.trials[trial_id] = replace(known, history=(*known.history, metrics))
        return True

    def end_trial(self, trial_id: str, outcome: Outcome) -> None:
        self.trials[trial_id] = replace(self.trials[trial_id], outcome=outcome)

    def records(self) -> list[TrialRecord]:
        return [*self.trials.values()]

    def journal(self) -> tuple[()]:
        return ()

    def _nothing(self, *_: object, **__: object) -> None: ...

    note_wait = discard_checkpoints = discard_trunks = _nothing


def run(world: World, spec: SweepSpec) -> tuple[float, int, int]:
    """Truth of the winner, epochs trained, and replicates."""
    store = Kept({})
    controller = SweepController(spec, store)  # type: ignore[arg-type]
    running, curves = deque[str](), dict[str, Array]()
    while True:
        while len(running) < AT_A_TIME and (folder := controller.next_trial()) is not None:
            running.append(folder.name)
        if not running:
            assert controller.finished
            break
        name = running.popleft()
        trial = store.trials[name]
        if name not in curves:
            seed, fold = trial.replicate.block if trial.replicate else (spec.seed, 0)
            curves[name] = world.curve(trial.parameters, seed, fold)
        epoch = len(trial.history)
        if epoch == EPOCHS:
            controller.end(name, DONE)
            continue
        metrics = EpochMetrics(epoch=epoch, val_dice=float(curves[name][epoch]))
        if controller.report(name, metrics) is Decision.CONTINUE:
            running.append(name)
    records = store.records()
    found = confirmation_of(records, spec)
    first = found.finalists[0].record if found else best_first(searched(records))[0]
    epochs = sum(len(one.history) for one in records) * (FOLDS if world.averaged else 1)
    return world.truth(first.parameters), epochs, sum(one.replicate is not None for one in records)


def as_long(
    epochs: int, make: Callable[[int], tuple[float, int, int]], trials: int
) -> tuple[float, int, int]:
    """The sweep with as many trials as come nearest to so many epochs, in three attempts."""
    best, tried = None, set[int]()
    for _ in range(3):
        if trials in tried:
            break
        tried.add(trials)
        found = make(trials)
        if best is None or abs(found[1] - epochs) < abs(best[1] - epochs):
            best = found
        trials = max(4, round(trials * epochs / found[1]))
    assert best is not None
    return best


def variants(
    seed: int, spread: float, setting: Mapping[str, Any]
) -> Iterator[tuple[str, tuple[float, int, int]]]:
    world, averaged = World(seed, spread), World(seed, spread, averaged=True)
    own = {**setting, "seed": seed}
    found = run(world, spec_of(**own, replicate={"folds": FOLDS}))
    yield "replicate", found
    epochs = found[1]
    yield "as many trials", run(world, spec_of(**own))
    yield "one run", as_long(epochs, lambda n: run(world, spec_of(**own, trials=n)), TRIALS)
    yield (
        "all folds",
        as_long(epochs, lambda n: run(averaged, spec_of(**own, trials=n)), TRIALS // FOLDS),
    )


def sweeps(seeds: Sequence[int], names: Sequence[str], spreads: Sequence[float]) -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sweep_controller.to_yaml = lambda _: ""  # no worker reads a configuration here
    print(
        "| sweep | spread | variant | epochs | replicates | true Dice of the winner"
        " | less one run | standard error |\n|---|---|---|---|---|---|---|---|"
    )
    for setting in names:
        for spread in spreads:
            every = [dict(variants(seed, spread, SWEEPS[setting])) for seed in seeds]
            one = np.array([found["one run"][0] for found in every])
            for name in ("one run", "as many trials", "replicate", "all folds"):
                dice, epochs, more = np.array([found[name] for found in every]).T
                gain = dice - one
                error = gain.std(ddof=1) / math.sqrt(len(gain))
                print(
                    f"| {setting} | {spread:g} | {name} | {epochs.mean():.0f} | {more.mean():.1f}"
                    f" | {dice.mean():.4f} | {gain.mean():+.4f} | {error:.4f} |",
                    flush=True,
                )


def real_folds(folder: str) -> None:
    print("| dataset | same as all folds | one fold | replicates of 12 |\n|---|---|---|---|")
    spec = spec_of(searcher="random", replicate={"folds": 5})
    for name, architectures in read_real(Path(folder)):
        dice = table_of_real(architectures).T  # [architectures, folds]
        best = int(dice.mean(axis=1).argmax())
        orders = [dice[:, list(order)] for order in permutations(range(dice.shape[1]))]
        found = [named(spec, table) for table in orders]
        same = np.mean([one == best for one, _ in found])
        first = np.mean([table[:, 0].argmax() == best for table in orders])
        spent = np.mean([more for _, more in found])
        print(f"| {name} | {same:.2f} | {first:.2f} | {spent:.1f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("part", choices=("rule", "sweeps", "folds"))
    parser.add_argument("folder", nargs="?")
    parser.add_argument("--first-seed", type=int, default=1000)
    parser.add_argument("--seeds", type=int)
    parser.add_argument("--sweeps", nargs="+", default=[*SWEEPS], choices=SWEEPS)
    parser.add_argument("--spreads", nargs="+", type=float, default=SPREADS)
    arguments = parser.parse_args()
    first = arguments.first_seed
    if arguments.part == "rule":
        rule(range(first, first + (arguments.seeds or 400)))
    elif arguments.part == "sweeps":
        sweeps(range(first, first + (arguments.seeds or 24)), arguments.sweeps, arguments.spreads)
    else:
        real_folds(arguments.folder)


if __name__ == "__main__":
    main()
