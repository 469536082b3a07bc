"""The numbers of `sweep.engine.decisions.tally` on Ray's Prometheus endpoints."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import suppress

from ray.util.metrics import Counter, Gauge

from sweep.engine.decisions.tally import COUNTERS, Metric, Sample, Tally

SECONDS_BETWEEN = 2.0
"""Ray drops what is not told again, after half a minute: so the trials that have ended vanish."""


class Exporter:
    """Tells Ray the numbers of a sweep; needs a connection to Ray.

    Args:
        sweep: name of the sweep, the tag of every number.
        tally: has them.
        clock: seconds; monotonic.
    """

    def __init__(
        self, sweep: str, tally: Tally, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._sweep = sweep
        self._tally = tally
        self._clock = clock
        self._next = -math.inf
        self._told: dict[Metric, float] = {}
        self._gauges = {m: Gauge(*_described(m)) for m in Metric if m not in COUNTERS}
        self._counters = {m: Counter(*_described(m)) for m in COUNTERS}

    def __call__(self) -> None:
        """Tell them, where the last time was long enough ago."""
        if self._clock() < self._next:
            return
        self._next = self._clock() + SECONDS_BETWEEN
        with suppress(Exception):  # nobody's sweep ends for want of a curve
            self._tell()

    def _tell(self) -> None:
        for sample in self._tally.samples():
            tags = {"sweep": self._sweep}
            if sample.tag is not None:
                tags[sample.metric.tags[0]] = sample.tag
            if sample.metric in COUNTERS:
                self._count(sample, tags)
            else:
                self._gauges[sample.metric].set(sample.value, tags)

    def _count(self, sample: Sample, tags: dict[str, str]) -> None:
        """Ray's counters take differences. What earlier sessions counted is the first."""
        news = sample.value - self._told.get(sample.metric, 0)
        if news > 0:
            self._counters[sample.metric].inc(news, tags)
            self._told[sample.metric] = sample.value


def _described(metric: Metric) -> tuple[str, str, tuple[str, ...]]:
    return metric.key, metric.description, ("sweep", *metric.tags)
