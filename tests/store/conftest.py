from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sweep.store.store import Store
from sweep.vocabulary.epoch_metrics import EpochMetrics
from sweep.vocabulary.record import Outcome, Status

SWEEP_YAML = """\
name: example
space:
  loss.warmup_epochs: {randint: [2, 8]}
  loss.sqrt_epsilon: {choice: [0, 1e-8]}
"""


@pytest.fixture
def sweep_yaml() -> str:
    return SWEEP_YAML


@pytest.fixture
def store(tmp_path: Path, sweep_yaml: str) -> Iterator[Store]:
    with Store.create(tmp_path / "sweep", sweep_yaml) as store:
        yield store


@pytest.fixture(params=["plain", "with space", "ε – Ünïcode 脳", "-rf", "a;b$(c)'\"", "x" * 200])
def nasty_folder(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    return tmp_path / str(request.param)


@pytest.fixture
def make_sweep(sweep_yaml: str) -> Callable[[Path], Path]:
    """A sweep of two trials, one finished after three epochs and one in the middle of its third."""

    def make(folder: Path) -> Path:
        with Store.create(folder, sweep_yaml) as store:
            for number in range(2):
                store.start_trial(
                    number, {"loss.warmup_epochs": number, "loss.sqrt_epsilon": 1e-8}, "seed: 0\n"
                )
            for epoch in range(3):
                for trial_id in ("t0000", "t0001"):
                    store.append_epoch(trial_id, EpochMetrics(epoch=epoch, val_dice=epoch / 10))
            store.end_trial("t0000", Outcome(status=Status.COMPLETED))
        return folder

    return make
