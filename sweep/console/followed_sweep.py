"""The progress of a sweep of another process, as far as its results folder tells it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sweep.console.console_words import duration_words
from sweep.console.sweep_progress import Progress


class Phase(StrEnum):
    """Where a followed sweep stands; the words that stand for it in the view."""

    RUNNING = "running"
    FINISHED = "finished"
    STOPPED = "not running"


@dataclass
class FollowedProgress(Progress):
    """`Progress` without a clock: the folder says how long epochs took, not when.

    Args:
        phase: where it stands.
    """

    phase: Phase = Phase.RUNNING

    @property
    def running_word(self) -> str:
        return "unfinished" if self.phase is Phase.STOPPED else "running"

    @property
    def time_words(self) -> str:
        return f"{duration_words(self.trained_seconds)} of training"

    @property
    def left_words(self) -> str:
        if self.phase is Phase.RUNNING:
            return super().left_words
        return self.phase.value

    @property
    def remaining(self) -> float | None:
        """Seconds left if what is left takes as long as what was trained, by as many at a time."""
        if not self.trained_seconds or not self.has_pace:
            return None
        at_a_time = max(1, len(self.running) - self.waiting)
        return self.trained_seconds * (1 - self.done) / self.done / at_a_time
