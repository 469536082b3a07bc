"""Memory of the GPUs of this machine, found without torch."""

from __future__ import annotations

import subprocess


def gpu_memory() -> float | None:
    """GiB of the smallest NVIDIA GPU; None if there is none."""
    command = ["nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits"]
    try:
        listed = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    found = [int(line) / 1024 for line in listed.stdout.split() if line.isdecimal()]  # of MiB
    return min(found, default=None)
