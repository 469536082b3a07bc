"""What a results folder of many trials costs its reader: CPU seconds and memory.

    python benchmarks/large_folder.py [TRIALS ...]

Writes made-up sweeps (`made_up.py`) and runs, each in a process of its own: the ranking as it is
printed, the ranking as CSV, and the page. CPU seconds are user and system time of that process, so
other work on the machine counts little; MiB is the largest resident memory. *bare* is a script that
only parses each line of the same files by Python's `json`; the last column is over its seconds.
Each command runs on a few trials first, so that Python's bytecode is there, as once installed.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from made_up import write

TRIALS = (1000, 10_000)
WARM_UP = 10
"""Trials of a first run, which is not shown."""
BARE = """
import json, sys
from pathlib import Path
for folder in Path(sys.argv[1], "trials").iterdir():
    json.loads((folder / "trial.json").read_bytes())
    for line in (folder / "history.jsonl").open("rb"):
        json.loads(line)
"""


def commands(folder: Path) -> dict[str, list[str]]:
    export = ["-m", "sweep.export", str(folder), "--format", "html"]
    return {
        "bare": ["-c", BARE, str(folder)],
        "sweep.rank --help": ["-m", "sweep.rank", "--help"],
        "sweep.rank": ["-m", "sweep.rank", str(folder)],
        "sweep.rank --format csv": ["-m", "sweep.rank", str(folder), "--format", "csv"],
        "sweep.export --format html": export,
    }


def cost(arguments: list[str]) -> tuple[float, float]:
    """CPU seconds of a Python process with these arguments, and the most MiB that it held."""
    child = os.posix_spawn(
        sys.executable,
        [sys.executable, *arguments],
        {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"},
        file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)],
    )
    _, status, usage = os.wait4(child, 0)
    if status:
        raise SystemExit(f"{arguments} failed")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def main() -> None:
    print(f"{'trials':>6}  {'':<27}{'CPU s':>7}{'MiB':>7}{'/ bare':>8}")
    for trials in (WARM_UP, *map(int, sys.argv[1:] or TRIALS)):
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary) / "made-up"
            write(folder, trials)
            bare = 0.0
            for name, arguments in commands(folder).items():
                seconds, memory = cost(arguments)
                bare = bare or seconds
                if trials == WARM_UP:
                    continue
                line = f"{seconds:>7.1f}{memory:>7.0f}{seconds / bare:>8.1f}"
                print(f"{trials:>6}  {name:<27}{line}", flush=True)


if __name__ == "__main__":
    main()
