"""This project against a hand-written Ray Tune script, on the same configurations and seeds.

    python benchmarks/peers.py [--seeds 3] [--trials 48] [--concurrent 2]
                               [--variants a a+ b c d t e]

(a) a plain script (`peer_script.py`) with ASHA and a NaN stopper, (a+) the same with workers that
are reused, (b) the plain one without the stopper, (c) this project without sharing, replay of
patience and the clock `activation`, (d) this project as shipped. One after the other, each in a
process of its own, for each seed. All train the very same random configurations with the same
network, data, loss and reduction factor; (c) and (d) train the baseline besides, which is counted
but cannot win, and (d) trains each trial under the longest patience of the space.

(t) is (a+) with Ray's ``OptunaSearch``, TPE; (e) is this project with the default searcher,
``tpe``. Their configurations are their own.

Steps are counted alike in all of them, from outside (`counting/sitecustomize.py`): nobody's own
word is taken. *Ratio* is the first variant's over this one's. Dice *found* is the best validation
Dice that the variant saw before it ended; *trained on* is the best that its winner reaches when it
is trained through all epochs, without patience: what the choice of this winner is worth. *Epochs*
are split into those before a trial's own switch-on (the baseline never switches on), those from
there to its first rung, and later ones.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

from counting.sitecustomize import read_counts

from sweep.analysis.ranking.ranking_frame import ranking_frame, winner
from sweep.spec.load import load_sweep, load_trial
from sweep.spec.search.search_strategy import trained_epochs
from sweep.store.layout import Layout
from sweep.store.read_results import read_records
from sweep.vocabulary.epoch_metrics import EpochMetrics

HERE = Path(__file__).parent
PLAIN = "scheduler.clock=epochs"
"""Rungs by trained epochs, the first past the longest warm-up."""
DRAWN = "replay_patience=false"
"""Patience is drawn like any other setting."""
UNSHARED = ("share_warmup=false", DRAWN, PLAIN)
NAN_STOPPER, REUSE_ACTORS, TPE = "--nan-stopper", "--reuse-actors", "--tpe"
SCRIPTS: dict[str, tuple[str, ...]] = {
    "(a) script": (NAN_STOPPER,),
    "(a+) script, reuse_actors": (NAN_STOPPER, REUSE_ACTORS),
    "(b) script, no NaN stop": (),
    "(t) script, reuse_actors, TPE": (NAN_STOPPER, REUSE_ACTORS, TPE),
}
PROJECTS: dict[str, tuple[str, ...]] = {
    "(c) this, nothing shared": UNSHARED,
    "(d) this, as shipped": (),
    "(e) this, searcher tpe": ("searcher=tpe",),
}
LETTERS = {name[1 : name.index(")")]: name for name in (*SCRIPTS, *PROJECTS)}


@dataclass(frozen=True, slots=True)
class Row:
    """What a variant came to.

    Args:
        steps, wasted, diagnosis: see `counting.sitecustomize`.
        seconds: wall time, from the start of Ray to the winner.
        found: best validation Dice that it saw.
        winner: number of its best trial.
        config: the winner's, as a trial file.
        epochs: trained before the switch-on, from there to the first rung, and later.
    """

    steps: int
    wasted: int
    diagnosis: int
    seconds: float
    found: float
    winner: str
    config: Path
    epochs: tuple[int, int, int]


def script(space: Path, scratch: Path, overrides: list[str], *options: str) -> dict[str, Any]:
    """(a), (a+) and (b)."""
    done = _run([HERE / "peer_script.py", space, scratch, *_sets(overrides), *options], scratch)
    told: dict[str, Any] = json.loads(done.strip().splitlines()[-1])
    first = load_sweep(space, overrides).rungs()[0]
    stages: Counter[int] = Counter()
    for file, epochs in told.pop("trained"):
        switch_on = load_trial(Path(file)).loss.warmup_epochs
        stages += _stages(range(epochs), switch_on, first)
    return told | {"config": Path(told["config"]), "epochs": tuple(stages[k] for k in range(3))}


def project(space: Path, scratch: Path, overrides: list[str]) -> dict[str, Any]:
    """(c) and (d)."""
    start = time.perf_counter()
    options = ["--no-dashboard", "--results", scratch, *_sets(overrides)]
    _run(["-m", "sweep.run", space, *options], scratch)
    seconds = time.perf_counter() - start
    spec = load_sweep(space, overrides)
    folder = scratch / spec.name
    records = read_records(folder)
    # The script has no baseline: it is trained, and counted, but no candidate.
    frame = ranking_frame([r for r in records if r.preset is None], [])
    best = winner(frame)
    assert best is not None, "every trial diverged"
    stages: Counter[int] = Counter()
    for record in records:
        own = [epoch.epoch for epoch in record.history if not epoch.shared]
        never = record.preset is not None
        switch_on = spec.trainer.epochs if never else record.parameters["loss.warmup_epochs"]
        assert isinstance(switch_on, int)
        first = spec.rungs()[0]
        first = trained_epochs(first, switch_on) if spec.compares_gains else first
        stages += _stages(own, switch_on, first)
    return {
        "seconds": seconds,
        "found": float(frame["val_dice"].iloc[0]),
        "winner": best,
        "config": Layout(folder).trial(best).config,
        "epochs": tuple(stages[k] for k in range(3)),
    }


def _stages(epochs: Iterable[int], switch_on: int, first_rung: int) -> Counter[int]:
    """How many of the epochs lie before the switch-on (0), before the first rung (1), later (2)."""
    return Counter(0 if e < switch_on else 1 if e < first_rung else 2 for e in epochs)


def _run(command: list[object], scratch: Path) -> str:
    """Standard output of a Python process whose training steps are counted."""
    counts = scratch / "counts"
    counts.mkdir()
    path = os.pathsep.join([str(HERE / "counting"), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, *map(str, command)],
        env=os.environ | {"PYTHONPATH": path, "PEERS_COUNTS": str(counts)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stdout}\n{done.stderr}")
    return done.stdout


def _sets(overrides: list[str]) -> list[str]:
    return [part for item in overrides for part in ("--set", item)]


def variant(name: str, space: Path, scratch: Path, overrides: list[str]) -> Row:
    folder = Path(tempfile.mkdtemp(dir=scratch))
    if name in SCRIPTS:
        told = script(space, folder, [*overrides, DRAWN, PLAIN], *SCRIPTS[name])
    else:
        told = project(space, folder, [*overrides, *PROJECTS[name]])
    return Row(**read_counts(folder / "counts"), **told)


def trained_on(row: Row) -> float:
    """Best validation Dice of the winner's configuration over all epochs."""
    from sweep.trial.fit import fit

    told: list[EpochMetrics] = []
    fit(load_trial(row.config, ["early_stopping.patience=null"]), report=told.append)
    return max(epoch.val_dice or 0.0 for epoch in told)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--trials", type=int, default=48)
    parser.add_argument("--concurrent", type=int, default=2)
    parser.add_argument("--space", type=Path, default=HERE / "peers.yaml")
    parser.add_argument("--variants", nargs="+", choices=LETTERS, default=["a", "a+", *"bcd"])
    parser.add_argument("--set", action="append", default=[], dest="overrides")
    arguments = parser.parse_args()
    print(
        f"{arguments.trials} configurations of `{arguments.space.name}`,"
        f" {arguments.concurrent} at a time, {os.cpu_count()} cores\n\n"
        "| seed | variant | steps | ratio | wall s | ratio | after divergence | Dice found"
        " | trained on | winner | epochs |\n|---|---|---|---|---|---|---|---|---|---|---|",
        flush=True,
    )
    gains: list[tuple[float, float]] = []
    for seed in range(arguments.first_seed, arguments.first_seed + arguments.seeds):
        overrides = [
            *arguments.overrides,
            f"seed={seed}",
            f"trials={arguments.trials + 1}",
            f"max_concurrent={arguments.concurrent}",
        ]
        with tempfile.TemporaryDirectory(prefix="peers-") as scratch:
            first: Row | None = None
            worth: dict[Path, float] = {}  # of a configuration
            for name in (LETTERS[letter] for letter in arguments.variants):
                row = variant(name, arguments.space, Path(scratch), overrides)
                first = first or row
                if row.config not in worth:
                    worth[row.config] = trained_on(row)
                steps, wall = first.steps / row.steps, first.seconds / row.seconds
                after = f"{row.wasted}" + (f" (+{row.diagnosis})" if row.diagnosis else "")
                print(
                    f"| {seed} | {name} | {row.steps} | {steps:.2f} | {row.seconds:.0f}"
                    f" | {wall:.2f} | {after} | {row.found:.4f} | {worth[row.config]:.4f}"
                    f" | {row.winner} | {' + '.join(map(str, row.epochs))} |",
                    flush=True,
                )
            gains.append((steps, wall))
    steps, wall = (mean(column) for column in zip(*gains, strict=True))
    print(
        f"\n({arguments.variants[-1]}) against ({arguments.variants[0]}), mean over seeds:"
        f" {steps:.2f} times fewer steps,"
        f" {wall:.2f} times less wall time. In brackets: steps taken again to explain a divergence."
    )


if __name__ == "__main__":
    main()
