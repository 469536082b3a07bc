"""Commands as the user types them, in a working directory of their own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from sweep.cli import app
from sweep.store.store import Store
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.record import Divergence, Outcome, Stage, Status

TRIAL = """\
data: {source: shapes, difficulty: 0, size: 32, count: 15}
trainer: {epochs: 4, batch_size: 4, device: cpu}
network: {name: unet, channels: [4, 8, 16]}
loss: {warmup_epochs: 2, rampup_epochs: 1}
optimizer: {lr: 0.1, momentum: 0.95}
early_stopping: {patience: null}
"""
SEARCH = """\
trials: 3
searcher: random
scheduler: none
space:
  loss.weights.compactness: {loguniform: [1.0e-3, 1.0]}
  loss.weights.boundary: {loguniform: [1.0e-3, 1.0]}
"""
DIVERGENCE = Divergence(
    cause="nonfinite", epoch=2, step=0, stage=Stage.GRADIENT, term="compactness", message="NaN"
)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory; it holds the sweep ``tiny.yaml`` and the trial ``best.yaml``."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.yaml").write_text(TRIAL + SEARCH)
    (tmp_path / "best.yaml").write_text(TRIAL)
    return tmp_path


@pytest.fixture
def call() -> Callable[..., Result]:
    """Runs ``sweep …`` in this process; an exception that would be a traceback fails the test."""

    def call(*arguments: str) -> Result:
        result = CliRunner().invoke(app, arguments)
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert "Traceback" not in result.output
        return result

    return call


@pytest.fixture
def results(folder: Path) -> Path:
    """A results folder with a trial of each kind: completed, diverged, and two that still run."""
    path = folder / "results" / "toy"
    path.parent.mkdir()
    yaml = "name: toy\nspace:\n  loss.sqrt_epsilon: {choice: [0, 1.0e-6]}\n"
    with Store.create(path, yaml) as store:
        for number, epsilon in enumerate([1e-6, 0, 1e-6, 1e-4]):
            name = store.start_trial(number, {"loss.sqrt_epsilon": epsilon}, "seed: 0\n")
            for epoch, dice in enumerate([0.25, 0.75, 0.5][: 3 - number]):
                store.append_epoch(name, EpochMetrics(epoch=epoch, val_dice=dice, seconds=2))
        store.end_trial("t0000", Outcome(status=Status.COMPLETED))
        store.end_trial("t0001", Outcome.diverged(DIVERGENCE))
    return path
