"""Whether importances said to be reliable are: where nothing matters, and where one thing does.

    python benchmarks/reliance.py [--first SEED] [POPULATION …]     # 20 minutes on one core

Random searches over four uniform parameters and a choice of four values. The target is the Dice of
trials, or whether they diverged.

*nothing*: it depends on no parameter: normal; normal with one trial in eight far below the others,
as those that learn nothing; or a share of the trials diverges, whichever they are.
*one*: a share of its variance comes from the first parameter, or from the choice; or trials diverge
with the first of four values, or with the first parameter in its upper quarter, and one divergence
in five strikes elsewhere.
*two*: two parameters explain a third of the variance each, so that either may come first; or they
explain 90 % of it together and neither explains anything alone.

*kept aside*: populations that were written down after the rule was frozen: other shapes of the
target, and sweeps whose trials TPE has chosen by it, so that parameters without an effect move
together with those that have one.

*relied on*: how often the report calls it a parameter to rely on; *wrong*: how often one that does
not matter. *by variance alone*: the same by the rule of before, which only asked for a share of
explained variance of 50 %.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import optuna
from numpy.typing import NDArray

from sweep.analysis.figures.sweep_results import Results
from sweep.analysis.parameters.importance import Importance, importance_of
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.vocabulary.record import Outcome, Status, TrialRecord

Floats = NDArray[np.float64]
Target = Callable[[np.random.Generator, Floats], Floats]
"""Places of the trials in [0, 1], ``[trials, parameters]``, to the targets, ``[trials]``."""

SWEEPS = 25
BEFORE = 0.5
"""Share of explained variance that was relied on before."""
SIZES = (12, 20, 50)
NUMBERS = ("optimizer.lr", "optimizer.weight_decay", "loss.weights.boundary", "loss.weights.aspect")
CHOICE = "loss.sqrt_epsilon"
SPACE = {name: {"uniform": [0.001, 0.999]} for name in NUMBERS} | {
    CHOICE: {"choice": [0.0, 0.25, 0.5, 0.75]}
}
NAMES = tuple(SPACE)


def normal(rng: np.random.Generator, places: Floats) -> Floats:
    return rng.standard_normal(len(places))


def outliers(rng: np.random.Generator, places: Floats) -> Floats:
    far = rng.permutation(len(places)) < len(places) // 8
    return rng.standard_normal(len(places)) - 20.0 * far


def anyone_diverges(share: float) -> Target:
    def target(rng: np.random.Generator, places: Floats) -> Floats:
        return (rng.permutation(len(places)) < round(share * len(places))).astype(float)

    return target


def depends(share: float, *columns: int) -> Target:
    """So much of the variance comes from each of these parameters."""

    def target(rng: np.random.Generator, places: Floats) -> Floats:
        own = sum((places[:, column] - 0.5) / 12**-0.5 * share**0.5 for column in columns)
        return own + rng.standard_normal(len(places)) * (1 - share * len(columns)) ** 0.5

    return target


def peak(rng: np.random.Generator, places: Floats) -> Floats:
    """The middle of the first parameter is best: 90 % of the variance."""
    own = (places[:, 0] - 0.5) ** 2
    return -(own - 1 / 12) * 180**0.5 * 0.9**0.5 + rng.standard_normal(len(places)) * 0.1**0.5


def region_diverges(column: int) -> Target:
    """A quarter of the space diverges; one divergence in five lies anywhere."""

    def target(rng: np.random.Generator, places: Floats) -> Floats:
        inside = places[:, column] == 0 if column == len(NUMBERS) else places[:, column] > 0.75
        moved = inside & (rng.random(len(places)) < 0.2)
        elsewhere = np.zeros(len(places), dtype=bool)
        elsewhere[rng.permutation(len(places))[: moved.sum()]] = True
        return ((inside & ~moved) | elsewhere).astype(float)

    return target


def heavy_tails(rng: np.random.Generator, places: Floats) -> Floats:
    return rng.standard_t(2, len(places))


def coarse(rng: np.random.Generator, places: Floats) -> Floats:
    """Few values, as an overlap of few cases has: most trials are tied."""
    return np.round(rng.standard_normal(len(places)))


def cliff(rng: np.random.Generator, places: Floats) -> Floats:
    """A plateau, from which trials fall where the first parameter is above 0.7."""
    return 0.5 * rng.standard_normal(len(places)) - 8 * (places[:, 0] > 0.7)


def only_together(rng: np.random.Generator, places: Floats) -> Floats:
    """The first two parameters decide by the sign of their product alone."""
    own = np.sign(places[:, 0] - 0.5) * np.sign(places[:, 1] - 0.5)
    return own * 0.9**0.5 + rng.standard_normal(len(places)) * 0.1**0.5


POPULATIONS: Mapping[str, tuple[Target, tuple[int, ...]]] = {
    "nothing: normal": (normal, ()),
    "nothing: outliers": (outliers, ()),
    "nothing: 10 % diverge": (anyone_diverges(0.1), ()),
    "nothing: 20 % diverge": (anyone_diverges(0.2), ()),
    "nothing: 40 % diverge": (anyone_diverges(0.4), ()),
    "one: 50 % of the variance": (depends(0.5, 0), (0,)),
    "one: 90 % of the variance": (depends(0.9, 0), (0,)),
    "one: 90 %, a choice": (depends(0.9, 4), (4,)),
    "one: 90 %, a peak": (peak, (0,)),
    "one: diverges by a number": (region_diverges(0), (0,)),
    "one: diverges by a choice": (region_diverges(4), (4,)),
    "two: a third each": (depends(1 / 3, 0, 1), (0, 1)),
}
KEPT_ASIDE: Mapping[str, tuple[Target, tuple[int, ...]]] = {
    "nothing: heavy tails (t, 2)": (heavy_tails, ()),
    "nothing: coarse": (coarse, ()),
    "nothing: chosen by TPE": (normal, ()),
    "one: 50 %, chosen by TPE": (depends(0.5, 0), (0,)),
    "one: a peak, chosen by TPE": (peak, (0,)),
    "one: a cliff": (cliff, (0,)),
    "one: a cliff, chosen by TPE": (cliff, (0,)),
    "two: only together": (only_together, (0, 1)),
}
BY_TPE = "chosen by TPE"


def searched(target: Target, trials: int, seed: int) -> tuple[Floats, Floats]:
    """Places and targets of trials that TPE chooses one after the other."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    rng = np.random.default_rng([trials, seed])
    study = optuna.create_study(
        direction="maximize", sampler=optuna.samplers.TPESampler(n_startup_trials=8, seed=seed)
    )
    rows, values = [], []
    for _ in range(trials):
        trial = study.ask()
        row = [trial.suggest_float(name, 0, 1) for name in NUMBERS]
        row.append(trial.suggest_categorical(CHOICE, [0.0, 0.25, 0.5, 0.75]))
        values.append(float(target(rng, np.array([row]))[0]))
        study.tell(trial, values[-1])
        rows.append(row)
    return np.array(rows), np.array(values)


def drawn(target: Target, trials: int, seed: int) -> tuple[Floats, Floats]:
    """Places and targets of a random search."""
    rng = np.random.default_rng([trials, seed])
    places = rng.uniform(0, 1, (trials, len(NAMES)))
    places[:, -1] = rng.integers(0, 4, trials) / 4
    return places, target(rng, places)


def found_in(places: Floats, targets: Floats) -> Importance | None:
    """What the report finds in one sweep."""
    trials = len(places)
    spec = SweepSpec.model_validate({"name": "made-up", "trials": trials, "space": SPACE})
    records = [
        TrialRecord(
            trial_id=f"t{n:04d}",
            number=n,
            parameters=dict(zip(NAMES, np.clip(row, 0.001, 0.999).tolist()[:-1], strict=False))
            | {CHOICE: float(row[-1])},
            outcome=Outcome(status=Status.COMPLETED),
        )
        for n, row in enumerate(places)
    ]
    results = Results(folder=Path("nowhere"), spec=spec, records=tuple(records))
    values = {r.trial_id: float(v) for r, v in zip(records, targets, strict=True)}
    is_dice = len(set(values.values())) > 2  # PED-ANOVA has no meaning for divergence
    return importance_of(results, records, values, leading=is_dice)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("populations", nargs="*", default=[*POPULATIONS, *KEPT_ASIDE])
    parser.add_argument("--first", type=int, default=1000, help="first seed; chosen on 0 to 9")
    parser.add_argument("--sweeps", type=int, default=SWEEPS)
    asked = parser.parse_args()
    seeds = range(asked.first, asked.first + asked.sweeps)
    print("| population | trials | relied on | wrong | by variance alone | wrong |")
    print("|---|---|---|---|---|---|")
    for name in asked.populations:
        target, matters = {**POPULATIONS, **KEPT_ASIDE}[name]
        true = {NAMES[column] for column in matters}
        made = searched if name.endswith(BY_TPE) else drawn
        for trials in SIZES:
            counts = np.zeros(4)
            for seed in seeds:
                one = found_in(*made(target, trials, seed))
                if one is None:
                    continue
                is_wrong = next(iter(one.shares)) not in true
                before = one.is_settled and one.explained >= BEFORE
                ours = one.is_reliable
                counts += (ours, ours and is_wrong, before, before and is_wrong)
            cells = " | ".join(f"{100 * count / len(seeds):.0f} %" for count in counts)
            print(f"| {name} | {trials} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
