"""What every tracker promises, wherever it logs to."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from sweep.store.layout import Layout
from sweep.tracking.make_trackers import Tracked
from sweep.tracking.tracker import Forgiving, Tracker
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.record import Outcome, ParameterValue, Status, TrialRecord

EPOCHS = (
    EpochMetrics(epoch=0, val_dice=0.5, train_loss=1.0, terms={"dice": 0.25, "ce": None}),
    EpochMetrics(epoch=1, val_dice=None, train_loss=float("nan"), metrics={"hd95": None}),
)


class TrackerContract:
    """Subclass it, and set ``make`` to the tracker's class."""

    make: Callable[[Tracked], Tracker]
    """Of what is logged; as the sweep calls it."""

    def test_trials_of_every_end_are_logged(self, tmp_path: Path) -> None:
        tracker = self.make(_tracked(tmp_path))
        for number, status in enumerate(Status):
            tell(tracker, number, status)
        tracker.close()

    def test_sweep_that_goes_on_tells_everything_again(self, tmp_path: Path) -> None:
        for _ in range(2):
            tracker = self.make(_tracked(tmp_path))
            tell(tracker, 0, Status.COMPLETED)
            tracker.close()

    def test_tracker_of_a_sweep_without_trials_can_be_closed(self, tmp_path: Path) -> None:
        self.make(_tracked(tmp_path)).close()

    def test_ranking_and_pictures_come_after_the_trials(self, tmp_path: Path) -> None:
        told = list[str]()
        tracker = Forgiving("contract", self.make(_tracked(tmp_path)), told.append)
        tell(tracker, 0, Status.COMPLETED)
        tracker.ranked()
        tracker.pictures_drawn("t0000", {"worst: case/03, Dice 0.5": _png()})
        tracker.close()
        assert told == []


def _png() -> bytes:
    content = io.BytesIO()
    Image.new("RGB", (2, 2), (1, 2, 3)).save(content, format="png")
    return content.getvalue()


def tell(tracker: Tracker, number: int, status: Status) -> None:
    """A whole trial; one that runs on has no end."""
    trial_id = f"t{number:04d}"
    parameters: dict[str, ParameterValue] = {"optimizer.lr": 0.1, "network.name": "unet"}
    tracker.trial_started(trial_id, parameters)
    tracker.epoch_reported(trial_id, EPOCHS[0])
    tracker.trial_waits(trial_id)
    tracker.epoch_reported(trial_id, EPOCHS[1])
    if status.is_final:
        tracker.trial_ended(
            TrialRecord(
                trial_id=trial_id,
                number=number,
                parameters=parameters,
                history=EPOCHS,
                outcome=Outcome(status=status),
            )
        )


def _tracked(folder: Path) -> Tracked:
    return Tracked("contract", Layout(folder), Layout(folder).trial)
