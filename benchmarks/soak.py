"""Kill a sweep at 20 random moments, resume it each time, and compare it with one left alone.

    python benchmarks/soak.py [--kills 20] [--seed 0] [--folder FOLDER]

Three kills of four come where the journal has reached a random line, a random moment later, and one
while the session is still starting. Every other one takes the driver alone, whose workers then live
on for a moment, the rest the whole process group. The moments are drawn from the seed.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SPACE = Path(__file__).with_name("soak.yaml")
TIMES = ("seconds",)
"""What may differ between two runs of the same sweep."""


@dataclass(frozen=True)
class Moment:
    """When to kill: ``delay`` seconds after the journal has ``line`` lines (0: after the start)."""

    line: int
    delay: float

    def __str__(self) -> str:
        return (
            f"line {self.line} + {self.delay:.2f} s" if self.line else f"start + {self.delay:.1f} s"
        )


@dataclass(frozen=True)
class Session:
    """What one session did until it was killed."""

    moment: Moment
    group: bool
    recorded: int
    ended: int
    until_news: float | None
    """Seconds from its start to its first new line in the journal; None if there was none."""


def draw(kills: int, lines: int, seed: int) -> list[Moment]:
    """Moments in the order in which they come."""
    chance = random.Random(seed)
    starting = set(chance.sample(range(kills), kills // 4))
    places = iter(sorted(chance.sample(range(1, lines), kills - len(starting))))
    return [
        Moment(0, chance.uniform(0.2, 8.0))
        if number in starting
        else Moment(next(places), chance.uniform(0.0, 0.3))
        for number in range(kills)
    ]


def start(folder: Path, *arguments: str) -> subprocess.Popen[bytes]:
    """``sweep.run`` in a process group of its own."""
    command = [sys.executable, "-m", "sweep.run", str(SPACE), "--no-dashboard"]
    command += ["--results", str(folder), *arguments]
    return subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True
    )


def finish(process: subprocess.Popen[bytes]) -> None:
    """Wait for a sweep that must end well."""
    _, errors = process.communicate()
    if process.returncode != 0:
        sys.exit(f"sweep.run ended with {process.returncode}: {errors.decode()}")


def journal(folder: Path) -> list[dict[str, Any]]:
    """The complete lines of the journal, which may be growing."""
    file = folder / SPACE.stem / "journal.jsonl"
    lines = file.read_text().splitlines(keepends=True) if file.exists() else []
    return [json.loads(line) for line in lines if line.endswith("\n")]


def run_and_kill(folder: Path, moment: Moment, *, group: bool) -> Session:
    """One session: start or resume the sweep, kill it at the moment."""
    before = len(journal(folder))
    resume = (folder / SPACE.stem / "sweep.yaml").exists()
    began = time.monotonic()
    process = start(folder, *(["--resume"] if resume else []))
    until_news = None
    while process.poll() is None:
        now = len(journal(folder))
        if until_news is None and now > before:
            until_news = time.monotonic() - began
        if now >= moment.line and (not moment.line or until_news is not None):
            break
        time.sleep(0.005)
    time.sleep(moment.delay)
    if process.poll() is not None:
        _, errors = process.communicate()
        sys.exit(f"the session ended before it was killed: {errors.decode()}")
    (os.killpg if group else os.kill)(process.pid, signal.SIGKILL)
    process.communicate()
    events = journal(folder)
    ended = sum(event["event"] == "end" for event in events)
    return Session(moment, group, len(events), ended, until_news)


def results(folder: Path) -> tuple[list[dict[str, str]], dict[str, list[dict[str, Any]]]]:
    """Ranking and histories, without times."""
    with (folder / SPACE.stem / "ranking.csv").open() as file:
        ranking = [{k: v for k, v in row.items() if k not in TIMES} for row in csv.DictReader(file)]
    histories = {
        path.parent.name: [
            {k: v for k, v in json.loads(line).items() if k not in TIMES}
            for line in path.read_text().splitlines()
        ]
        for path in (folder / SPACE.stem / "trials").glob("*/history.jsonl")
    }
    return ranking, histories


def print_table(sessions: Sequence[Session]) -> None:
    print("  # | killed at          | what   | events | ended | first news after")
    for number, session in enumerate(sessions, start=1):
        news = "none" if session.until_news is None else f"{session.until_news:.1f} s"
        what = "group" if session.group else "driver"
        print(
            f" {number:2d} | {session.moment!s:18} | {what:6} | {session.recorded:6d}"
            f" | {session.ended:5d} | {news}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="for the results; default: a temporary one")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="soak-") as temporary:
        folder = arguments.folder or Path(temporary)
        began = time.monotonic()
        finish(start(folder / "alone"))
        alone = time.monotonic() - began
        lines = len(journal(folder / "alone"))
        sessions = []
        for number, moment in enumerate(draw(arguments.kills, lines, arguments.seed)):
            group = number % 2 == 0
            sessions.append(run_and_kill(folder / "killed", moment, group=group))
        began = time.monotonic()
        finish(start(folder / "killed", "--resume"))
        print_table(sessions)
        ranking, histories = results(folder / "alone")
        print(f"left alone: {alone:.0f} s, {lines} events, {len(ranking)} trials ranked")
        print(f"last session: {time.monotonic() - began:.0f} s")
        same = (ranking, histories) == results(folder / "killed")
    print(f"ranking and histories {'are the same, bit for bit' if same else 'DIFFER'}")
    sys.exit(not same)


if __name__ == "__main__":
    main()
