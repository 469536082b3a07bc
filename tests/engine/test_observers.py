"""Whoever watches a sweep cannot end it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from sweep.engine.decisions.observers import Observers
from sweep.engine.session.ending import note
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.record import Observer, Outcome, ParameterValue, Status, TrialRecord

RECORD = TrialRecord(
    trial_id="t0000", number=0, parameters={}, outcome=Outcome(status=Status.COMPLETED)
)


@dataclass
class Listener:
    """Notes what it is told; raises at the epochs that are named."""

    breaks: frozenset[int] = frozenset()
    heard: list[object] = field(default_factory=list)

    def trial_started(self, trial_id: str, parameters: Mapping[str, ParameterValue]) -> None:
        self.heard.append("start")

    def epoch_reported(self, trial_id: str, metrics: EpochMetrics) -> None:
        if metrics.epoch in self.breaks:
            raise ZeroDivisionError(f"at epoch {metrics.epoch}")
        self.heard.append(metrics.epoch)

    def trial_waits(self, trial_id: str) -> None:
        self.heard.append("wait")

    def trial_ended(self, record: TrialRecord) -> None:
        self.heard.append("end")


def tell(observers: Observer) -> None:
    observers.trial_started("t0000", {})
    for epoch in range(4):
        observers.epoch_reported("t0000", EpochMetrics(epoch=epoch, val_dice=0.5))
    observers.trial_waits("t0000")
    observers.trial_ended(RECORD)


def test_observer_that_raises_is_told_of_once_and_goes_on_with_the_others() -> None:
    told: list[str] = []
    broken, healthy, late = Listener(frozenset({1, 2})), Listener(), Listener()
    observers = Observers([broken, healthy], lambda name, error: told.append(f"{name}: {error}"))
    observers.add(late)
    tell(observers)
    assert healthy.heard == late.heard == ["start", 0, 1, 2, 3, "wait", "end"]
    assert broken.heard == ["start", 0, 3, "wait", "end"]
    assert told == ["Listener: at epoch 1"]


def test_exception_of_an_observer_is_raised_where_nobody_is_told() -> None:
    with pytest.raises(ZeroDivisionError):
        tell(Observers([Listener(frozenset({1}))]))


def test_log_has_the_traceback_of_what_the_screen_tells_in_one_line(tmp_path: Path) -> None:
    log = tmp_path / "sweep.log"
    log.write_text("before\n")
    try:
        tell(Listener(frozenset({1})))
    except ZeroDivisionError as error:
        note(log, error)
        note(tmp_path / "nowhere" / "sweep.log", error)  # a full disk hides no cause
    first, *_, last = log.read_text().splitlines()
    assert (first, last) == ("before", "ZeroDivisionError: at epoch 1")
    assert "in epoch_reported" in log.read_text()
