"""This project against a hand-written Ray Tune script, on the same configurations and seeds.

    python benchmarks/peers.py

(a) a plain script (`peer_script.py`) with ASHA and a NaN stopper, (b) the same without the stopper,
(c) this project without sharing and with the plain clock, (d) this project as shipped. One after
the other, each in a process of its own, for each seed. All train the very same random
configurations with the same trainer, two at a time; (c) and (d) train the baseline besides.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from sweep.analysis.ranking import ranking_frame, winner
from sweep.record import Status
from sweep.store.read import read_records

HERE = Path(__file__).parent
SPACE = HERE.parent / "search_spaces" / "quickstart.yaml"
COMMON = ("searcher=random", "max_concurrent=2", "resources={cpu: 1, gpu: 0}")
PLAIN = "scheduler={name: asha, clock: epochs, reduction_factor: 2}"
UNSHARED = ("share_warmup=false", PLAIN)
Row = dict[str, float | str]


def script(scratch: Path, overrides: list[str], *options: str) -> Row:
    """(a) and (b)."""
    done = subprocess.run(
        [sys.executable, HERE / "peer_script.py", SPACE, scratch, *_sets(overrides), *options],
        capture_output=True,
        text=True,
        check=True,
    )
    row: Row = json.loads(done.stdout.strip().splitlines()[-1])
    return row


def project(scratch: Path, overrides: list[str]) -> Row:
    """(c) and (d)."""
    start = time.perf_counter()
    subprocess.run(
        [
            *(sys.executable, "-m", "sweep.run", SPACE, "--no-dashboard"),
            *("--results", scratch, *_sets(overrides)),
        ],
        capture_output=True,
        check=True,
    )
    seconds = time.perf_counter() - start
    records = read_records(scratch / "quickstart")
    steps = sum(epoch.steps for record in records for epoch in record.trained)
    for record in records:
        if record.status is Status.DIVERGED and record.outcome and record.outcome.divergence:
            verdict = record.outcome.divergence
            if verdict.epoch == len(record.history):
                steps += verdict.step + 1  # of the epoch that broke
    frame = ranking_frame(records, [])
    best = winner(frame)
    return {
        "steps": steps,
        "seconds": seconds,
        "wasted": 0,  # the guard ends a trial at the step that broke
        "best": float(frame["val_dice"].iloc[0]),
        "winner": best or "–",
    }


def _sets(overrides: list[str]) -> list[str]:
    return [part for item in overrides for part in ("--set", item)]


def variants(scratch: Path, overrides: list[str]) -> dict[str, Row]:
    """Each variant's results, by its letter and name."""
    rows: dict[str, Row] = {}
    for name, options in (("a script", ["--nan-stopper"]), ("b script, no NaN stop", [])):
        folder = Path(tempfile.mkdtemp(dir=scratch))
        rows[name] = script(folder, [*overrides, PLAIN], *options)
    for name, more in (("c this, unshared", UNSHARED), ("d this", ())):
        folder = Path(tempfile.mkdtemp(dir=scratch))
        rows[name] = project(folder, [*overrides, *more])
    return rows


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--trials", type=int, default=20)
    arguments = parser.parse_args()
    print(
        "| seed | variant | trained steps | of (a) | wall s | of (a) | after divergence"
        " | best val Dice | winner |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for seed in range(arguments.seeds):
        overrides = [*COMMON, f"seed={seed}", f"trials={arguments.trials + 1}"]
        with tempfile.TemporaryDirectory(prefix="peers-") as scratch:
            rows = variants(Path(scratch), overrides)
        first = rows["a script"]
        for name, row in rows.items():
            steps, seconds = float(row["steps"]), float(row["seconds"])
            print(
                f"| {seed} | {name} | {steps:.0f} | {steps / float(first['steps']):.2f}"
                f" | {seconds:.0f} | {seconds / float(first['seconds']):.2f} | {row['wasted']}"
                f" | {float(row['best']):.4f} | {row['winner']} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
