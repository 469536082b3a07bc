"""Where a value lies between its bounds, in whole steps from 0 to `STEPS`.

A searcher that models the space needs every parameter in one fixed range. Of a value whose bounds
depend on another parameter it gets this place. A whole step survives the way to the value and back
exactly, so a resumed search sees what the uninterrupted one saw.
"""

from __future__ import annotations

import math

from sweep.spec.space.distributions import Interval, RandInt, between

STEPS = 1_000_000


def value_at(interval: Interval, place: int) -> float:
    """The value at a place, 0 to `STEPS`."""
    value = between(interval.low, interval.high, place / STEPS, log=interval.is_log)
    return min(math.floor(value), interval.high - 1) if isinstance(interval, RandInt) else value


def place_of(interval: Interval, value: float) -> int:
    """The place of a value, 0 to `STEPS`; of a whole number, the middle of its places."""
    low, high = float(interval.low), float(interval.high)
    first, last = (value, value + 1) if isinstance(interval, RandInt) else (value, value)
    if interval.is_log:
        low, high, first, last = map(math.log, (low, high, first, last))
    share = ((first + last) / 2 - low) / (high - low)
    return round(STEPS * min(max(share, 0.0), 1.0))
