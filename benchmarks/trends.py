"""Whether a trend that is more than chance is one, and what an expected Dice is worth.

    python benchmarks/trends.py [SECTION …]     # 3 minutes of CPU

- *trends*: the sweeps of `reliance.py`. The report gives the strongest rank correlation of a
  parameter with the results, and calls it more than chance where p, times the number of
  parameters, is below 0.05. *Wrong*: that parameter does not matter;
- *pruned*: the same in the sweeps of `importance.py`, whose pruned trials have an expected Dice;
- *expected*: what these would have reached is known there. Share of expectations whose bar holds
  it, their mean error, and its root mean square over the bar's mean length; for those with a bar
  by other trials, and for those where these are too few.
"""

from __future__ import annotations

import sys
from itertools import product

import importance
import numpy as np
import reliance
from numpy.typing import NDArray
from scipy.special import stdtr
from scipy.stats import rankdata

from sweep.analysis.figures.sweep_results import Results
from sweep.analysis.parameters.slices import correlations
from sweep.analysis.ranking.since_switch_on import score_since_switch_on

Floats = NDArray[np.float64]

FIRST = 5000
SIZES = (10, 20, 50)


def strongest(results: Results) -> str | None:
    """The parameter whose trend is called more than chance; None where there is none."""
    found = correlations(results)
    if not found:
        return None
    name = max(found, key=lambda key: abs(found[key][0]))
    return name if found[name][1] * len(found) < 0.05 else None


def of_columns(places: Floats, targets: Floats) -> str | None:
    """The same of places ``[trials, parameters]``, by the rule alone: `Results` take too long."""
    if not np.ptp(targets):
        return None
    ranks = rankdata(np.column_stack([places, targets]), axis=0)
    rho = np.corrcoef(ranks[:, np.ptp(ranks, axis=0) > 0].T)[-1, :-1]
    names = [name for name, column in zip(reliance.NAMES, ranks.T, strict=False) if np.ptp(column)]
    first, freedom = int(np.abs(rho).argmax()), len(places) - 2
    t = abs(rho[first]) * (freedom / max(1e-12, 1 - rho[first] ** 2)) ** 0.5  # as in `spearmanr`
    return names[first] if 2 * stdtr(freedom, -t) * len(names) < 0.05 else None


def trends() -> None:
    print("| population | trials | more than chance | wrong |\n|---|---|---|---|")
    for name, (target, matters) in {**reliance.POPULATIONS, **reliance.KEPT_ASIDE}.items():
        if "diverge" in name:  # no results to be correlated with
            continue
        true = {reliance.NAMES[column] for column in matters}
        is_learnt = name.endswith(reliance.BY_TPE)
        made, sweeps = (reliance.searched, 50) if is_learnt else (reliance.drawn, 1000)
        for trials in SIZES[is_learnt:]:
            told = [of_columns(*made(target, trials, FIRST + seed)) for seed in range(sweeps)]
            print(f"| {name} | {trials} | {_rates(told, true)} |", flush=True)


def _rates(told: list[str | None], true: set[str]) -> str:
    named = [one for one in told if one is not None]
    wrong = sum(one not in true for one in named)
    return f"{len(named) / len(told):.1%} | {wrong / len(told):.1%}"


def pruned(trials: tuple[int, ...] = (20, 50)) -> None:
    print("\n| matters | pruned | trials | more than chance | wrong |\n|---|---|---|---|---|")
    for (name, true), how, count in product(importance.MATTERS.items(), importance.PRUNED, trials):
        seeds = range(FIRST, FIRST + (30 if true else 120))
        told = [strongest(importance.sweep_of(name, how, count, seed)) for seed in seeds]
        print(f"| {name} | {how} | {count} | {_rates(told, {*true})} |", flush=True)


def expected(trials: tuple[int, ...] = (20, 50)) -> None:
    print("\n| matters | pruned | trials | in the bar | mean error | error / bar | in the bounds |")
    print("|---|---|---|---|---|---|---|")
    for name, how, count in product(importance.MATTERS, importance.PRUNED[1:], trials):
        rows = []
        for seed in range(50):
            results = importance.sweep_of(name, how, count, FIRST + seed)
            whole = importance.sweep_of(name, "nobody", count, FIRST + seed)
            truth = {r.trial_id: score_since_switch_on(whole.spec, r) for r in whole.records}
            best = max(results.comparable.values())
            for trial, one in results.expected.items():
                is_open = one.low == one.measured and one.high == best
                true = truth[trial]
                assert true is not None
                rows.append((one.score - true, one.low - 1e-9 <= true <= one.high + 1e-9,
                             (one.high - one.low) / 2, is_open))  # fmt: skip
        every = np.array(rows)
        barred, bounded = (every[every[:, 3] == kind] for kind in (0, 1))
        cells = ["–"] * 3
        if len(barred):
            error, inside, half, _ = barred.T
            ratio = (error**2).mean() ** 0.5 / half.mean()
            cells = [f"{inside.mean():.2f}", f"{error.mean():+.4f}", f"{ratio:.2f}"]
        share = f"{bounded[:, 1].mean():.2f} ({len(bounded) / len(every):.0%} of all)"
        print(f"| {name} | {how} | {count} | {' | '.join(cells)} | {share} |", flush=True)


SECTIONS = {section.__name__: section for section in (trends, pruned, expected)}

if __name__ == "__main__":
    for name in sys.argv[1:] or SECTIONS:
        SECTIONS[name]()
