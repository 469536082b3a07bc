"""By which clock and which score trials should be compared, and whether they should wait for it.

    python benchmarks/clocks.py [--of GROUP] [--sweeps 100] [--orders 4] [--concurrent 2]

Curves of whole sweeps are replayed through the real schedulers in random orders, two trials at a
time. They are *recorded* (`curves/`, `record.py`), *damaged* (recorded with weights up to 30) or
*unseen* (recorded, and opened after the score was chosen); or *simulated* (`populations.py`), and
*others*, simulated likewise but not known when the score was chosen. A rule is

- a clock. *epochs*: trained epochs, the first rung past the longest warm-up, since before it trials
  are one and the same run. *activation*: epochs since the trial's own geometric loss acts, here
  without a ramp-up. *activation, 1/4*: the same, but at most a quarter of all trained epochs.
- a score. *dice*: in the epoch of the rung; *gain*: the best so far minus the baseline's best so
  far in the same epoch; *gain + std*: the same plus the standard deviation of the differences in
  single epochs since then; *promise*: `sweep.search.schedulers.projected_gain`.
- when it judges. *arrival*: `Asha`, by those that came before; *pause*: `Halving`, by all.
- the first rung, in hundredths of a training, at least 2; each later one comes after twice as
  much time.
- the share that goes on.

*Fewer epochs*: what a script that knows none of this trains (no warm-up is shared, Dice by trained
epochs, ASHA that keeps a quarter), over what the rule trains, the warm-up counted once (as
`share_warmup` does) and the baseline where it compares with it. *Trainings* are these epochs in
whole trainings. A rule is good if at that cost it keeps the best trial or one close to it: within
0.002, or 0.005. *Regret* is what it loses.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
from populations import OTHERS, SIMULATED
from replay import Replayed, Rule, Scored, Sweep
from tables import tables

CLOSE = (0.002, 0.005)
SCRIPT = Rule("epochs", "dice", "arrival", 1, 4, shares=False)
SCORES = ("gain", "gain + std", "promise")
FIRST_SEED = 5000
"""Of the simulated sweeps; the score was chosen on others."""


def rules() -> Iterator[Rule]:
    """All that are compared on the recorded sweeps."""
    yield Rule("epochs", "dice", "arrival", 1, 4)
    yield Rule("activation", "dice", "arrival", 10, 3)
    for judges in ("arrival", "pause"):
        for factor in (3, 4):
            for score in SCORES:
                base = Rule("activation", score, judges, 10, factor)  # type: ignore[arg-type]
                yield base
                quarter = replace(base, clock="activation, 1/4")
                yield from (replace(quarter, first=first) for first in (3, 4, 5))


def compared() -> Iterator[Rule]:
    """Those that are compared on everything else: the score of the default rules."""
    for first, judges in ((4, "pause"), (5, "pause"), (4, "arrival")):
        for score in SCORES:
            yield Rule("activation, 1/4", score, judges, first, 3)  # type: ignore[arg-type]


class Replays:
    """Replays sweeps in random orders, the same for every rule."""

    def __init__(self, groups: Mapping[str, Sequence[Scored]], orders: int, concurrent: int):
        self._groups, self._concurrent = groups, concurrent
        draws = random.Random(0)
        self._orders = {
            name: [
                [draws.sample(range(n), n) for _ in range(orders)]
                for n in (len(scored.table.trials) for scored in group)
            ]
            for name, group in groups.items()
        }

    def of(self, name: str, rule: Rule) -> list[tuple[Replayed, float]]:
        """Each sweep of a group by a rule, and what it lost against the best trial."""
        runs = []
        for scored, orders in zip(self._groups[name], self._orders[name], strict=True):
            winner = max(trial.best for trial in scored.table.trials)
            for order in orders:
                run = Sweep(rule, scored, order).run(self._concurrent)
                runs.append((run, max(0.0, winner - run.best)))
        return runs


def kept(runs: Sequence[tuple[Replayed, float]]) -> list[float]:
    """Shares of the sweeps that came so close to the best trial."""
    return [float(np.mean([regret <= close for _, regret in runs])) for close in CLOSE]


def print_rules(groups: Mapping[str, Sequence[Scored]], replays: Replays) -> None:
    """One line a rule, over all sweeps."""
    for name, (scored,) in groups.items():
        table = scored.table
        top = sorted((trial.best for trial in table.trials), reverse=True)
        print(
            f"{name}: {len(table.trials)} trials of {table.epochs} epochs,"
            f" {sum(trial.diverged for trial in table.trials)} diverged,"
            f" best {top[0]:.4f}, next {top[1]:.4f}, baseline {table.baseline.best:.4f}"
        )
    print(
        "\n| clock | score | judges on | first rung | goes on | fewer epochs | trainings"
        " | within 0.002 | within 0.005 | regret |\n|---|---|---|---|---|---|---|---|---|---|"
    )
    plain = {name: np.mean([run.cost for run, _ in replays.of(name, SCRIPT)]) for name in groups}
    rows = []
    for rule in rules():
        runs = {name: replays.of(name, rule) for name in groups}
        costs = {name: np.mean([run.cost for run, _ in each]) for name, each in runs.items()}
        saved = float(np.mean([plain[name] / costs[name] for name in groups]))
        whole = float(np.mean([costs[n] / groups[n][0].table.epochs for n in groups]))
        rows.append((saved, whole, rule, [run for each in runs.values() for run in each]))
    for saved, whole, rule, every in sorted(rows, key=lambda row: row[0]):
        close = kept(every)
        print(
            f"| {rule.clock} | {rule.score} | {rule.judges} | {rule.first:g} | 1/{rule.factor}"
            f" | {saved:.2f} | {whole:.1f} | {close[0]:.2f} | {close[1]:.2f}"
            f" | {np.mean([regret for _, regret in every]):.4f} |"
        )


def print_groups(groups: Mapping[str, Sequence[Scored]], replays: Replays) -> None:
    """One line a group: within 0.002 / 0.005, regret, and the cost in trainings."""
    for first, judges in ((4, "pause"), (5, "pause"), (4, "arrival")):
        print(f"\nfirst rung {first}, judges on {judges}\n\n| | {' | '.join(SCORES)} |")
        print("|---" * (len(SCORES) + 1) + "|", flush=True)
        for name, group in groups.items():
            cells = []
            for rule in compared():
                if (rule.first, rule.judges) != (first, judges):
                    continue
                runs = replays.of(name, rule)
                epochs = group[0].table.epochs
                cost = np.mean([run.cost for run, _ in runs]) / epochs
                regret = np.mean([regret for _, regret in runs])
                close = kept(runs)
                cells.append(f"{close[0]:.2f} / {close[1]:.2f}, {regret:.4f}, {cost:.1f}")
            print(f"| {name} | {' | '.join(cells)} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    choices = ("recorded", "damaged", "unseen", "simulated", "others")
    parser.add_argument("--of", choices=choices, default="recorded")
    parser.add_argument("--sweeps", type=int, default=100, help="simulated ones of a population")
    parser.add_argument("--orders", type=int, default=4, help="of the trials of a recorded sweep")
    parser.add_argument("--concurrent", type=int, default=2)
    arguments = parser.parse_args()
    match arguments.of:
        case "simulated" | "others" as group:
            seeds = range(FIRST_SEED, FIRST_SEED + arguments.sweeps)
            populations = SIMULATED if group == "simulated" else OTHERS
            groups = {
                name: [Scored(population.draw(seed)) for seed in seeds]
                for name, population in populations.items()
            }
            print_groups(groups, Replays(groups, 1, arguments.concurrent))
        case group:
            folder = "" if group == "recorded" else group
            groups = {name: [Scored(table)] for name, table in tables(folder).items()}
            replays = Replays(groups, arguments.orders, arguments.concurrent)
            (print_rules if group == "recorded" else print_groups)(groups, replays)


if __name__ == "__main__":
    main()
