"""What a scheduler says to a report."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum


class Decision(StrEnum):
    """Whether a trial trains on. One that pauses leaves its worker, and goes on when it may."""

    CONTINUE = "continue"
    PAUSE = "pause"
    STOP = "stop"


class OnArrival:
    """What a scheduler need not know that judges each trial at once, by those that came before."""

    def expect(self, to_come: int) -> None: ...

    def start(self, trial_id: str) -> None: ...

    def let_on(self, trial_id: str) -> None: ...

    def decided(self) -> Iterable[tuple[str, Decision]]:
        return ()
