"""Hyperband: brackets of asynchronous successive halving that differ in patience."""

from __future__ import annotations

import math
import zlib
from bisect import bisect_right
from collections.abc import Callable, Iterable
from itertools import accumulate
from typing import Any

from sweep.search.schedulers.asha import Asha
from sweep.search.schedulers.decision import Decision, OnArrival
from sweep.search.schedulers.rung import AnyRung, Rung
from sweep.vocabulary.record import Status


class Hyperband(OnArrival):
    """Several `Asha`: the k-th (from 0) leaves out the first k rungs.

    ASHA assumes that an early Dice predicts the late one. Here only some of the trials are judged
    at the first rung. The later brackets keep trials that start slowly.

    A trial always belongs to the same bracket, chosen by its id alone: neither the order of
    arrivals nor a diverged trial moves another trial. Of K brackets the k-th gets a share of
    ``ceil(K · η^s / (s + 1))`` with ``s = K - 1 - k``, so that all spend about the same epochs.
    Within each bracket the rules of `Asha` (ties, NaN, diverged trials, jumps) apply.

    Args:
        rungs: counts of trained epochs, of the bracket with the least patience.
        reduction_factor: η of the paper, at least 2.
        brackets: their number K, at least 1.
        rung: as of `Asha`.

    Source: Li et al., "Hyperband: A Novel Bandit-Based Approach to Hyperparameter Optimization",
    JMLR 2018, Algorithm 1; asynchronous brackets as in Ray Tune's ``AsyncHyperBandScheduler``, the
    shares and the choice by a checksum as in Optuna's ``HyperbandPruner``.
    """

    def __init__(
        self,
        *,
        rungs: Iterable[int],
        reduction_factor: int,
        brackets: int,
        rung: Callable[[int], AnyRung] = Rung,
    ) -> None:
        rungs = sorted(rungs)
        self._brackets = [
            Asha(rungs=rungs[skipped:], reduction_factor=reduction_factor, rung=rung)
            for skipped in range(brackets)
        ]
        shares = [
            math.ceil(brackets * reduction_factor**s / (s + 1)) for s in reversed(range(brackets))
        ]
        self._ends = list(accumulate(shares))

    def bracket_of(self, trial_id: str) -> int:
        """Number of rungs that the trial's bracket leaves out."""
        place = zlib.crc32(trial_id.encode()) % self._ends[-1]
        return bisect_right(self._ends, place)

    def report(self, trial_id: str, epochs: int, value: Any) -> Decision:
        """Record the value of a trial that has trained ``epochs`` epochs and judge it."""
        return self._brackets[self.bracket_of(trial_id)].report(trial_id, epochs, value)

    def end(self, trial_id: str, status: Status) -> None:
        """Note that the trial has ended with this final status."""
        self._brackets[self.bracket_of(trial_id)].end(trial_id, status)
