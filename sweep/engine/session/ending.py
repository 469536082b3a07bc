"""How the execution of a sweep ended."""

from __future__ import annotations

from enum import Enum


class Ending(Enum):
    """After the last two, all reported epochs are saved, and the sweep can be resumed."""

    FINISHED = "finished"
    INTERRUPTED = "interrupted"
    OUT_OF_TIME = "the time budget is spent"
