"""How many trials fit on a cluster."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any

from sweep.spec.search.sweep_spec import SweepSpec

SECONDS_BETWEEN_LOOKS = 5.0
"""Seconds between two queries of the cluster, since nodes join and leave."""


class Capacity:
    """Callable that returns how many trials can run at the moment.

    On a cluster that we did not start, it is ``max_concurrent`` even if there is less room: trials
    that wait make an autoscaler add nodes.

    Args:
        spec: resources of a trial and ``max_concurrent``.
        grows: whether the cluster may get more nodes.
    """

    def __init__(self, spec: SweepSpec, *, grows: bool) -> None:
        self._most = spec.max_concurrent
        self._grows = grows
        self.resources = trial_resources(spec)
        self._look_again = -math.inf
        self._slots = 1

    def __call__(self) -> int:
        if self._grows and self._most is not None:
            return self._most
        if time.monotonic() >= self._look_again:
            self._look_again = time.monotonic() + SECONDS_BETWEEN_LOOKS
            room = sum(fitting(node["Resources"], self.resources) for node in living_nodes())
            self._slots = max(1, room)
        return self._slots if self._most is None else min(self._slots, self._most)


def trial_resources(spec: SweepSpec) -> dict[str, float]:
    """CPU and GPU of one trial; ``gpu: auto`` is one whole GPU if a node of the cluster has one."""
    gpu = spec.resources.gpu
    if gpu == "auto":
        gpu = float(any(fitting(node["Resources"], {"gpu": 1.0}) for node in living_nodes()))
    return {"cpu": spec.resources.cpu, "gpu": float(gpu)}


def fitting(node: Mapping[str, float], resources: Mapping[str, float]) -> int:
    """How many trials that need ``resources`` fit on a node."""
    return min(
        int(node.get(kind.upper(), 0.0) / amount)
        for kind, amount in resources.items()
        if amount > 0
    )


def living_nodes() -> list[dict[str, Any]]:
    """The nodes of the cluster, as Ray describes them."""
    import ray

    return [node for node in ray.nodes() if node["Alive"]]
