from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from scripted import write_scripted

import sweep
from sweep.analysis.figures.sweep_results import read_results
from sweep.machine.cpus import usable_cpus
from sweep.report.page_trials import page_trials
from sweep.store.layout import TrialPaths
from sweep.store.trial_files import read_machine
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


def test_every_epoch_of_a_sweep_says_what_its_process_used_beside_its_history(
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
    for trial_id, trial in results.items():
        paths = TrialPaths(trial.folder)
        used = read_machine(paths)
        assert set(used) >= {"cpu_cores", "memory_gib"}
        assert [*used["memory_gib"]] == [0, 1, 2]
        assert all(0 <= one <= usable_cpus() + 1 for one in used["cpu_cores"].values())
        assert all(one > 0.1 for one in used["memory_gib"].values()), "torch is loaded"
        curves = page_trials(read_results(results.folder))[trial_id]["curves"]
        assert curves["machine/memory_gib"] == [*used["memory_gib"].values()]
        assert "machine" not in paths.history.read_text(), "equal trainings have equal histories"
        with paths.machine.open("a") as file:
            file.write('{"epoch": 3, "cpu_co')
        assert read_machine(paths) == used, "a crash may tear the last line"


def test_epochs_are_compared_without_it_and_trackers_get_it() -> None:
    plain = EpochMetrics(epoch=0, val_dice=0.5)
    used = EpochMetrics(epoch=0, val_dice=0.5, machine={"cpu_cores": 1.5})
    assert used == plain
    assert used.to_json() == plain.to_json()
    assert scalars(used) == scalars(plain) | {"machine/cpu_cores": 1.5}
