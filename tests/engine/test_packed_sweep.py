"""A sweep that trains several trials in one process finds what it finds one after the other."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest
from scripted import write_scripted

import sweep
from sweep.spec.search.search_strategy import Resources
from sweep.vocabulary.record import Status

CIRCLES: dict[str, Any] = {
    "name": "circles",
    "trials": 6,
    "searcher": {"name": "random", "seed": 3},
    "scheduler": {"name": "asha", "reduction_factor": 2, "grace_period": 2, "clock": "epochs"},
    "data": {"source": "shapes", "difficulty": 0, "size": 32, "count": 15},
    "trainer": {"epochs": 6, "batch_size": 4, "device": "cpu"},
    "network": {"name": "unet", "channels": [4, 8, 16]},
    "optimizer": {"lr": 0.1, "momentum": 0.95},
    "loss": {"rampup_epochs": 1},
    "space": {
        "loss.warmup_epochs": {"randint": [1, 3]},
        "loss.weights.compactness": {"loguniform": [0.001, 1]},
        "loss.sqrt_epsilon": {"choice": [0, 1e-6]},
    },
}
DICE = "return Validation(dice=0.5 + 0.01 * epoch + self.settings.optimizer.lr)\n"


def scripted(folder: Path, validate: str, **more: Any) -> dict[str, Any]:
    return {
        "name": "toy",
        "trials": 5,
        "searcher": "grid",
        "scheduler": "none",
        "trainer": {"kind": "custom", "entry": write_scripted(folder, validate), "epochs": 4},
        "loss": {"warmup_epochs": 1},
        "space": {"optimizer.lr": {"choice": [0.05, 0.1, 0.15, 0.2, 0.25]}},
        **more,
    }


def run(values: dict[str, Any], folder: Path, at_once: int, **more: Any) -> sweep.SweepResults:
    values = {**values, "resources": {"trials_per_gpu": at_once}}
    return sweep.run(values, results=folder, executor="local", progress=False, **more)


def found(results: sweep.SweepResults) -> dict[str, Any]:
    """Everything that the trials found, wall times left out."""
    histories = {
        name: trial.history.drop(columns=["seconds"]).to_json()
        for name in results
        for trial in [results[name]]
    }
    return {"ranking": results.frame.drop(columns=["seconds"]).to_json(), **histories}


def test_sweep_in_packs_finds_what_it_finds_one_after_the_other(tmp_path: Path) -> None:
    """Some trials diverge, some wait at a rung, and warm-ups are trained by a neighbour."""
    alone, packed = run(CIRCLES, tmp_path / "1", 1), run(CIRCLES, tmp_path / "3", 3)
    statuses = {packed[name].status for name in packed}
    assert {Status.DIVERGED, Status.PRUNED, Status.COMPLETED} <= statuses
    assert any(packed[name].history["shared"].any() for name in packed)
    assert found(packed) == found(alone)


def test_free_place_is_taken_by_the_next_trial_at_once(tmp_path: Path) -> None:
    """Epochs end in turn: a trial that ends early hands its turns to the next one."""
    log = tmp_path / "order"
    note = (
        f"with open({str(log)!r}, 'a') as log: log.write(f'{{self.settings.optimizer.lr}} ')\n"
        "if self.settings.optimizer.lr == 0.1: raise ValueError('mine')\n"
    )
    results = run(scripted(tmp_path, note + DICE, presets=[]), tmp_path / "results", 2)
    order = [float(lr) for lr in log.read_text().split()]
    assert order[:5] == [0.05, 0.1, 0.05, 0.15, 0.05]
    assert [results[name].status for name in sorted(results)].count(Status.FAILED) == 1
    assert [results[name].status for name in sorted(results)].count(Status.COMPLETED) == 4


def test_at_most_max_concurrent_trials_take_turns(tmp_path: Path) -> None:
    values = scripted(tmp_path, DICE, presets=[], trials=3, max_concurrent=1)
    journal = run(values, tmp_path / "results", 3).folder / "journal.jsonl"
    events = [json.loads(line) for line in journal.read_text().splitlines()]
    ids = [event["trial_id"] for event in events]
    assert len(set(ids)) == 3
    assert ids == sorted(ids)


def test_interrupted_sweep_of_packs_ends_as_one_left_alone(tmp_path: Path) -> None:
    expected = run(scripted(tmp_path, DICE), tmp_path / "whole", 3)
    pressed = tmp_path / "pressed"
    interrupts = (
        "from pathlib import Path\n"
        f"pressed = Path({str(pressed)!r})\n"
        "if epoch == 2 and self.settings.optimizer.lr == 0.1 and not pressed.exists():\n"
        "    import os, signal\n"
        "    pressed.touch()\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n" + DICE
    )
    values, handler = scripted(tmp_path, interrupts), signal.getsignal(signal.SIGINT)
    broken = run(values, tmp_path / "broken", 3)
    assert not broken.is_finished
    assert signal.getsignal(signal.SIGINT) is handler
    resumed = run(values, tmp_path / "broken", 2, resume=True)  # it changes no result
    assert resumed.is_finished
    assert found(resumed) == found(expected)


@pytest.mark.parametrize("wrong", [0, -1, 1.5, "many"])
def test_number_of_trials_is_a_whole_one_from_1_or_auto(wrong: Any) -> None:
    assert Resources().trials_per_gpu == 1
    assert Resources(trials_per_gpu="auto").trials_per_gpu == "auto"
    with pytest.raises(ValueError, match="trials_per_gpu"):
        Resources(trials_per_gpu=wrong)
