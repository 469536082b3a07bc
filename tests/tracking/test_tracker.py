"""What all trackers share: which numbers, and that none of them ends a sweep."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import cast

import pytest

from sweep.machine.hardware import Machine
from sweep.machine.installed_packages import how_to_install
from sweep.spec.load import load_sweep
from sweep.spec.search import tracker_names as trackers
from sweep.spec.search.tracker_names import chosen
from sweep.store.layout import Layout
from sweep.tracking import make_trackers as make
from sweep.tracking.background_tracker import InBackground
from sweep.tracking.make_trackers import Tracked, tracking
from sweep.tracking.tracker import Forgiving, Tracker, scalars
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.errors import InputError, ResultsError
from sweep.vocabulary.record import Status, TrialRecord

SPACE = "space: {loss.warmup_epochs: {randint: [0, 5]}}\n"


def test_every_number_of_an_epoch_is_logged_by_its_name_in_the_history() -> None:
    metrics = EpochMetrics(
        epoch=3,
        val_dice=0.5,
        train_loss=float("nan"),
        terms={"dice": 0.25, "ce": None},
        metrics={"hd95": 3.5},
        warnings=("look",),
    )
    assert scalars(metrics) == {
        "val_dice": 0.5,
        "terms/dice": 0.25,
        "metrics/hd95": 3.5,
        "geometric_factor": 0,
        "steps": 0,
        "skipped_steps": 0,
        "seconds": 0,
    }


class Broken:
    """Fails from its second call on."""

    def __init__(self) -> None:
        self.calls = 0

    def trial_started(self, *_: object) -> None:
        self.calls += 1

    def epoch_reported(self, *_: object) -> None:
        self.calls += 1
        raise OSError("the disk is full")

    def trial_waits(self, *_: object) -> None:
        self.calls += 1

    def trial_ended(self, *_: object) -> None:
        self.calls += 1

    def close(self) -> None:
        self.calls += 1


def test_tracker_that_fails_is_told_of_once_and_left_alone() -> None:
    broken, told = Broken(), list[str]()
    tracker = Forgiving("mlflow", broken, told.append)
    tracker.trial_started("t0000", {})
    for epoch in range(3):
        tracker.epoch_reported("t0000", EpochMetrics(epoch=epoch, val_dice=None))
    tracker.trial_ended(TrialRecord(trial_id="t0000", number=0, parameters={}))
    tracker.close()
    assert broken.calls == 2
    assert told == [
        "mlflow is not logged to any more (OSError: the disk is full); the results folder has"
        " everything"
    ]


def test_tracker_that_cannot_start_ends_the_command_with_one_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse(_: Tracked) -> Broken:
        raise ConnectionError("nobody there")

    monkeypatch.setitem(make.TRACKERS, "mlflow", refuse)  # type: ignore[attr-defined]
    tracked = Tracked("toy", Layout(tmp_path), Layout(tmp_path).trial)
    with (
        pytest.raises(ResultsError, match="cannot log to mlflow: ConnectionError: nobody there"),
        tracking(["mlflow"], tracked, print),
    ):
        pass


def test_trackers_are_closed_although_the_sweep_fails(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    broken = Broken()
    monkeypatch.setitem(make.TRACKERS, "mlflow", lambda _: broken)  # type: ignore[attr-defined]
    tracked = Tracked("toy", Layout(tmp_path), Layout(tmp_path).trial)
    opened = tracking(["mlflow", "mlflow"], tracked, print)  # once, though given twice
    with pytest.raises(KeyboardInterrupt), opened:
        raise KeyboardInterrupt
    assert broken.calls == 1


# In the sweep file and on the command line.


def told(tmp_path: Path, text: str) -> list[str]:
    path = tmp_path / "x.yaml"
    path.write_text(SPACE + text)
    try:
        load_sweep(path, machine=Machine(cpus=4, gpus=0))
    except InputError as error:
        return [str(mistake).removeprefix(f"{path}:") for mistake in error.mistakes]
    return []


def test_trackers_are_given_by_name_alone_or_in_a_list(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    for text, expected in [
        ("", ()),
        ("tracking: mlflow\n", ("mlflow",)),
        ("tracking: [tensorboard, mlflow]\n", ("tensorboard", "mlflow")),
    ]:
        path.write_text(SPACE + text)
        assert load_sweep(path).tracking == expected
    [message] = told(tmp_path, "tracking: [mlfow]\n")
    assert "must be `tensorboard`, `mlflow` or `wandb`" in message
    assert "did you mean `mlflow`?" in message


def test_missing_extra_is_told_before_anything_runs_with_the_command_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trackers, "PACKAGES", {"tensorboard": "tensorboard", "mlflow": "no_such"})
    assert told(tmp_path, "tracking: [tensorboard, mlflow]\n") == [
        "2: tracking: `mlflow` needs the package no_such: pip install 'medical-sweep[mlflow]'"
    ]
    assert chosen(["mlflow"])[1] == [
        "`mlflow` needs the package no_such: pip install 'medical-sweep[mlflow]'"
    ]


def test_a_folder_of_a_packages_name_is_not_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "no_such_tracker").mkdir()  # as W&B leaves `wandb/` where it was run
    monkeypatch.syspath_prepend(tmp_path)
    message = how_to_install("wandb", "no_such_tracker")
    assert message is not None
    assert "needs the package no_such_tracker" in message
    assert how_to_install("tensorboard", "json") is None


def test_trackers_of_a_command_line_are_checked_by_name() -> None:
    assert chosen(["mlflow", "tensorboard", "mlflow"]) == (("tensorboard", "mlflow"), [])
    assert chosen(["tensorbord"])[1] == [
        'must be `tensorboard`, `mlflow` or `wandb`, but is "tensorbord";'
        " did you mean `tensorboard`?"
    ]


def test_status_of_every_end_is_one_that_mlflow_knows() -> None:
    from mlflow.entities import RunStatus

    from sweep.tracking.mlflow_tracker import RUN_STATUS

    assert RUN_STATUS.keys() == set(Status)
    assert set(RUN_STATUS.values()) <= {
        RunStatus.to_string(status) for status in RunStatus.all_status()
    }


def test_a_plug_in_that_knows_nothing_of_pictures_is_not_told_of_them() -> None:
    class Older:
        """The methods that a plug-in must have."""

        def close(self) -> None:
            """Nothing is open."""

    told: list[str] = []
    tracker = Forgiving("older", cast(Tracker, Older()), told.append)
    tracker.pictures_drawn("t0000", {})
    tracker.close()
    assert told == []


# In the background.


def test_calls_are_made_in_order_in_another_thread_before_it_is_closed() -> None:
    seen = list[tuple[str, bool]]()

    class Slow(Tracker):
        def epoch_reported(self, trial_id: str, metrics: EpochMetrics) -> None:
            seen.append((f"epoch {metrics.epoch}", threading.current_thread() is here))

        def close(self) -> None:
            seen.append(("close", threading.current_thread() is here))

    here = threading.current_thread()
    tracker = InBackground(Slow)
    for epoch in range(3):
        tracker.epoch_reported("t0000", EpochMetrics(epoch=epoch, val_dice=None))
    tracker.close()
    assert seen == [(f"epoch {n}", False) for n in range(3)] + [("close", False)]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ConnectionError("nobody there"), "ConnectionError: nobody there"),
        (SystemExit(1), "RuntimeError: SystemExit(1)"),  # a library that exits ends no sweep
    ],
)
def test_an_error_in_the_background_is_told_once_and_ends_the_logging(
    error: BaseException, words: str
) -> None:
    def refuse() -> Tracker:
        raise error

    told = list[str]()
    tracker = Forgiving("wandb", InBackground(refuse), told.append)
    tracker.close()
    assert told == [f"wandb is not logged to any more ({words}); the results folder has everything"]


def test_a_server_that_never_answers_does_not_keep_the_sweep_from_ending() -> None:
    answered = threading.Event()

    class Hanging(Tracker):
        def ranked(self) -> None:
            answered.wait()

    tracker = InBackground(Hanging, patience=0)
    tracker.ranked()
    with pytest.raises(TimeoutError, match="not everything was sent within 0 s"):
        tracker.close()
    answered.set()
