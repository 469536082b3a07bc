"""What a scheduler says to a report."""

from __future__ import annotations

from enum import StrEnum


class Decision(StrEnum):
    """Whether a trial trains on."""

    CONTINUE = "continue"
    STOP = "stop"
