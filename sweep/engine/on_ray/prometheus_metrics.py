"""The numbers of `sweep.engine.decisions.sweep_metrics` on Ray's Prometheus endpoints."""

from __future__ import annotations

import math
import time
from contextlib import suppress

from ray.util.metrics import Counter, Gauge

from sweep.analysis.ranking.sweep_state import SweepState
from sweep.engine.decisions.sweep_metrics import COUNTERS, Metric, samples

SECONDS_BETWEEN = 2.0
"""Ray drops a number that is not set again within half a minute, so ended trials disappear."""


class Exporter:
    """Passes the numbers of a sweep to Ray; needs a connection to Ray.

    Args:
        sweep: name of the sweep, the tag of every number.
        state: has the numbers.
    """

    def __init__(self, sweep: str, state: SweepState) -> None:
        self._sweep = sweep
        self._state = state
        self._next = -math.inf
        self._counted: dict[Metric, float] = {}
        self._gauges = {m: Gauge(*_described(m)) for m in Metric if m not in COUNTERS}
        self._counters = {m: Counter(*_described(m)) for m in COUNTERS}

    def __call__(self) -> None:
        """Export the numbers, unless that has just been done."""
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + SECONDS_BETWEEN
        with suppress(Exception):  # a missing curve must not end the sweep
            self._export()

    def _export(self) -> None:
        for sample in samples(self._state):
            tags = {"sweep": self._sweep}
            if sample.tag is not None:
                tags[sample.metric.tags[0]] = sample.tag
            if sample.metric not in COUNTERS:
                self._gauges[sample.metric].set(sample.value, tags)
                continue
            # Ray's counters take differences. The first one is the count of earlier sessions.
            new = sample.value - self._counted.get(sample.metric, 0)
            if new > 0:
                self._counters[sample.metric].inc(new, tags)
                self._counted[sample.metric] = sample.value


def _described(metric: Metric) -> tuple[str, str, tuple[str, ...]]:
    return metric.key, metric.description, ("sweep", *metric.tags)
