"""Trials an hour of one sweep: its trials one after the other, and in packs of N in one process.

    python benchmarks/packed_sweep.py                       # on a GPU, in minutes
    python benchmarks/packed_sweep.py --device cpu --small  # about a minute on two cores
    python benchmarks/packed_sweep.py --trials 48 --packs 1 8   # one sweep of 48 trials, twice

Every sweep is the same: drawn circles, a U-Net, Dice + CE, geometric terms that switch on after a
shared warm-up, random search, and no scheduler, so that each trial trains all of its epochs. It is
run by ``sweep.run(…, executor="local")`` with ``resources: {trials_per_gpu: N}``, each in a process
of its own. *Ratio* is the trials an hour over those of one after the other at this size. *Same*
says whether the ranking is that of one after the other, to the last digit, or how far validation
Dice differs at most and whether the winner is the same. *CPU s* is the processor time of the
process, which other work on the machine hardly changes. *MiB* is the most that torch held of the
GPU's memory, else the most of the process's own. A *turn* is what it costs to go from one trial of
a pack to the next: to note the process as this one leaves it, and to put it back as the next one
left it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

import sweep
from sweep.engine.session.pack import Pack
from sweep.engine.session.train_trial import Training, clean_process
from sweep.vocabulary.record import Outcome, Status


def space(size: int, trials: int, pack: int, arguments: argparse.Namespace) -> dict[str, Any]:
    """The sweep of one field of the table."""
    channels = [8, 16, 32] if arguments.small else [16, 32, 64, 128]
    return {
        "name": f"packed-{size}-{pack}",
        "trials": trials,
        "seed": 1,
        "searcher": "random",
        "scheduler": "none",
        "share_warmup": True,
        "data": {"source": "shapes", "difficulty": 0.3, "size": size, "count": arguments.images},
        "trainer": {
            "epochs": arguments.epochs,
            "batch_size": 8,
            "device": arguments.device,
            "deterministic": True,
        },
        "network": {"name": "unet", "channels": channels},
        "optimizer": {"name": "sgd", "lr": 0.05, "momentum": 0.9},
        "loss": {"warmup_epochs": 1, "rampup_epochs": 1},
        "resources": {"trials_per_gpu": pack},
        "space": {
            f"loss.weights.{term}": {"loguniform": [1e-3, 1]}
            for term in ("compactness", "boundary", "aspect")
        },
    }


@dataclass(slots=True)
class Row:
    """One sweep."""

    size: int
    pack: int
    trials: int
    seconds: float
    cpu: float
    mib: float

    @property
    def an_hour(self) -> float:
        return 3600 * self.trials / self.seconds


def measured(size: int, pack: int, arguments: argparse.Namespace, results: Path) -> Row:
    """Run one sweep in this process. What it imports and prepares is not counted."""
    warm = space(size, 1, 1, arguments) | {"name": f"warm-{size}-{pack}"}
    sweep.run(warm, results=results, executor="local", progress=False)
    held, over = [0], threading.Event()

    def watch() -> None:
        while not over.wait(0.02):
            held.append(torch.cuda.memory_reserved())

    on_gpu = arguments.device == "cuda"
    watcher = threading.Thread(target=watch, daemon=True)
    if on_gpu:
        watcher.start()
    start, cpu = time.perf_counter(), time.process_time()
    sweep.run(
        space(size, arguments.trials, pack, arguments),
        results=results,
        executor="local",
        progress=False,
    )
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    over.set()
    most = (
        max(held) / 2**20 if on_gpu else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    )
    return Row(size, pack, arguments.trials, seconds, cpu, most)


def microseconds_a_turn(turns: int = 4000) -> float:
    """Of two trials of a pack that do nothing but draw a number."""

    def training(seed: int) -> Training:
        torch.manual_seed(seed)
        np.random.seed(seed)
        for _ in range(turns // 2):
            torch.rand(())
            yield ()
        return Outcome(status=Status.COMPLETED)

    pack = Pack(clean_process("monai"))
    pack.add("one", training(1))
    pack.add("other", training(2))
    start = time.process_time()
    while len(pack.names) == 2:
        pack.step()
    return 1e6 * (time.process_time() - start) / turns


def ranking(results: Path, size: int, pack: int) -> pd.DataFrame:
    frame = sweep.open(results / f"packed-{size}-{pack}").frame
    return frame.drop(columns=["seconds"])


def same(one: pd.DataFrame, other: pd.DataFrame) -> str:
    """How two rankings of the same trials differ."""
    if one.equals(other):
        return "yes"
    columns = [frame.set_index("trial_id")["val_dice"].astype(float) for frame in (one, other)]
    apart = (columns[0] - columns[1]).abs().max()
    winner = "the same" if one["trial_id"][0] == other["trial_id"][0] else "another"
    return f"within {apart:.1e}, {winner} winner"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--small", action="store_true", help="smaller networks")
    parser.add_argument("--sizes", type=int, nargs="*")
    parser.add_argument("--packs", type=int, nargs="*")
    parser.add_argument("--trials", type=int)
    parser.add_argument("--images", type=int)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--one", type=json.loads, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    arguments.sizes = arguments.sizes or ([64] if arguments.small else [64, 256])
    arguments.packs = arguments.packs or ([1, 2, 4] if arguments.small else [1, 2, 4, 8])
    arguments.trials = arguments.trials or (6 if arguments.small else 8)
    arguments.images = arguments.images or (40 if arguments.small else 160)
    if arguments.one:
        size, pack, results = arguments.one
        print(json.dumps(asdict(measured(size, pack, arguments, Path(results)))))
        return
    card = torch.cuda.get_device_name() if arguments.device == "cuda" else platform.processor()
    print(f"{card or platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}")
    print(f"a turn: {microseconds_a_turn():.0f} µs")
    print("| image | trials at once | trials an hour | ratio | CPU s | MiB | same |")
    print("|---|---|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory(prefix="packed-") as folder:
        for size in arguments.sizes:
            alone: Row | None = None
            for pack in arguments.packs:
                one = json.dumps([size, pack, folder])
                command = [sys.executable, *sys.argv, "--one", one]
                done = subprocess.run(command, capture_output=True, text=True, check=False)
                if done.returncode:
                    print(f"{size}², {pack} at once: {done.stderr.strip().splitlines()[-1]}")
                    continue
                row = Row(**json.loads(done.stdout.splitlines()[-1]))
                alone = alone or row
                equal = same(*(ranking(Path(folder), size, n) for n in (alone.pack, pack)))
                ratio = row.an_hour / alone.an_hour
                print(
                    f"| {size}² | {pack} | {row.an_hour:.0f} | {ratio:.2f} | {row.cpu:.1f}"
                    f" | {row.mib:.0f} | {equal} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
