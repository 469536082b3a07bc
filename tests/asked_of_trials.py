"""What the workers of a cluster are asked about trials in tests."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence

from sweep.store.layout import TrialPaths
from sweep.vocabulary.errors import InputError, Mistake


def who(trials: Sequence[TrialPaths], does: str) -> tuple[str, int]:
    """The trial and the process that was asked. One trial misbehaves."""
    name = trials[0].folder.name
    if does == "waits for another process":
        here = trials[0].folder.parent
        (here / f"{os.getpid()}.asked").touch()
        deadline = time.monotonic() + 120
        while len([*here.glob("*.asked")]) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
    elif name == "t0001":
        if does == "is killed":
            os._exit(1)
        if does == "refuses":
            raise InputError([Mistake("is missing", key="data.folder")])
        if does == "raises":
            raise ValueError("no such layer")
    return name, os.getpid()
