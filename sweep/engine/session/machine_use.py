"""What a process uses of its machine, epoch by epoch."""

from __future__ import annotations

import re
import resource
import sys
import time
from pathlib import Path

GIB = 2**30
STATUS = Path("/proc/self/status")


class MachineUse:
    """The use of this process since it was last asked, without processes that it has started."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def read(self) -> dict[str, float]:
        """As of `EpochMetrics.machine`."""
        wall, cpu = time.perf_counter(), time.process_time()
        cores = (cpu - self._cpu) / max(wall - self._wall, 1e-6)
        self._wall, self._cpu = wall, cpu
        found = {"cpu_cores": cores, "memory_gib": peak_memory() / GIB}
        if "torch" in sys.modules:  # a function of a user may do without
            from sweep.trial.gpu_memory import card_in_use

            if (card := card_in_use()) is not None:
                found["gpu_memory_gib"] = card.used / GIB
        return {name: round(value, 2) for name, value in found.items()}


def peak_memory() -> int:
    """Bytes that this process had in memory at most."""
    if STATUS.exists():  # `getrusage` also counts the process that it was started from
        found = re.search(r"^VmHWM:\s*(\d+) kB", STATUS.read_text(), re.MULTILINE)
        return 1024 * int(found[1]) if found else 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
