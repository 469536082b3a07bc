"""What the workers of a cluster are asked about trials in tests."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from sweep.engine.on_ray.finalist_workers import FinalistWorker
from sweep.store.layout import TrialPaths
from sweep.vocabulary.errors import InputError, Mistake


def until(happened: Callable[[], object]) -> None:
    deadline = time.monotonic() + 120
    while not happened() and time.monotonic() < deadline:
        time.sleep(0.05)


class Unable(FinalistWorker):
    """A worker on a node whose device broke."""

    def __init__(self, folder: Path, *_: Any) -> None:
        (folder / "unable").touch()
        raise RuntimeError("no device")


def who(trials: Sequence[TrialPaths], does: str) -> tuple[str, int]:
    """The trial and the process that was asked. One trial misbehaves."""
    name = trials[0].folder.name
    if does == "waits for another process":
        here = trials[0].folder.parent
        (here / f"{os.getpid()}.asked").touch()
        until(lambda: len([*here.glob("*.asked")]) > 1)
    elif does == "waits for one that cannot start":
        until((trials[0].folder.parents[1] / "unable").exists)
        time.sleep(0.5)  # until the sweep knows it too
    elif name == "t0001":
        if does == "is killed":
            os._exit(1)
        if does == "refuses":
            raise InputError([Mistake("is missing", key="data.folder")])
        if does == "raises":
            raise ValueError("no such layer")
    return name, os.getpid()
