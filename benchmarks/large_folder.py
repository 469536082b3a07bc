"""What a results folder of many trials costs its reader: CPU seconds and memory.

    python benchmarks/large_folder.py [TRIALS ...] [--beside CHECKOUT]

Writes made-up sweeps (`made_up.py`) and runs, each in a process of its own: the ranking as it is
printed, the ranking as CSV, and the page. CPU seconds are user and system time of that process, so
other work on the machine counts little; MiB is the largest resident memory. *bare* is a script that
only parses each line of the same files by Python's `json`; the last column is over its seconds.
Each command runs on a few trials first, so that Python's bytecode is there, as once installed.

With ``--beside``, each command runs with the package of another checkout too, one after the other,
and its seconds are divided by those of this one: machines differ by a factor of two from day to
day, their ratio does not.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

from made_up import write

HERE = Path(__file__).parents[1]
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


def cost(arguments: list[str], package: Path = HERE) -> tuple[float, float]:
    """CPU seconds of a Python process with these arguments, and the most MiB that it held."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    child = os.posix_spawn(
        sys.executable,
        [sys.executable, *arguments],
        environment | {"PYTHONPATH": str(package)},
        file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)],
    )
    _, status, usage = os.wait4(child, 0)
    if status:
        raise SystemExit(f"{arguments} failed with the package of {package}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("trials", nargs="*", type=int, default=TRIALS, metavar="TRIALS")
    parser.add_argument("--beside", type=lambda path: Path(path).resolve(), metavar="CHECKOUT")
    asked = parser.parse_args()
    title = f"{'trials':>6}  {'':<27}{'CPU s':>7}{'MiB':>7}{'/ bare':>8}"
    print(title + (f"{'beside':>9}{'MiB':>7}{'/ this':>8}" if asked.beside else ""))
    os.chdir(tempfile.gettempdir())  # `-m` would find the package of the current folder first
    for trials in (WARM_UP, *asked.trials):
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary) / "made-up"
            write(folder, trials)
            bare = 0.0
            for name, arguments in commands(folder).items():
                seconds, memory = cost(arguments)
                bare = bare or seconds
                line = f"{trials:>6}  {name:<27}{seconds:>7.1f}{memory:>7.0f}{seconds / bare:>8.1f}"
                if asked.beside and name != "bare":
                    other, held = cost(arguments, asked.beside)
                    line += f"{other:>9.1f}{held:>7.0f}{other / seconds:>8.1f}"
                if trials != WARM_UP:
                    print(line, flush=True)


if __name__ == "__main__":
    main()
