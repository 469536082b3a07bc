"""Trials that share a process have the numbers, weights and checkpoints that they have alone."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sweep.engine.session.pack import Pack
from sweep.engine.session.train_trial import Message, clean_process, train_trial
from sweep.trial.process_state import CleanProcess
from sweep.vocabulary.record import Outcome

TRIAL = """\
data: {{source: shapes, difficulty: 0, size: 32, count: 15}}
trainer: {{epochs: {epochs}, batch_size: 4, device: cpu, deterministic: {deterministic}}}
network: {{name: unet, channels: [4, 8, 16], dropout: {dropout}}}
loss: {{warmup_epochs: 2, rampup_epochs: 1, sqrt_epsilon: {epsilon}}}
optimizer: {{lr: {lr}, momentum: 0.95}}
early_stopping: {{patience: {patience}}}
"""
Make = Callable[..., Path]
Said = dict[str, list[Message]]


@pytest.fixture(scope="module")
def clean() -> Iterator[CleanProcess]:
    found = clean_process("monai")
    assert found is not None
    yield found
    gc.unfreeze()


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Makes a trial's folder, in ``packed`` or ``alone``."""

    def make(where: str, name: str, **settings: object) -> Path:
        defaults = {"epochs": 4, "dropout": 0.2, "epsilon": 1e-6, "lr": 0.1, "patience": "null"}
        folder = tmp_path / where / "trials" / name
        folder.mkdir(parents=True)
        values = {"deterministic": "true", **defaults, **settings}
        (folder / "config.yaml").write_text(TRIAL.format(**values))
        return folder

    return make


def trained(pack: Pack) -> Said:
    """All that the trials of a pack report until they have ended, wall times left out."""
    said: Said = {}
    while pack.names:
        for name, message in pack.step():
            if not isinstance(message, Outcome):
                message = [replace(metrics, seconds=0) for metrics in message]
            said.setdefault(name, []).append(message)
    return said


def files(folder: Path) -> dict[str, bytes]:
    """Content of the checkpoints in a trial's folder."""
    return {file.name: file.read_bytes() for file in folder.glob("*.pt")}


def test_trials_of_a_pack_are_the_trials_alone(clean: CleanProcess, make: Make) -> None:
    trials: dict[str, dict[str, object]] = {
        "plain": {},
        "diverges": {"epsilon": 0, "dropout": 0},
        "shorter": {"epochs": 2, "lr": 0.03},
        "out of patience": {"patience": 1, "lr": 3e-5},
        "other switches": {"deterministic": "false"},
    }
    pack = Pack(clean)
    for name, settings in trials.items():
        pack.add(name, train_trial(make("packed", name, **settings), None, ()))
    packed = trained(pack)
    ends = [str(said[-1].status) for said in packed.values() if isinstance(said[-1], Outcome)]
    assert sorted(ends) == ["completed", "completed", "completed", "diverged", "early_stopped"]
    for name, settings in trials.items():
        alone = Pack(clean)
        folder = make("alone", name, **settings)
        alone.add(name, train_trial(folder, None, ()))
        assert trained(alone) == {name: packed[name]}
        assert files(folder) == files(folder.parents[2] / "packed" / "trials" / name)
