"""Files with the settings of trials that a user edits between the run and what comes after it."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from sweep.cli import app
from sweep.engine.session.train_trial import next_message, train_trial
from sweep.vocabulary.record import Outcome, Status

SPACE = """\
name: own
trials: 2
searcher: {name: random, seed: 1}
scheduler: none
max_concurrent: 1
trainer: {kind: custom, entry: own.py:train, epochs: 4, device: cpu, options: {level: 1.0}}
optimizer: {lr: 0.1}
resources: {cpu: 1, gpu: 0}
confirm: {top: 1, seeds: 2}
space:
  trainer.options.level: {uniform: [0.2, 0.4]}
"""
OWN = """\
import os, signal
from pathlib import Path


def train(config, trial):
    state = trial.checkpoint.load()
    for epoch in range(0 if state is None else state["epoch"] + 1, trial.epochs):
        if epoch == 2 and Path("interrupts").exists():
            Path("interrupts").unlink()
            os.kill(os.getpid(), signal.SIGINT)
        trial.checkpoint.save({"epoch": epoch})
        trial.report(epoch, dice=config["level"] + epoch / 100)
"""


def call(*arguments: str) -> Result:
    return CliRunner().invoke(app, [*arguments])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The results of a sweep, interrupted in its first trial of several."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.py").write_text(OWN)
    (tmp_path / "own.yaml").write_text(SPACE)
    (tmp_path / "interrupts").touch()
    started = call("run", "own.yaml", "--local")
    assert started.exit_code == 130, started.stderr
    return tmp_path / "results" / "own"


def edit(file: Path, pattern: str, text: str) -> int:
    """Replace what is found of ``pattern``; returns its line, from 1."""
    before = file.read_text()
    file.write_text(re.sub(pattern, text, before))
    assert file.read_text() != before
    return before[: re.search(pattern, before).start()].count("\n") + 1  # type: ignore[union-attr]


def test_edited_settings_of_a_trial_are_refused_where_it_would_go_on(folder: Path) -> None:
    config = folder / "trials" / "t0000" / "config.yaml"
    line = edit(config, r"level: [0-9.]+", "level: 0.39")
    done = call("run", "own.yaml", "--local", "--resume")
    assert done.exit_code == 2
    assert f"{config}:{line}: trainer.options.level: is 0.39, but 0." in done.stderr
    assert "one of these files was edited by hand, and must be put back" in done.stderr
    assert len((config.parent / "history.jsonl").read_text().splitlines()) == 2


def test_settings_edited_in_a_session_end_the_trial_where_another_worker_goes_on(
    folder: Path,
) -> None:
    trial = folder / "trials" / "t0000"
    edit(trial / "config.yaml", r"level: [0-9.]+", "level: 0.39")
    outcome = next_message(train_trial(trial, None, []))
    assert isinstance(outcome, Outcome)
    assert outcome.status is Status.FAILED
    assert "trainer.options.level: is 0.39, but 0." in outcome.cause


def test_edited_settings_of_the_sweep_are_refused_though_the_file_itself_is_given(
    folder: Path,
) -> None:
    edit(folder / "sweep.yaml", r"epochs: 4", "epochs: 3")
    done = call("run", str(folder / "sweep.yaml"), "--local", "--resume")
    assert done.exit_code == 2
    assert "trainer.epochs: is 4, but 3 by sweep.yaml" in done.stderr


def test_settings_that_are_no_yaml_any_more_fail_no_trial(folder: Path) -> None:
    config = folder / "trials" / "t0000" / "config.yaml"
    edit(config, r"epochs: 4", "epochs: [4")
    done = call("run", "own.yaml", "--local", "--resume")
    assert done.exit_code == 2
    assert f"error: {config}:" in done.stderr
    assert '"status": "running"' in (config.parent / "trial.json").read_text()


def test_unedited_sweep_with_moved_folders_goes_on_and_an_edited_winner_is_told(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.move(tmp_path / "results", tmp_path / "elsewhere")
    done = call("run", "own.yaml", "--local", "--resume", "--results", "elsewhere")
    assert done.exit_code == 0, done.stderr
    best = tmp_path / "elsewhere" / "own" / "best.yaml"
    assert "NOT as it was trained" not in best.read_text()
    name = re.search(r": (t\d{4}\w*)", best.read_text()).group(1)  # type: ignore[union-attr]
    edit(best.parent / "trials" / name / "config.yaml", r"lr: 0.1\b", "lr: 0.2")
    assert call("export", str(best.parent), "--format", "yaml").exit_code == 0
    assert "# NOT as it was trained: optimizer.lr is 0.2, but 0.1 by sweep.yaml" in best.read_text()


def test_folder_that_is_moved_in_mid_sweep_is_told_and_the_sweep_goes_on_once_it_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    moves = OWN.replace("os.kill(os.getpid(), signal.SIGINT)", 'Path("results").rename("away")')
    assert moves != OWN
    (tmp_path / "own.py").write_text(moves)
    (tmp_path / "own.yaml").write_text(SPACE)
    (tmp_path / "interrupts").touch()
    done = call("run", "own.yaml", "--local")
    assert done.exit_code == 1
    *_, error = done.stderr.splitlines()
    assert error.startswith("error: cannot write ")
    assert "; the sweep's folder was moved or deleted; once it is back, resume with: " in error
    Path("away").rename("results")
    done = call("run", "own.yaml", "--local", "--resume")
    assert done.exit_code == 0, done.stderr
    histories = sorted(Path("results/own/trials").glob("*/history.jsonl"))
    assert [len(file.read_text().splitlines()) for file in histories[:2]] == [4, 4]
