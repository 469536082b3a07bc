"""Sweeps of somebody else's trainers: wrong ones, a broken driver, a plain function."""

from __future__ import annotations

import csv
import json
import random
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from foreign import TRAINER
from typer.testing import CliRunner

from sweep.cli import app
from sweep.console.sweep_progress import Progress
from sweep.store.store import Store

BAD = """\

    def validate(self, epoch):
        mode = self.options["mode"]
        if mode == "exits":
            sys.exit("no data here")
        if mode == "raises":
            raise KeyError("mask\\udcff")
        return {
            "float": 0.83,
            "percent": Validation(dice=87.3),
            "nan": Validation(dice=float("nan")),
            "numpy": Validation(dice=np.float32(0.75), metrics={"own": torch.tensor(2.0)}),
            "tensor": Validation(dice=torch.tensor(0.625)),
        }[mode]
"""
SPACE = """\
name: foreign
searcher: grid
scheduler: none
max_concurrent: 1
trainer:
  {kind: custom, entry: mine.py:Mine, epochs: 2, device: cpu, options: {mode: float}}
loss: {weights: {compactness: 0, boundary: 0, aspect: 0}}
resources: {cpu: 1, gpu: 0}
space:
  trainer.options.mode: {grid: [float, percent, nan, exits, raises, numpy, tensor]}
"""
CAUSES = {
    "float": "Mine.validate returned 0.83, a float, but must return Validation(dice=…), of",
    "percent": "Mine.validate returned a Dice of 87.3, but it must lie in [0, 1]: 0.873, if it is",
    "nan": "Mine.validate gave no validation Dice in any of the 2 epochs, only None or NaN",
    "exits": "SystemExit: no data here",
    "raises": r"KeyError: 'mask\udcff'",
}


FUNCTION = """\
name: plain
searcher: grid
max_concurrent: 1
scheduler: {name: asha, grace_period: 1, reduction_factor: 2, pause: true}
trainer: {kind: custom, entry: plain.py:train, epochs: 4, device: cpu, options: {level: 1}}
resources: {cpu: 1, gpu: 0}
space:
  trainer.options.level: {grid: [0.5, 0.375, 0.25, 0.125]}
"""
PLAIN = """\
import random


def train(config, trial):
    start, seen = 0, []
    if (state := trial.checkpoint.load()) is not None:
        start, seen = state["epoch"] + 1, state["seen"]
    for epoch in range(start, trial.epochs):
        seen = [*seen, random.random()]
        trial.checkpoint.save({"epoch": epoch, "seen": seen})
        trial.report(epoch, dice=config["level"] + epoch / 100, drawn=seen[-1], begun=start)
"""


@pytest.fixture(autouse=True)
def _beside_the_sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run(folder: Path, space: str) -> Result:
    (folder / "space.yaml").write_text(space)
    return CliRunner().invoke(app, ["run", "space.yaml", "--local"])


def ranking(folder: Path) -> list[dict[str, str]]:
    with (folder / "ranking.csv").open() as file:
        return list(csv.DictReader(file))


def test_each_trial_fails_by_itself_and_a_broken_console_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Progress, "epoch_reported", lambda *_: 1 / 0)
    (tmp_path / "mine.py").write_text("import sys\n" + TRAINER.rstrip() + "\n" + BAD)
    done = run(tmp_path, SPACE)
    assert done.exit_code == 0, done.stderr
    assert "Traceback" not in done.output
    folder = tmp_path / "results" / "foreign"
    rows = {row["trainer.options.mode"]: row for row in ranking(folder)}
    assert {mode: float(rows[mode]["val_dice"]) for mode in ("numpy", "tensor")} == {
        "numpy": 0.75,
        "tensor": 0.625,
    }
    for mode, cause in CAUSES.items():
        assert rows[mode]["status"] == "failed"
        assert cause in rows[mode]["cause"]
    warning = "Progress failed: ZeroDivisionError: division by zero; the sweep continues, more in"
    assert done.stderr.count(warning) == 1
    log = (folder / "sweep.log").read_text()
    assert log.count("ZeroDivisionError: division by zero") == 1


def test_store_that_breaks_ends_the_sweep_with_its_cause_and_fails_no_trial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Store, "append_epoch", lambda *_: {}["no such key"])
    (tmp_path / "plain.py").write_text(PLAIN)
    done = run(tmp_path, FUNCTION)
    assert done.exit_code == 1
    assert "Traceback" not in done.output
    assert "error: The sweep failed: KeyError: 'no such key' (more in" in done.stderr
    log = (tmp_path / "results" / "plain" / "sweep.log").read_text()
    assert "Traceback (most recent call last)" in log
    assert "KeyError: 'no such key'" in log
    assert not list((tmp_path / "results" / "plain").glob("trials/*/error.txt"))


def test_function_pauses_at_rungs_and_goes_on_from_what_it_saved(tmp_path: Path) -> None:
    (tmp_path / "plain.py").write_text(PLAIN)
    done = run(tmp_path, FUNCTION)
    assert done.exit_code == 0, done.stderr
    folder = tmp_path / "results" / "plain"
    rows = ranking(folder)
    assert [(float(row["trainer.options.level"]), row["status"]) for row in rows] == [
        (0.5, "completed"),
        (0.375, "pruned"),
        (0.25, "pruned"),
        (0.125, "pruned"),
    ]
    assert rows[0]["epochs"] == "4"
    lines = (folder / "trials" / rows[0]["trial_id"] / "history.jsonl").read_text().splitlines()
    history = [json.loads(line)["metrics"] for line in lines]
    assert len({epoch["drawn"] for epoch in history}) == 4
    # The best is the first of one worker: it waits at its first rung until the others are there.
    assert [epoch["begun"] for epoch in history][:2] == [0, 1]
    random.seed(int(np.random.SeedSequence([0, 0]).generate_state(3, np.uint32)[0]))
    assert [epoch["drawn"] for epoch in history] == [random.random() for _ in range(4)]
