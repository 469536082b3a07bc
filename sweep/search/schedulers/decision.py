"""The decisions of a scheduler."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum


class Decision(StrEnum):
    """What a trial does next. A trial that pauses leaves its worker and may continue later."""

    CONTINUE = "continue"
    PAUSE = "pause"
    STOP = "stop"


class OnArrival:
    """Default hooks for a scheduler that judges each trial at once, by the trials before it."""

    def expect(self, to_come: int) -> None: ...

    def start(self, trial_id: str) -> None: ...

    def let_on(self, trial_id: str) -> None: ...

    def decided(self) -> Iterable[tuple[str, Decision]]:
        return ()
