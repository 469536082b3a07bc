"""How the execution of a sweep ended."""

from __future__ import annotations

from enum import Enum


class Ending(Enum):
    """After the last two nothing that was reported is lost, and the sweep can go on."""

    FINISHED = "finished"
    INTERRUPTED = "interrupted"
    OUT_OF_TIME = "the time budget is spent"
