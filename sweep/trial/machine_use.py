"""What a process uses of its machine, epoch by epoch."""

from __future__ import annotations

import re
import resource
import time
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread
from typing import Self

import psutil
import torch

from sweep.trial.gpu_memory import card_in_use

MIB, GIB = 2**20, 2**30
STATUS = Path("/proc/self/status")
SECONDS_OF_A_LOOK = 1.0
"""Between two looks at the load of the GPU; what its driver tells is about the last second."""


class MachineUse:
    """The use of this process since it was last asked. Its block ends the looks at the GPU."""

    def __init__(self) -> None:
        self._wall, self._counted = time.perf_counter(), _counted()
        self._peak = 0
        self._loads: list[int] = []
        self._ended = Event()

    def __enter__(self) -> Self:
        if torch.backends.cuda.is_built():  # type: ignore[no-untyped-call]
            Thread(target=self._look_on, name="GPU load", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()

    def read(self) -> dict[str, float]:
        """As of `EpochMetrics.machine`."""
        wall, counted = time.perf_counter(), _counted()
        grown = {name: max(0.0, n - self._counted.get(name, n)) for name, n in counted.items()}
        cores = grown.pop("cpu_seconds") / max(wall - self._wall, 1e-6)
        self._wall, self._counted = wall, counted
        self._peak = max(self._peak, peak_memory())  # Linux counts roughly: its peak may fall a bit
        found = {"cpu_cores": cores, "memory_gib": self._peak / GIB, **grown}
        if (card := card_in_use()) is not None:
            found["gpu_memory_gib"] = card.used / GIB
        loads, self._loads = self._loads, []
        if loads:
            found["gpu_percent"] = sum(loads) / len(loads)
        return {name: round(value, 2) for name, value in found.items()}

    def look(self) -> bool:
        """Note the load of the GPU, if one is in use. Returns whether it can be asked again."""
        if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
            try:
                self._loads.append(torch.cuda.utilization())
            except Exception:  # noqa: BLE001 - no nvidia-ml-py, no driver, a part of a GPU (MIG)
                return False
        return True

    def _look_on(self) -> None:
        while not self._ended.wait(SECONDS_OF_A_LOOK) and self.look():
            pass


def _counted() -> dict[str, float]:
    """What only grows, as far as the system tells: no trial ends for want of it."""
    found = {"cpu_seconds": time.process_time()}
    with suppress(Exception):
        disk = psutil.Process().io_counters()
        found |= {"disk_read_mib": disk.read_bytes / MIB}
        found |= {"disk_written_mib": disk.write_bytes / MIB}
    with suppress(Exception):
        every = psutil.net_io_counters(pernic=True)
        cards = [card for name, card in every.items() if not name.startswith("lo")]  # loopback
        found |= {"received_mib": sum(card.bytes_recv for card in cards) / MIB}
        found |= {"sent_mib": sum(card.bytes_sent for card in cards) / MIB}
    return found


def peak_memory() -> int:
    """Bytes that this process had in memory at most."""
    if STATUS.exists():  # `getrusage` also counts the process that it was started from
        found = re.search(r"^VmHWM:\s*(\d+) kB", STATUS.read_text(), re.MULTILINE)
        return 1024 * int(found[1]) if found else 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
