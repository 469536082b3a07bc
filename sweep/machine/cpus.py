"""How many CPU cores this process may really use: affinity, cpusets and the quotas of containers.

`os.cpu_count` counts the machine's, whatever of it a container, a batch system or ``taskset`` has
left to us; `os.process_cpu_count` of Python 3.13 knows the affinity, and no quota.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

CGROUPS = Path("/sys/fs/cgroup")
OWN_GROUPS = Path("/proc/self/cgroup")


def usable_cpus() -> int:
    """CPU cores, at least 1; of a quota of two and a half the whole ones."""
    quota = cpu_quota()
    whole = _affinity() if quota is None else min(_affinity(), math.floor(quota))
    return max(1, whole)


def _affinity() -> int:
    """Cores that the scheduler may put this process on: what `taskset` and cpusets leave."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1  # macOS has neither


def cpu_quota(groups: Path = CGROUPS, own: Path = OWN_GROUPS) -> float | None:
    """The smallest quota of the process's control groups, in cores; None where there is none.

    A group is bound by those above it too. Inside of a container the path that the kernel tells
    may be the host's, which is not there: then the root is the container's own.

    Args:
        groups: where the file systems of control groups are mounted.
        own: the kernel's list of this process's groups.

    Source: Linux, ``Documentation/admin-guide/cgroup-v2.rst`` (``cpu.max``) and
    ``Documentation/scheduler/sched-bwc.rst`` (``cpu.cfs_quota_us``).
    """
    try:
        lines = own.read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    found = [quota for line in lines for quota in _quotas(line, groups)]
    return min(found, default=None)


def _quotas(line: str, groups: Path) -> Iterator[float]:
    """Of a line ``NUMBER:CONTROLLERS:PATH``; version 2 has no controllers."""
    if line.count(":") < 2:
        return
    _, controllers, path = line.split(":", 2)
    if controllers and "cpu" not in controllers.split(","):
        return
    roots = [groups] if not controllers else [groups / controllers, groups / "cpu"]
    below = PurePosixPath(path.lstrip("/"))
    for root in roots:
        for group in (below, *below.parents):
            folder = root / group
            quota = _version_1(folder) if controllers else _version_2(folder)
            if quota is not None:
                yield quota


def _version_2(folder: Path) -> float | None:
    quota, _, period = _text(folder / "cpu.max").partition(" ")
    return _cores(quota, period)


def _version_1(folder: Path) -> float | None:
    return _cores(_text(folder / "cpu.cfs_quota_us"), _text(folder / "cpu.cfs_period_us"))


def _cores(quota: str, period: str) -> float | None:
    """``max`` and −1 are no quota."""
    if not quota.isdecimal() or not period.isdecimal() or not int(period):
        return None
    return int(quota) / int(period)


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return ""
