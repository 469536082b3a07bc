"""A sweep that runs in another process, steered from here through its results folder."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import sweep
from sweep.machine.codebase import PACKAGE
from sweep.store.layout import Layout
from sweep.vocabulary.record import Status

# A function: no process of it imports MONAI.
SLOW_UNTIL_STEERED = """\
import time


def train(config, trial):
    for epoch in range(trial.epochs):
        if config["level"] == 0.1:
            time.sleep(0.1)
        trial.report(epoch, dice=0.5 + 0.001 * epoch + config["level"])
"""


def until(holds: Callable[[], bool]) -> None:
    for _ in range(600):
        if holds():
            return
        time.sleep(0.1)
    raise AssertionError("never came")


def test_sweep_is_steered_from_another_process(tmp_path: Path) -> None:
    """The first trial would take 40 s; stopped, its next report ends it."""
    spec = {
        "name": "toy",
        "trials": 2,
        "searcher": {"name": "grid"},
        "scheduler": "none",
        "trainer": {
            "kind": "custom",
            "entry": "mine.py:train",
            "epochs": 400,
            "options": {"level": 0},
        },
        "early_stopping": {"patience": None},
        "space": {"trainer.options.level": {"choice": [0.1, 0.2]}},
    }
    (tmp_path / "mine.py").write_text(SLOW_UNTIL_STEERED)
    (tmp_path / "toy.yaml").write_text(json.dumps(spec))
    command = [sys.executable, "-m", "sweep.run", "toy.yaml", "--local", "--set", "trials=1"]
    running = subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env={"PYTHONPATH": str(PACKAGE.parent), "PATH": "", "HOME": str(tmp_path)},
    )  # fmt: skip
    folder = tmp_path / "results" / "toy"
    history = Layout(folder).trial("t0000").history
    try:
        until(lambda: history.exists() and history.read_bytes().count(b"\n") > 1)
        results = sweep.open(folder)
        assert str(results.stop("t0000")) == "t0000 ends as pruned at its next report."
        assert "one more than `trials`" in str(results.enqueue({"trainer.options.level": 0.3}))
        results.note("t0000", "too slow")
        until(lambda: Layout(folder).trial("t0001").trial.exists())
        assert sweep.open(folder)["t0000"].status is Status.PRUNED
        printed, _ = running.communicate(timeout=120)
    finally:
        running.kill()
    assert running.returncode == 0, printed
    assert "[1/2] t0000 pruned: stopped by the user after" in printed
    results = sweep.open(folder)
    assert results.is_finished
    assert len(results) == 2
    assert [note.text for note in results["t0000"].notes] == ["too slow"]
    assert results["t0001"].parameters["trainer.options.level"] == 0.3
    assert results["t0001"].record.enqueued is not None
