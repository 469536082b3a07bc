"""How many workers fit on a cluster."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any

from sweep.spec.search.search_strategy import trials_on_gpus
from sweep.spec.search.sweep_spec import SweepSpec

SECONDS_BETWEEN_LOOKS = 5.0
"""Seconds between two queries of the cluster, since nodes join and leave."""


class Capacity:
    """Callable that returns how many workers can run at the moment, each with one trial or more.

    On a cluster that we did not start, they have room for ``max_concurrent`` trials even if the
    cluster has less: workers that wait make an autoscaler add nodes.

    Args:
        spec: resources of a trial, which are those of a worker, and ``max_concurrent``.
        grows: whether the cluster may get more nodes.

    Attributes:
        per_worker: how many trials a worker trains at once.
    """

    def __init__(self, spec: SweepSpec, *, grows: bool) -> None:
        self._most = spec.max_concurrent
        self._grows = grows
        self.resources = trial_resources(spec)
        self.per_worker = 1
        self._look_again = -math.inf
        self._slots = 1

    def __call__(self) -> int:
        if time.monotonic() >= self._look_again:
            self._look_again = time.monotonic() + SECONDS_BETWEEN_LOOKS
            room = sum(fitting(node["Resources"], self.resources) for node in living_nodes())
            self._slots = max(1, room)
        if self._most is None:
            return self._slots
        requested = math.ceil(self._most / self.per_worker) if self._grows else 1
        return max(requested, min(self._slots, self._most))


def trial_resources(spec: SweepSpec) -> dict[str, float]:
    """CPU and GPU of one trial; ``gpu: auto`` is one whole GPU if a node of the cluster has one."""
    gpu = spec.resources.gpu
    if gpu == "auto":
        gpu = float(any(fitting(node["Resources"], {"gpu": 1.0}) for node in living_nodes()))
    return {"cpu": spec.resources.cpu, "gpu": float(gpu)}


def fitting(node: Mapping[str, float], resources: Mapping[str, float]) -> int:
    """How many trials that need ``resources`` fit on a node."""
    return min(
        trials_on_gpus(there, amount) if kind == "gpu" else int(there / amount)
        for kind, amount in resources.items()
        if amount > 0
        for there in [node.get(kind.upper(), 0.0)]
    )


def living_nodes() -> list[dict[str, Any]]:
    """The nodes of the cluster, as Ray describes them."""
    import ray

    return [node for node in ray.nodes() if node["Alive"]]
