"""Event files read back with TensorBoard's own reader."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sweep.store.store import Store
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.record import Outcome, Status, TrialRecord

EventAccumulator = pytest.importorskip(
    "tensorboard.backend.event_processing.event_accumulator"
).EventAccumulator

from sweep.engine.decisions.sweep_controller import SweepController  # noqa: E402
from sweep.spec.search.sweep_spec import SweepSpec  # noqa: E402
from sweep.tracking.tensorboard_tracker import TensorBoardTracker  # noqa: E402


def curve(run: Path, tag: str) -> list[tuple[int, float]]:
    events = EventAccumulator(str(run)).Reload()
    return [(event.step, event.value) for event in events.Scalars(tag)]


def epoch(number: int) -> EpochMetrics:
    return EpochMetrics(
        epoch=number, val_dice=number / 4, terms={"dice": 0.5, "ce": None}, metrics={"hd95": 2.0}
    )


def test_every_trial_is_a_run_with_one_point_an_epoch(tmp_path: Path) -> None:
    tracker = TensorBoardTracker(tmp_path)
    for trial_id in ("t0000", "t0001"):
        tracker.trial_started(trial_id, {"loss.warmup_epochs": 3, "optimizer.name": "sgd"})
    for number in range(3):
        tracker.epoch_reported("t0000", epoch(number))
    tracker.trial_ended(
        TrialRecord(
            trial_id="t0000", number=0, parameters={}, outcome=Outcome(status=Status.COMPLETED)
        )
    )
    tracker.close()
    assert curve(tmp_path / "t0000", "val_dice") == [(0, 0), (1, 0.25), (2, 0.5)]
    assert curve(tmp_path / "t0000", "terms/dice") == [(n, 0.5) for n in range(3)]
    tags = EventAccumulator(str(tmp_path / "t0000")).Reload().Tags()["scalars"]
    assert "metrics/hd95" in tags
    assert "terms/ce" not in tags  # there is no number to show
    assert (tmp_path / "t0001").is_dir()


def test_points_are_seen_while_the_trial_runs(tmp_path: Path) -> None:
    tracker = TensorBoardTracker(tmp_path)
    tracker.trial_started("t0000", {})
    tracker.epoch_reported("t0000", epoch(2))
    assert curve(tmp_path / "t0000", "val_dice") == [(2, 0.5)]
    tracker.close()


def test_searched_parameters_are_hyperparameters_of_the_run(tmp_path: Path) -> None:
    from tensorboard.plugins.hparams import metadata
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    tracker = TensorBoardTracker(tmp_path)
    tracker.trial_started("t0000", {"optimizer.lr": 0.5, "network.name": "unet", "x": None})
    tracker.close()
    events = EventAccumulator(str(tmp_path / "t0000")).Reload()
    content = events.PluginTagToContent(metadata.PLUGIN_NAME)[metadata.SESSION_START_INFO_TAG]
    found = HParamsPluginData.FromString(content).session_start_info.hparams
    assert found["optimizer.lr"].number_value == 0.5
    assert found["network.name"].string_value == "unet"
    assert "x" not in found


def test_sweep_that_goes_on_has_every_epoch_once(
    make_store: Callable[[], Store], spec: SweepSpec
) -> None:
    for part in (range(2), range(2, 4)):
        with make_store() as store:
            tracker = TensorBoardTracker(store.layout.tensorboard)
            controller = SweepController(spec, store, [tracker])
            folder = controller.next_trial()
            assert folder is not None
            for number in part:
                controller.report(folder.name, epoch(number))
            tracker.close()
            run = store.layout.tensorboard / folder.name
    assert curve(run, "val_dice") == [(number, number / 4) for number in range(4)]
