"""CPU cores and GPUs of this machine, found without torch or Ray."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from sweep.machine.cpus import usable_cpus

BOUNDLESS = 10**9

NVIDIA_GPUS = Path("/proc/driver/nvidia/gpus")


@dataclass(frozen=True, slots=True)
class Machine:
    """CPU cores and GPUs that trials may occupy together.

    Args:
        cpus: cores.
        gpus: NVIDIA GPUs.
        cuda: whether the installed torch can use them.
    """

    cpus: int
    gpus: int
    cuda: bool = True

    @classmethod
    def here(cls) -> Self:
        """This machine, as CUDA_VISIBLE_DEVICES, affinity and quotas let a process see it."""
        gpus = visible_gpus(installed_gpus(), os.environ)
        return cls(cpus=usable_cpus(), gpus=gpus, cuda=not gpus or torch_has_cuda())

    @property
    def no_cuda(self) -> str | None:
        """Why no trial can train on a GPU here; None if one can."""
        if not self.gpus:
            visible = os.environ.get("CUDA_VISIBLE_DEVICES")
            hidden = "" if visible is None else f" that CUDA_VISIBLE_DEVICES={visible} leaves"
            return f"this machine has no GPU{hidden}"
        return None if self.cuda else "the installed torch is built without CUDA"

    @classmethod
    def any(cls) -> Self:
        """A cluster. Only Ray knows its size, which changes as nodes join."""
        return cls(cpus=BOUNDLESS, gpus=BOUNDLESS)


def installed_gpus() -> int:
    """NVIDIA GPUs of this machine, from its driver."""
    if NVIDIA_GPUS.is_dir():
        return len(list(NVIDIA_GPUS.iterdir()))
    return sum(line.startswith("GPU ") for line in _nvidia_smi("-L"))


def gpu_memory() -> float | None:
    """GiB of the smallest NVIDIA GPU of this machine; None if there is none."""
    sizes = map(str.strip, _nvidia_smi("--query-gpu=memory.total", "--format=csv,noheader,nounits"))
    return min((int(mib) / 1024 for mib in sizes if mib.isdecimal()), default=None)


def memory() -> int:
    """Bytes of this machine's memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _nvidia_smi(*options: str) -> list[str]:
    """The lines that it prints; none where it is missing or fails."""
    command = ["nvidia-smi", *options]
    try:
        listed = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    return listed.stdout.splitlines()


def visible_gpus(installed: int, environment: Mapping[str, str]) -> int:
    """Number of installed GPUs that CUDA_VISIBLE_DEVICES leaves; CUDA stops at the first bad one.

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


def torch_has_cuda() -> bool:
    """Whether torch was built for CUDA, read from its file: importing it takes seconds."""
    found = importlib.util.find_spec("torch")
    if found is None or found.origin is None:
        return False
    try:
        text = Path(found.origin).with_name("version.py").read_text(encoding="utf-8")
    except OSError:
        return True  # unknown: the trial will show it
    return re.search(r"^cuda\b.*=\s*None\s*$", text, re.MULTILINE) is None
