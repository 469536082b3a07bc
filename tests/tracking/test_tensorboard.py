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
from sweep.store.layout import Layout  # noqa: E402
from sweep.testing import TrackerContract  # noqa: E402
from sweep.tracking.tensorboard_tracker import TensorBoardTracker  # noqa: E402
from sweep.tracking.tracker import Tracked  # noqa: E402


class TestContract(TrackerContract):
    make = TensorBoardTracker


def tracker_in(folder: Path) -> TensorBoardTracker:
    return TensorBoardTracker(Tracked("toy", Layout(folder), Layout(folder).trial))


def curve(run: Path, tag: str) -> list[tuple[int, float]]:
    events = EventAccumulator(str(run)).Reload()
    return [(event.step, event.value) for event in events.Scalars(tag)]


def epoch(number: int) -> EpochMetrics:
    return EpochMetrics(
        epoch=number, val_dice=number / 4, terms={"dice": 0.5, "ce": None}, metrics={"hd95": 2.0}
    )


def test_every_trial_is_a_run_with_one_point_an_epoch(tmp_path: Path) -> None:
    tracker = tracker_in(tmp_path)
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
    assert curve(tmp_path / "tensorboard" / "t0000", "val_dice") == [(0, 0), (1, 0.25), (2, 0.5)]
    assert curve(tmp_path / "tensorboard" / "t0000", "terms/dice") == [(n, 0.5) for n in range(3)]
    tags = EventAccumulator(str(tmp_path / "tensorboard" / "t0000")).Reload().Tags()["scalars"]
    assert "metrics/hd95" in tags
    assert "terms/ce" not in tags  # there is no number to show
    assert (tmp_path / "tensorboard" / "t0001").is_dir()


def test_cause_and_table_of_cases_are_texts_of_the_run(tmp_path: Path) -> None:
    tracker, paths = tracker_in(tmp_path), Layout(tmp_path).trial("t0000")
    tracker.trial_started("t0000", {})
    paths.folder.mkdir(parents=True)
    paths.cases.write_text("case,dice\na|b,0.5\nc,\n")
    outcome = Outcome(status=Status.PRUNED, cause="stopped by asha")
    tracker.trial_ended(TrialRecord(trial_id="t0000", number=0, parameters={}, outcome=outcome))
    events = EventAccumulator(str(tmp_path / "tensorboard" / "t0000")).Reload()
    assert {*events.PluginTagToContent("text")} == {"cause", "cases"}
    texts = {tag: events.Tensors(tag)[0].tensor_proto.string_val[0] for tag in ("cause", "cases")}
    assert texts == {
        "cause": b"stopped by asha",
        "cases": b"case|dice\n---|---\na\\|b|0.5\nc|",
    }


def test_points_are_seen_while_the_trial_runs(tmp_path: Path) -> None:
    tracker = tracker_in(tmp_path)
    tracker.trial_started("t0000", {})
    tracker.epoch_reported("t0000", epoch(2))
    assert curve(tmp_path / "tensorboard" / "t0000", "val_dice") == [(2, 0.5)]
    tracker.close()


def test_searched_parameters_are_hyperparameters_of_the_run(tmp_path: Path) -> None:
    from tensorboard.plugins.hparams import metadata
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    tracker = tracker_in(tmp_path)
    tracker.trial_started("t0000", {"optimizer.lr": 0.5, "network.name": "unet", "x": None})
    tracker.close()
    events = EventAccumulator(str(tmp_path / "tensorboard" / "t0000")).Reload()
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
            tracker = TensorBoardTracker(Tracked("toy", store.layout, store.layout.trial))
            controller = SweepController(spec, store, [tracker])
            folder = controller.next_trial()
            assert folder is not None
            for number in part:
                controller.report(folder.name, epoch(number))
            tracker.close()
            run = store.layout.tensorboard / folder.name
    assert curve(run, "val_dice") == [(number, number / 4) for number in range(4)]
