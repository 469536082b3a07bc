"""Sweeps in the making, told event by event."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from sweep.console.sweep_progress import Progress
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.record import Divergence, Outcome, Stage, Status, TrialRecord

DIVERGENCE = Divergence(
    cause="nonfinite",
    epoch=2,
    step=5,
    stage=Stage.GRADIENT,
    term="compactness",
    message="The gradient was not finite.",
)


@dataclass
class Clock:
    """Seconds that pass only when told."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Story:
    """Tells an observer what happens, in the order in which a controller would."""

    observers: list[object]
    dice: dict[str, list[float | None]] = field(default_factory=dict)

    def start(self, number: int, *dice: float | None) -> None:
        name = f"t{number:04d}"
        self.dice[name] = []
        self._tell("trial_started", name, {})
        for value in dice:
            self.epoch(number, value)

    def epoch(self, number: int, dice: float | None) -> None:
        name = f"t{number:04d}"
        metrics = EpochMetrics(epoch=len(self.dice[name]), val_dice=dice)
        self.dice[name].append(dice)
        self._tell("epoch_reported", name, metrics)

    def end(self, number: int, status: Status, cause: str = "") -> None:
        name = f"t{number:04d}"
        outcome = Outcome(status=status, cause=cause)
        if status is Status.DIVERGED:
            outcome = Outcome.diverged(DIVERGENCE)
        history = [
            EpochMetrics(epoch=epoch, val_dice=value) for epoch, value in enumerate(self.dice[name])
        ]
        record = TrialRecord(
            trial_id=name, number=number, parameters={}, history=tuple(history), outcome=outcome
        )
        self._tell("trial_ended", record)

    def _tell(self, event: str, *arguments: object) -> None:
        for observer in self.observers:
            getattr(observer, event)(*arguments)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def progress(clock: Clock) -> Progress:
    """A sweep of 10 trials of up to 4 epochs that has just started."""
    progress = Progress(trials=10, max_epochs=4, clock=clock)
    progress.start_clock()
    return progress


@pytest.fixture
def story(progress: Progress) -> Story:
    return Story([progress])


@pytest.fixture
def story_for(progress: Progress) -> Callable[[object], Story]:
    """A story that the progress hears before another observer does."""
    return lambda observer: Story([progress, observer])
