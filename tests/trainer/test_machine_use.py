from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from threading import Event
from typing import Any

import pytest
import torch
from scripted import write_scripted

import sweep
from sweep.analysis.figures.sweep_results import read_results
from sweep.machine.cpus import usable_cpus
from sweep.report.page_trials import page_trials
from sweep.store.layout import TrialPaths
from sweep.store.trial_files import read_machine
from sweep.tracking.tracker import scalars
from sweep.trial import machine_use
from sweep.trial.machine_use import MachineUse
from sweep.vocabulary.epoch_metrics import EpochMetrics

FILLS_MEMORY_AND_DISK = """
import os
from sweep.trial.machine_use import MachineUse
use = MachineUse()
before = use.read()
filled = bytearray(2**29)
filled[::4096] = b"x" * (2**29 // 4096)
after = use.read()
del filled
status = dict(line.split(": ") for line in open("/proc/self/io"))
with open("file", "wb") as file:
    file.write(bytes(2**23))
    os.fsync(file.fileno())
now = dict(line.split(": ") for line in open("/proc/self/io"))
written = (int(now["write_bytes"]) - int(status["write_bytes"])) / 2**20
later = use.read()
print(before["memory_gib"], after["memory_gib"], later["memory_gib"])
print(written, later["disk_written_mib"], use.read()["disk_written_mib"], *after)
"""


def test_peak_memory_never_falls_and_what_is_written_counts_for_one_epoch(tmp_path: Path) -> None:
    command = [sys.executable, "-c", FILLS_MEMORY_AND_DISK]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    before, after, later, written, told, rest, *names = ran.stdout.split()
    assert 0.45 < float(after) - float(before) < 0.55, "half a GiB"
    assert float(later) >= float(after)
    assert abs(float(told) - float(written)) < 0.02, "as the kernel says: 8 MiB on a disk"
    assert float(rest) < 0.02
    network, gpu = {"received_mib", "sent_mib"}, {"gpu_percent", "gpu_memory_gib"}
    assert network < {*names}
    assert not gpu & {*names}, "it uses none"


def test_load_of_an_epoch_is_the_mean_of_its_looks_and_a_gpu_that_cannot_be_asked_has_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loads = iter([20, 90, 40, 7])
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "utilization", lambda: next(loads))
    monkeypatch.setattr(machine_use, "card_in_use", lambda: None)
    use = MachineUse()
    assert [use.look() for _ in range(3)] == [True] * 3
    assert use.read()["gpu_percent"] == 50
    assert "gpu_percent" not in use.read(), "nobody has looked since"
    assert use.look()
    assert use.read()["gpu_percent"] == 7
    assert not use.look(), "torch raises: nvidia-ml-py is missing, or the GPU is a part of one"
    assert "gpu_percent" not in use.read()


def test_looks_at_the_gpu_end_with_the_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    looked = Event()
    monkeypatch.setattr(torch.backends.cuda, "is_built", lambda: True)
    monkeypatch.setattr(machine_use, "SECONDS_OF_A_LOOK", 0.001)
    before = {*threading.enumerate()}
    with MachineUse() as use:
        monkeypatch.setattr(use, "look", lambda: not looked.set())
        [thread] = {*threading.enumerate()} - before
        assert looked.wait(60)
    thread.join(60)
    assert not thread.is_alive(), "else the next trial would cost a fresh process"


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
