"""Whether what decides about Dice is found although a scheduler prunes, and nothing is invented.

    python benchmarks/importance.py [TRIALS …]

Sweeps whose truth is known: 100 epochs, a baseline of 0.9 (1 − exp(−t/15)) with noise of 0.004 an
epoch, warm-ups of 0 to 49 epochs that all share the baseline's run, and a geometric loss whose gain
comes with 1 − exp(−s/15), s epochs after it acts in full. What the gain depends on is the
population; two more parameters never matter. Pruned are two in three at 4, 12 and 36 epochs since
activation, by their gain over the baseline so far.

What the report says is counted: *right*, a parameter that matters comes first; *wrong*, another
does; *unsettled*, fANOVA and PED-ANOVA disagree; *nothing*, it is called noise or too few. In
brackets what the best Dice as it comes would say, fANOVA's first of a forest that explains enough.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sweep.analysis.figures.sweep_results import Results
from sweep.analysis.parameters.importance import Importance, importance_for_dice, importance_of
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.record import Outcome, Status, TrialRecord

Floats = NDArray[np.float64]

EPOCHS, RAMPUP, NOISE, TOP = 100, 2, 0.004, 0.03
RUNGS = (4, 12, 36)
WARMUP, COMPACTNESS = "loss.warmup_epochs", "loss.weights.compactness"
SPACE = {
    WARMUP: {"randint": [0, 50]},
    COMPACTNESS: {"loguniform": [1e-3, 1.0]},
    "loss.weights.boundary": {"loguniform": [1e-3, 1.0]},
    "loss.sqrt_epsilon": {"choice": [1e-8, 1e-6, 1e-4]},
}
MATTERS: Mapping[str, tuple[str, ...]] = {
    "compactness": (COMPACTNESS,),
    "warm-up": (WARMUP,),
    "both together": (COMPACTNESS, WARMUP),
    "nothing": (),
}
PRUNED = ("nobody", "on arrival", "after waiting")
SWEEPS = 20


def spec_of(trials: int) -> SweepSpec:
    return SweepSpec.model_validate(
        {
            "name": "made-up",
            "trials": trials,
            "trainer": {"epochs": EPOCHS},
            "loss": {"rampup_epochs": RAMPUP, "weights": {"aspect": 0}},
            "space": SPACE,
        }
    )


def gain(population: str, warmup: int, weight: float) -> float:
    """What the loss is worth in the end; both arguments as drawn."""
    x, y = (np.log10(weight) + 3) / 3 - 0.5, 0.5 - warmup / 49
    worth = {"compactness": x, "warm-up": y, "both together": 4 * x * y, "nothing": 0.0}
    return TOP * float(worth[population])


def sweep_of(population: str, pruned: str, trials: int, seed: int) -> Results:
    """One sweep, its first trial the baseline."""
    rng = np.random.default_rng([trials, seed])
    smooth = 0.9 * (1 - np.exp(-np.arange(1, EPOCHS + 1) / 15))
    baseline = smooth + rng.normal(0, NOISE, EPOCHS)
    drawn, curves = [], []
    for _ in range(trials - 1):
        warmup, weight = int(rng.integers(0, 50)), float(10 ** rng.uniform(-3, 0))
        epsilon = float(rng.choice([1e-8, 1e-6, 1e-4]))
        values = (warmup, weight, float(10 ** rng.uniform(-3, 0)), epsilon)
        drawn.append(dict(zip(SPACE, values, strict=True)))
        since = np.maximum(0, np.arange(EPOCHS) - warmup - RAMPUP + 1)
        curve = smooth + gain(population, warmup, weight) * (1 - np.exp(-since / 15))
        curve += rng.normal(0, NOISE, EPOCHS)
        curve[:warmup] = baseline[:warmup]
        curves.append(curve)
    ends = _ends(pruned, [int(values[WARMUP]) for values in drawn], curves, baseline)
    records = [_record(0, baseline, {}, preset="baseline")]
    records += [
        _record(n, curve[:end], values)
        for n, (curve, end, values) in enumerate(zip(curves, ends, drawn, strict=True), start=1)
    ]
    return Results(folder=Path("nowhere"), spec=spec_of(trials), records=tuple(records))


def _ends(
    pruned: str, warmups: Sequence[int], curves: Sequence[Floats], baseline: Floats
) -> list[int]:
    """Number of epochs that each trial trains."""
    ends, alive = [EPOCHS] * len(curves), list(range(len(curves)))
    for rung in () if pruned == "nobody" else RUNGS:
        at = {n: min(EPOCHS, warmups[n] + RAMPUP + rung) for n in alive}
        score = {n: float(curves[n][: at[n]].max() - baseline[: at[n]].max()) for n in alive}
        seen: list[float] = []
        left = []
        for n in alive:
            seen.append(score[n])
            field = seen if pruned == "on arrival" else list(score.values())
            if len(field) < len(RUNGS) or score[n] >= np.quantile(field, 2 / 3):
                left.append(n)
            else:
                ends[n] = at[n]
        alive = left
    return ends


def _record(
    number: int, curve: Floats, parameters: Mapping[str, float], preset: str | None = None
) -> TrialRecord:
    status = Status.COMPLETED if len(curve) == EPOCHS else Status.PRUNED
    return TrialRecord(
        trial_id=f"t{number:04d}",
        number=number,
        parameters=dict(parameters),
        history=tuple(EpochMetrics(epoch=n, val_dice=float(v)) for n, v in enumerate(curve)),
        outcome=Outcome(status=status),
        preset=preset,
    )


def verdict(found: Importance | None, matters: Sequence[str], *, both: bool = True) -> str:
    """What the report says, judged by what is true."""
    if found is None or found.is_noise:
        return "nothing"
    if both and not found.is_settled:
        return "unsettled"
    return "right" if next(iter(found.shares)) in matters else "wrong"


def main() -> None:
    told = ("right", "wrong", "unsettled", "nothing")
    print(f"| matters | pruned | trials | {' | '.join(told)} | as it comes: right, wrong |")
    print("|---|---|---|" + "---|" * (len(told) + 1))
    for trials in [int(word) for word in sys.argv[1:]] or [20, 50, 200]:
        for population, matters in MATTERS.items():
            for pruned in PRUNED:
                ours: Counter[str] = Counter()
                raw: Counter[str] = Counter()
                for seed in range(SWEEPS):
                    results = sweep_of(population, pruned, trials, seed)
                    ours[verdict(importance_for_dice(results), matters)] += 1
                    plain = importance_of(results, results.ranked_inside, results.scores)
                    raw[verdict(plain, matters, both=False)] += 1
                cells = " | ".join(f"{ours[word] / SWEEPS:.2f}" for word in told)
                before = ", ".join(f"{raw[word] / SWEEPS:.2f}" for word in told[:2])
                print(f"| {population} | {pruned} | {trials} | {cells} | {before} |", flush=True)


if __name__ == "__main__":
    main()
