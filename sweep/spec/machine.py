"""What this machine offers to trials, found out without torch or Ray."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

BOUNDLESS = 10**9

NVIDIA_GPUS = Path("/proc/driver/nvidia/gpus")


@dataclass(frozen=True, slots=True)
class Machine:
    """CPU cores and GPUs that trials may occupy together."""

    cpus: int
    gpus: int

    @classmethod
    def here(cls) -> Self:
        """This machine, as CUDA_VISIBLE_DEVICES lets a process see it."""
        return cls(cpus=os.cpu_count() or 1, gpus=visible_gpus(installed_gpus(), os.environ))

    @classmethod
    def any(cls) -> Self:
        """A cluster: what it has room for is seen when it is asked, and changes as nodes join."""
        return cls(cpus=BOUNDLESS, gpus=BOUNDLESS)


def installed_gpus() -> int:
    """NVIDIA GPUs of this machine, from its driver."""
    if NVIDIA_GPUS.is_dir():
        return len(list(NVIDIA_GPUS.iterdir()))
    try:
        listed = subprocess.run(
            ["nvidia-smi", "-L"], capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return 0
    return sum(line.startswith("GPU ") for line in listed.stdout.splitlines())


def visible_gpus(installed: int, environment: Mapping[str, str]) -> int:
    """How many of the installed GPUs CUDA_VISIBLE_DEVICES leaves; CUDA stops at the first bad one.

    Source: CUDA C++ Programming Guide, "CUDA Environment Variables".
    """
    visible = environment.get("CUDA_VISIBLE_DEVICES")
    if visible is None or installed == 0:
        return installed
    names: list[str] = []
    for name in (part.strip() for part in visible.split(",")):
        bad_index = not name.isdecimal() or int(name) >= installed
        if bad_index and not name.startswith(("GPU-", "MIG-")):
            break
        names.append(name)
    return len(dict.fromkeys(names))
