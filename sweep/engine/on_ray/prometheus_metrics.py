"""The numbers of `sweep.engine.decisions.sweep_metrics` on Ray's Prometheus endpoints."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import suppress

from ray.util.metrics import Counter, Gauge

from sweep.analysis.ranking.sweep_state import SweepState
from sweep.engine.decisions.sweep_metrics import COUNTERS, Metric, MetricSample, samples

SECONDS_BETWEEN = 2.0
"""Ray drops a number that is not set again for half a minute: so trials that have ended vanish."""


class Exporter:
    """Hands the numbers of a sweep to Ray; needs a connection to Ray.

    Args:
        sweep: name of the sweep, the tag of every number.
        state: has them.
        clock: seconds; monotonic.
    """

    def __init__(
        self, sweep: str, state: SweepState, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._sweep = sweep
        self._state = state
        self._clock = clock
        self._next = -math.inf
        self._counted: dict[Metric, float] = {}
        self._gauges = {m: Gauge(*_described(m)) for m in Metric if m not in COUNTERS}
        self._counters = {m: Counter(*_described(m)) for m in COUNTERS}

    def __call__(self) -> None:
        """Export them, where the last time was long enough ago."""
        if self._clock() < self._next:
            return
        self._next = self._clock() + SECONDS_BETWEEN
        with suppress(Exception):  # a missing curve must not end the sweep
            self._export()

    def _export(self) -> None:
        for sample in samples(self._state):
            tags = {"sweep": self._sweep}
            if sample.tag is not None:
                tags[sample.metric.tags[0]] = sample.tag
            if sample.metric in COUNTERS:
                self._count(sample, tags)
            else:
                self._gauges[sample.metric].set(sample.value, tags)

    def _count(self, sample: MetricSample, tags: dict[str, str]) -> None:
        """Ray's counters take differences; the first is what earlier sessions counted."""
        news = sample.value - self._counted.get(sample.metric, 0)
        if news > 0:
            self._counters[sample.metric].inc(news, tags)
            self._counted[sample.metric] = sample.value


def _described(metric: Metric) -> tuple[str, str, tuple[str, ...]]:
    return metric.key, metric.description, ("sweep", *metric.tags)
