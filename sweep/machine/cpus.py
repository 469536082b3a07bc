"""How many CPU cores this process may use: affinity, cpusets and the quotas of containers.

`os.cpu_count` counts all cores of the machine, although a container, a batch system or ``taskset``
may leave fewer to this process. `os.process_cpu_count` of Python 3.13 knows the affinity, but no
quota.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath


def usable_cpus() -> int:
    """CPU cores, at least 1; a quota is rounded down to whole cores."""
    quota = cpu_quota()
    whole = _affinity() if quota is None else min(_affinity(), math.floor(quota))
    return max(1, whole)


def _affinity() -> int:
    """Cores that the scheduler may put this process on: what `taskset` and cpusets leave."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1  # macOS has neither


def cpu_quota(
    groups: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")
) -> float | None:
    """The smallest quota of the process's control groups, in cores; None without a quota.

    A group is bound by the groups above it too. Inside a container, the kernel may give a path of
    the host, which does not exist here. Then the root is the container's own group.

    Args:
        groups: where the file systems of control groups are mounted.
        own: the kernel's list of this process's groups.

    Source: Linux, ``Documentation/admin-guide/cgroup-v2.rst`` (``cpu.max``) and
    ``Documentation/scheduler/sched-bwc.rst`` (``cpu.cfs_quota_us``).
    """
    quotas = (
        _quota(folder) for line in _text(own).splitlines() for folder in _folders(line, groups)
    )
    return min((quota for quota in quotas if quota is not None), default=None)


def _folders(line: str, groups: Path) -> Iterator[Path]:
    """Folders of a line ``NUMBER:CONTROLLERS:PATH``; version 2 has no controllers."""
    if line.count(":") < 2:
        return
    _, controllers, path = line.split(":", 2)
    if controllers and "cpu" not in controllers.split(","):
        return
    below = PurePosixPath(path.lstrip("/"))
    for root in [groups / controllers, groups / "cpu"] if controllers else [groups]:
        yield from (root / group for group in (below, *below.parents))


def _quota(folder: Path) -> float | None:
    """The cores of one control group, of version 2 or 1; ``max`` and −1 are no quota."""
    quota, _, period = _text(folder / "cpu.max").partition(" ")
    if not quota:
        quota, period = _text(folder / "cpu.cfs_quota_us"), _text(folder / "cpu.cfs_period_us")
    if not quota.isdecimal() or not period.isdecimal() or not int(period):
        return None
    return int(quota) / int(period)


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return ""
