from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from scripted import write_scripted

import sweep
from sweep.machine.cpus import usable_cpus
from sweep.tracking.tracker import scalars
from sweep.vocabulary.epoch_metrics import EpochMetrics

FILLS_MEMORY = """
from sweep.engine.session.machine_use import MachineUse
use = MachineUse()
before = use.read()
filled = bytearray(2**29)
filled[::4096] = b"x" * (2**29 // 4096)
after = use.read()
del filled
print(before["memory_gib"], after["memory_gib"], use.read()["memory_gib"], *after)
"""


def test_peak_memory_rises_with_what_is_filled_and_never_falls() -> None:
    command = [sys.executable, "-c", FILLS_MEMORY]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    before, after, later = map(float, told[:3])
    assert 0.45 < after - before < 0.55, "half a GiB"
    assert later >= after
    assert told[3:] == ["cpu_cores", "memory_gib"], "without torch there is no GPU to ask"


def test_every_epoch_of_a_sweep_says_what_its_process_used_and_trackers_get_it(
    tmp_path: Path,
) -> None:
    values: dict[str, Any] = {
        "name": "toy",
        "trials": 2,
        "scheduler": "none",
        "trainer": {
            "kind": "custom",
            "entry": write_scripted(tmp_path, "return Validation(dice=0.5 + 0.01 * epoch)\n"),
            "epochs": 3,
        },
        "space": {"optimizer.lr": {"choice": [0.1, 0.2]}},
    }
    results = sweep.run(values, results=tmp_path / "r", executor="local", progress=False)
    for trial in results.values():
        used = [epoch.machine for epoch in trial.record.history]
        assert len(used) == 3
        assert all(0 <= one["cpu_cores"] <= usable_cpus() + 1 for one in used)
        assert all(one["memory_gib"] > 0.1 for one in used), "torch is loaded"
        assert list(trial.history["machine.memory_gib"]) == [one["memory_gib"] for one in used]
        assert scalars(trial.record.history[0])["machine/cpu_cores"] == used[0]["cpu_cores"]


def test_epochs_are_compared_without_it_and_old_ones_have_none() -> None:
    old = EpochMetrics.from_json({"epoch": 0, "val_dice": 0.5})
    assert old.machine == {}
    assert "machine" not in old.to_json()
    assert EpochMetrics(epoch=0, val_dice=0.5, machine={"cpu_cores": 1.0}) == old
