"""How many trials share a GPU, and what was measured of that."""

from __future__ import annotations

import statistics
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Measurement:
    """Trials that trained in one process on one card.

    Args:
        trials: their number.
        rates: steps a second of all of them together, of each window.
        memory: largest use of the card's memory, in bytes, whatever used it.
    """

    trials: int
    rates: tuple[float, ...]
    memory: int

    @property
    def rate(self) -> float:
        """Steps a second, not misled by one window that was disturbed."""
        return statistics.median(self.rates)


@dataclass(frozen=True, slots=True)
class CardPacking:
    """How many trials share a card of one kind: an entry of ``packing.json``.

    Args:
        trials: that number.
        why: why no larger number was chosen.
        memory: bytes that such a card has.
        measured: of each number that was tried, in ascending order.
    """

    trials: int
    why: str
    memory: int = 0
    measured: tuple[Measurement, ...] = ()
