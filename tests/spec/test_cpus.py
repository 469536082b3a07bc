"""CPU cores that are left to us. The files are those of Linux's control groups, written by hand."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sweep.machine import cpus
from sweep.machine.cpus import cpu_quota, usable_cpus
from sweep.machine.hardware import Machine


@pytest.mark.parametrize(
    ("own", "files", "expected"),
    [
        # version 2, inside of a container: the root is its own
        ("0::/", {"cpu.max": "150000 100000"}, 1.5),
        ("0::/", {"cpu.max": "max 100000"}, None),
        # a host's path, which is not there inside
        ("0::/system.slice/docker-1.scope", {"cpu.max": "200000 100000"}, 2.0),
        # the smallest on the way up
        ("0::/a/b", {"a/b/cpu.max": "400000 100000", "a/cpu.max": "300000 100000"}, 3.0),
        # version 1
        ("4:cpu,cpuacct:/x\n1:name=systemd:/y",
         {"cpu,cpuacct/x/cpu.cfs_quota_us": "50000", "cpu,cpuacct/x/cpu.cfs_period_us": "100000"},
         0.5),
        ("4:cpu:/", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None),
        # nonsense is no quota
        ("0::/", {"cpu.max": "x"}, None),
        ("0::/", {"cpu.max": "5 0"}, None),
        ("", {}, None),
        ("abc", {"cpu.max": "150000 100000"}, None),
    ],
)  # fmt: skip
def test_quota_is_the_smallest_of_the_groups(
    tmp_path: Path, own: str, files: dict[str, str], expected: float | None
) -> None:
    (tmp_path / "own").write_text(own)
    for name, text in files.items():
        file = tmp_path / "groups" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text + "\n")
    assert cpu_quota(tmp_path / "groups", tmp_path / "own") == expected


def test_no_control_groups_is_no_quota(tmp_path: Path) -> None:
    assert cpu_quota(tmp_path, tmp_path / "none") is None


@pytest.mark.parametrize(
    ("quota", "cores", "expected"),
    [(None, 4, 4), (1.5, 4, 1), (0.5, 4, 1), (8.0, 4, 4), (2.0, 1, 1)],
)
def test_usable_cores_are_whole_and_at_least_one(
    monkeypatch: pytest.MonkeyPatch, quota: float | None, cores: int, expected: int
) -> None:
    monkeypatch.setattr(cpus, "cpu_quota", lambda: quota)
    monkeypatch.setattr(cpus, "_affinity", lambda: cores)
    assert usable_cpus() == expected


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity here")
def test_affinity_of_the_process_counts() -> None:
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert Machine.here().cpus == 1
    finally:
        os.sched_setaffinity(0, before)
