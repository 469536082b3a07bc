"""What every scheduler promises, whatever its rule."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from sweep.search.schedulers.scheduler import Decision, Scheduler
from sweep.vocabulary.record import Status

EPOCHS = 12
SWEEPS = 20
"""Sweeps of random curves that each promise is tried on."""

Curves = dict[str, list[float | None]]


class SchedulerContract:
    """Subclass it, and set ``make`` to the scheduler's class.

    A function has to be wrapped: ``make = staticmethod(my_scheduler)``. Options are bound with
    `functools.partial`.
    """

    make: Callable[[int, int], Scheduler]
    """Of the grace period and the most epochs; as the sweep calls it."""

    def made(self) -> Scheduler:
        """A new scheduler."""
        return self.make(2, EPOCHS)

    def test_same_reports_lead_to_the_same_decisions(self) -> None:
        for curves in sweeps():
            assert trained(self.made(), curves) == trained(self.made(), curves)

    def test_nobody_waits_for_ever_whatever_is_reported(self) -> None:
        nothing = (math.nan, math.inf, -math.inf)  # None would be reported again, once known
        for number, curves in enumerate(sweeps()):
            chance = random.Random(number)
            for curve in curves.values():
                curve[chance.randrange(EPOCHS)] = chance.choice(nothing)
            trained(self.made(), curves)  # asserts it

    def test_trial_that_trains_alone_comes_to_its_end(self) -> None:
        for curves in sweeps():
            assert trained(self.made(), {"alone": curves["t0000"]}) == {"alone": EPOCHS}

    def test_trial_that_is_better_than_all_others_comes_to_its_end(self) -> None:
        for curves in sweeps():
            epochs = trained(self.made(), {**curves, "best": [2.0] * EPOCHS})
            assert epochs["best"] == EPOCHS

    def test_trials_that_break_before_they_report_change_nothing_for_the_others(self) -> None:
        for curves in sweeps():
            for status in (Status.DIVERGED, Status.FAILED):
                broken = {"broken": list[float | None]()}
                epochs = trained(self.made(), {**broken, **curves}, ends={"broken": status})
                assert epochs == {"broken": 0, **trained(self.made(), curves)}

    def test_stopped_trial_stays_stopped(self) -> None:
        for curves in sweeps():
            scheduler, stopped = self.made(), set[str]()
            for trial_id in curves:
                scheduler.start(trial_id)
            for epochs in range(1, EPOCHS + 1):
                for trial_id, curve in curves.items():
                    decision = scheduler.report(trial_id, epochs, curve[epochs - 1])
                    assert decision is Decision.STOP or trial_id not in stopped
                    stopped |= {trial_id} if decision is Decision.STOP else set()


def sweeps() -> list[Curves]:
    """Random curves of up to 12 trials each, the same every time."""
    found = list[Curves]()
    for number in range(SWEEPS):
        chance = random.Random(number)
        found.append(
            {
                f"t{trial:04d}": [chance.random() for _ in range(EPOCHS)]
                for trial in range(1 + number % 12)
            }
        )
    return found


def trained(
    scheduler: Scheduler,
    curves: Mapping[str, Sequence[float | None]],
    workers: int = 2,
    ends: Mapping[str, Status] = MappingProxyType({}),
) -> dict[str, int]:
    """How many epochs each trial trains; one that pauses leaves its worker to the others.

    Args:
        curves: what each trial would report in each epoch, in the order in which they start.
        ends: how those end that come to the end of their curve, if not as completed.
    """
    to_start, ready, running = list(curves), list[str](), list[str]()
    waiting, epochs = set[str](), dict.fromkeys(curves, 0)
    scheduler.expect(len(to_start))
    while to_start or ready or running:
        while len(running) < workers and (ready or to_start):
            if not ready:
                ready.append(to_start.pop(0))
                scheduler.start(ready[0])
                scheduler.expect(len(to_start))
            running.append(ready.pop(0))
        name = running.pop(0)
        if epochs[name] == len(curves[name]):
            scheduler.end(name, ends.get(name, Status.COMPLETED))
        else:
            epochs[name] += 1
            match scheduler.report(name, epochs[name], curves[name][epochs[name] - 1]):
                case Decision.CONTINUE:
                    running.append(name)
                case Decision.PAUSE:
                    waiting.add(name)
                case Decision.STOP:
                    scheduler.end(name, Status.PRUNED)
        for other, decision in list(scheduler.decided()):
            waiting.remove(other)  # once each, and only for trials that pause
            if decision is Decision.CONTINUE:
                ready.append(other)
            else:
                assert decision is Decision.STOP
                scheduler.end(other, Status.PRUNED)
    assert not waiting, "some pause for ever"
    return epochs
