from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from foreign import write_trainer

from sweep.spec.load import load_trial
from sweep.store.layout import TrialPaths
from sweep.store.lock import training
from sweep.store.trial_files import read_machine
from sweep.trainer.runs.monai_run import MonaiTraining
from sweep.trial.checkpoints import Checkpoints

Call = Callable[..., Result]


def test_config_is_trained_and_leaves_a_results_folder(call: Call, folder: Path) -> None:
    result = call("train", "best.yaml", "--set", "seed=3")
    assert result.exit_code == 0
    trained = folder / "results" / "train-best"
    assert sorted(path.name for path in trained.iterdir()) == [
        ".lock",
        "best.pt",
        "cases.csv",
        "config.yaml",
        "history.jsonl",
        "machine.jsonl",
        "provenance.json",
        "trial.json",
    ]
    history = [json.loads(line) for line in (trained / "history.jsonl").read_text().splitlines()]
    assert [epoch["epoch"] for epoch in history] == [0, 1, 2, 3]
    assert all(0 <= epoch["val_dice"] <= 1 for epoch in history)
    assert [*read_machine(TrialPaths(trained))["cpu_cores"]] == [0, 1, 2, 3]
    assert load_trial(trained / "config.yaml").seed == 3
    assert json.loads((trained / "trial.json").read_text())["status"] == "completed"
    assert Checkpoints(trained).load_best() is not None

    lines = result.stdout.splitlines()
    assert [line.split()[:2] for line in lines[:4]] == [["epoch", str(n)] for n in range(4)]
    assert "val Dice" in lines[0]
    assert lines[4:] == ["completed", f"Results: {trained}"]


def test_effective_config_of_a_trial_trains_the_same_again(call: Call, folder: Path) -> None:
    call("train", "best.yaml", "--name", "one")
    call("train", "results/one/config.yaml", "--name", "two")
    one, two = (
        [
            json.loads(line)["val_dice"]
            for line in (folder / "results" / name / "history.jsonl").read_text().splitlines()
        ]
        for name in ("one", "two")
    )
    assert one == two


def test_folder_that_holds_something_is_refused_and_left_alone(call: Call, folder: Path) -> None:
    trained = folder / "results" / "train-best"
    trained.mkdir(parents=True)
    (trained / "notes.txt").write_text("mine")
    result = call("train", "best.yaml")
    assert result.exit_code == 2
    assert result.stderr.startswith(f"error: {trained} already exists: choose another --name")
    assert [path.name for path in trained.iterdir()] == ["notes.txt"]


def test_folder_that_another_process_has_just_begun_to_train_in_is_left_to_it(
    call: Call, folder: Path
) -> None:
    trained = folder / "results" / "train-best"
    trained.mkdir(parents=True)
    with training(TrialPaths(trained)):
        result = call("train", "best.yaml")
        assert not [path for path in trained.iterdir() if not path.name.startswith(".")]
    assert result.exit_code == 1
    assert f"another process is still training in {trained}" in result.stderr


def test_diverging_config_says_why_and_exits_with_1(call: Call, folder: Path) -> None:
    changes = ("loss.sqrt_epsilon=0", "loss.warmup_epochs=3", "trainer.epochs=8")
    sets = [part for change in changes for part in ("--set", change)]
    result = call("train", "best.yaml", *sets, "--name", "nan")
    assert result.exit_code == 1
    trained = folder / "results" / "nan"
    verdict = json.loads((trained / "divergence.json").read_text())
    assert (verdict["cause"], verdict["stage"]) == ("nonfinite", "gradient")
    assert verdict["epoch"] >= 3
    assert verdict["term"] in ("compactness", "aspect")
    assert f"diverged: nonfinite gradient ({verdict['term']}) at epoch" in result.stdout
    assert result.stderr == f"error: the trial diverged; see {trained / 'divergence.json'}\n"
    trial = json.loads((trained / "trial.json").read_text())
    assert trial["status"] == "diverged"
    assert (trained / "healthy.pt").exists()


@pytest.mark.parametrize("name", ["../x", "/tmp/x", "a/b", "", ".."])
def test_hostile_name_cannot_leave_the_results(call: Call, folder: Path, name: str) -> None:
    result = call("train", "best.yaml", "--name", name)
    assert result.exit_code == 2
    assert "--name: must be 1 to 100 letters" in result.stderr
    assert sorted(path.name for path in folder.iterdir()) == ["best.yaml", "tiny.yaml"]


def test_results_can_go_elsewhere(call: Call, folder: Path) -> None:
    result = call("train", "best.yaml", "--set", "trainer.epochs=1", "--results", "deep/er")
    assert result.exit_code == 0
    assert (folder / "deep" / "er" / "train-best" / "history.jsonl").exists()


def test_what_a_sweep_left_is_trained_under_its_name(
    call: Call, folder: Path, results: Path
) -> None:
    shutil.copy("best.yaml", results / "best.yaml")
    shutil.copy("best.yaml", results / "trials" / "t0000" / "config.yaml")
    for config in ("results/toy/best.yaml", "results/toy/trials/t0000/config.yaml"):
        assert call("train", config, "--set", "trainer.epochs=1").exit_code == 0
    trained = sorted(path.name for path in (folder / "results").iterdir())
    assert trained == ["toy", "train-toy-best", "train-toy-t0000"]


def test_geometric_loss_that_never_acts_is_a_warning(call: Call) -> None:
    result = call("train", "best.yaml", "--set", "trainer.epochs=1")
    assert result.exit_code == 0
    assert (
        "warning: `loss.warmup_epochs` reaches 2 of 1 epochs: the geometric loss never switches on"
        in result.stderr.splitlines()
    )


def test_mistakes_are_told_before_anything_is_written(call: Call, folder: Path) -> None:
    result = call("train", "best.yaml", "--set", "loss.warmup=3")
    assert result.exit_code == 2
    assert "loss.warmup" in result.stderr
    assert not (folder / "results").exists()


def test_trial_is_tracked_where_asked_for(call: Call, folder: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    result = call("train", "best.yaml", "--track", "tensorboard")
    assert result.exit_code == 0
    run = folder / "results" / "train-best" / "tensorboard" / "train-best"
    events = accumulator.EventAccumulator(str(run)).Reload()
    assert [event.step for event in events.Scalars("val_dice")] == [0, 1, 2, 3]
    assert "metrics/hd95" in events.Tags()["scalars"]


def test_unknown_tracker_is_refused_before_anything_is_written(call: Call, folder: Path) -> None:
    result = call("train", "best.yaml", "--track", "mlfow")
    assert result.exit_code == 2
    assert '--track: must be `tensorboard`, `mlflow` or `wandb`, but is "mlfow"' in result.stderr
    assert not (folder / "results").exists()


def test_what_was_expected_and_did_not_come_about_is_a_warning(call: Call) -> None:
    result = call("train", "best.yaml", "--set", "expect={epoch: 1, val_dice: 1.0}")
    assert result.exit_code == 0
    [warning] = result.stderr.splitlines()
    assert warning.startswith("warning: by epoch 1 a validation Dice of 1 was expected")


def test_trial_that_is_not_what_was_asked_for_fails_with_key_and_values(
    call: Call, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MonaiTraining, "factor", lambda self, epoch: float(epoch >= 3))
    result = call("train", "best.yaml")
    assert result.exit_code == 1
    assert "loss.warmup_epochs is 2 in the configuration but 3 in the trainer" in result.stderr
    trained = folder / "results" / "train-best"
    assert json.loads((trained / "trial.json").read_text())["status"] == "failed"
    assert (trained / "history.jsonl").read_text() == ""


@pytest.mark.parametrize("results", ["best.yaml", "dangling", "/dev/null/x"])
def test_results_that_cannot_be_made_are_refused_in_the_words_of_a_sweep(
    call: Call, folder: Path, results: str
) -> None:
    (folder / "dangling").symlink_to("nowhere")
    said = {}
    for command, file, name in (("train", "best.yaml", "train-best"), ("run", "tiny.yaml", "tiny")):
        result = call(command, file, "--results", results)
        assert result.exit_code == 2
        said[command] = result.stderr.splitlines()[-1].replace(name, "NAME")
    assert said["train"] == said["run"]
    assert said["train"].startswith(f"error: cannot write to {folder / results}/NAME: ")
    is_file = f"{folder / results.removesuffix('/x')} is a file, not a folder"
    assert said["train"].endswith(is_file if results != "dangling" else "File exists")


def test_results_folder_that_is_a_file_is_named_as_that(call: Call, folder: Path) -> None:
    (folder / "results").mkdir(exist_ok=True)
    for command, file, name in (("train", "best.yaml", "train-best"), ("run", "tiny.yaml", "tiny")):
        (path := folder / "results" / name).touch()
        result = call(command, file)
        assert result.exit_code == 2
        assert f"{path} is a file: choose another name, or remove it" in result.stderr
        path.unlink()


def test_trainer_that_calls_sys_exit_fails_its_trial_in_words(call: Call, folder: Path) -> None:
    entry = write_trainer(folder, "def validate(self, epoch):\n    raise SystemExit('no data')\n")
    weights = "{compactness: 0, boundary: 0, aspect: 0}"
    (folder / "own.yaml").write_text(
        f"trainer: {{kind: custom, entry: '{entry}', epochs: 1, device: cpu}}\n"
        f"loss: {{weights: {weights}}}\n"
    )
    result = call("train", "own.yaml")
    trained = folder / "results" / "train-own"
    assert result.exit_code == 1
    told = f"error: the trial failed: SystemExit: no data; see {trained / 'error.txt'}"
    assert result.stderr.splitlines()[-1] == told
    assert json.loads((trained / "trial.json").read_text())["status"] == "failed"
    assert "in validate" in (trained / "error.txt").read_text()


def test_sweep_file_is_sent_to_the_right_command(call: Call) -> None:
    result = call("train", "tiny.yaml")
    assert result.exit_code == 2
    assert "python -m sweep.run tiny.yaml" in result.stderr
