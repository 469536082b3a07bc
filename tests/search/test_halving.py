"""Trials that wait at a rung until their place is certain."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.search.schedulers.decision import Decision
from sweep.search.schedulers.halving import Halving, HalvingRung
from sweep.vocabulary.record import Status

GO, WAIT, STOP = Decision.CONTINUE, Decision.PAUSE, Decision.STOP
RUNGS = [1, 2, 4]


def halving(trials: int, reduction_factor: int = 3, rungs: Sequence[int] = RUNGS) -> Halving:
    """All trials started."""
    scheduler = Halving(rungs=rungs, reduction_factor=reduction_factor)
    for number in range(trials):
        scheduler.start(f"t{number:04d}")
    return scheduler


def decided(scheduler: Halving) -> dict[str, Decision]:
    return dict(scheduler.decided())


def synchronous(
    scores: Mapping[str, Sequence[float]], reduction_factor: int, lengths: Mapping[str, int]
) -> tuple[list[set[str]], set[str]]:
    """The oracle: who goes on at each rung if all wait for all, as in the paper, and who does not
    that has come to one."""
    alive, on, out = set(scores), list[set[str]](), set[str]()
    for level, rung in enumerate(RUNGS):
        come = [name for name in alive if lengths[name] >= rung]
        best = sorted(come, key=lambda name: (-scores[name][level], name))
        alive = set(best[: math.ceil(len(best) / reduction_factor)])
        on.append(alive)
        out |= set(come) - alive
    return on, out


@given(
    scores=st.lists(
        st.lists(st.sampled_from([0.1, 0.2, 0.3, 0.4, 0.5]), min_size=3, max_size=3),
        min_size=1,
        max_size=25,
    ),
    reduction_factor=st.integers(2, 4),
    workers=st.integers(1, 6),
    order=st.randoms(use_true_random=False),
    data=st.data(),
)
def test_who_goes_on_is_what_a_barrier_would_say_whatever_the_order_and_the_number_of_workers(
    scores: list[list[float]],
    reduction_factor: int,
    workers: int,
    order: random.Random,
    data: st.DataObject,
) -> None:
    names = [f"t{number:04d}" for number in range(len(scores))]
    lengths = {name: data.draw(st.integers(0, 6)) for name in names}
    named = dict(zip(names, scores, strict=True))
    expected = synchronous(named, reduction_factor, lengths)
    scheduler = Halving(rungs=RUNGS, reduction_factor=reduction_factor)
    to_start = order.sample(names, len(names))
    epochs, running, given_up = dict.fromkeys(names, 0), list[str](), set[str]()
    ready = list[str]()
    passed: list[set[str]] = [set(), set(), set()]
    scheduler.expect(len(to_start))
    while True:
        while len(running) < workers and (ready or to_start):
            if ready:
                running.append(ready.pop())
                continue
            name = to_start.pop()
            scheduler.start(name)
            scheduler.expect(len(to_start))
            running.append(name)
        if not running:
            break
        name = order.choice(running)
        if epochs[name] == lengths[name]:
            running.remove(name)
            scheduler.end(name, Status.COMPLETED)
        else:
            epochs[name] += 1
            level = sum(rung < epochs[name] for rung in RUNGS)
            score = scores[names.index(name)][level] if level < 3 else 0.0
            if scheduler.report(name, epochs[name], score) is WAIT:
                running.remove(name)
        for other, decision in list(scheduler.decided()):
            if decision is STOP:
                given_up.add(other)
                scheduler.end(other, Status.PRUNED)
            else:
                passed[RUNGS.index(epochs[other])].add(other)
                ready.append(other)
    assert (passed, given_up) == expected


def test_trial_waits_until_nobody_to_come_can_take_its_place() -> None:
    scheduler = halving(6)  # two go on
    assert [scheduler.report(f"t{n:04d}", 1, 0.9 - n / 10) for n in range(4)] == [WAIT] * 4
    assert decided(scheduler) == {"t0002": STOP, "t0003": STOP}
    assert scheduler.report("t0004", 1, 0.1) is WAIT
    assert decided(scheduler) == {"t0000": GO, "t0004": STOP}
    assert scheduler.report("t0005", 1, 0.85) is WAIT
    assert decided(scheduler) == {"t0005": GO, "t0001": STOP}
    assert decided(scheduler) == {}


def test_trials_that_have_not_been_started_are_waited_for_too() -> None:
    scheduler = halving(1)
    scheduler.expect(5)
    scheduler.report("t0000", 1, 0.5)
    assert decided(scheduler) == {}
    scheduler.expect(0)
    assert decided(scheduler) == {"t0000": GO}


@pytest.mark.parametrize("status", [Status.DIVERGED, Status.FAILED])
def test_place_of_one_that_diverges_later_goes_to_the_next_that_waits(status: Status) -> None:
    scheduler = halving(4, reduction_factor=2)
    for number, score in enumerate([0.9, 0.8, 0.7]):
        scheduler.report(f"t{number:04d}", 1, score)
    assert decided(scheduler) == {"t0000": GO, "t0002": STOP}  # of four the first two
    scheduler.end("t0000", status)
    scheduler.end("t0003", status)
    assert decided(scheduler) == {"t0001": GO}


def test_trial_that_diverges_before_the_rung_counts_among_nobody() -> None:
    scheduler = halving(3, reduction_factor=2)  # of three two go on, of two one
    scheduler.report("t0000", 1, 0.5)
    scheduler.report("t0001", 1, 0.6)
    assert decided(scheduler) == {"t0001": GO}
    scheduler.end("t0002", Status.DIVERGED)
    assert decided(scheduler) == {"t0000": STOP}


def test_trial_without_a_score_waits_and_is_judged_when_it_has_one() -> None:
    scheduler = halving(2, reduction_factor=2)
    assert scheduler.report("t0000", 1, None) is WAIT
    assert scheduler.report("t0001", 1, 0.5) is WAIT
    assert decided(scheduler) == {}
    scheduler.report("t0000", 1, 0.6)
    assert decided(scheduler) == {"t0000": GO, "t0001": STOP}


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_score_that_is_no_number_stops_and_is_not_recorded(value: float) -> None:
    scheduler = halving(2, reduction_factor=2)
    assert scheduler.report("t0000", 1, value) is STOP
    assert scheduler.report("t0001", 1, 0.1) is WAIT
    assert decided(scheduler) == {"t0001": GO}


def test_of_equal_scores_the_trial_that_was_started_first_goes_on() -> None:
    scheduler = halving(2, reduction_factor=2)
    scheduler.report("t0001", 1, 0.5)
    scheduler.report("t0000", 1, 0.5)
    assert decided(scheduler) == {"t0000": GO, "t0001": STOP}


def test_one_that_comes_late_is_judged_at_the_rung_that_it_trains_towards() -> None:
    scheduler = halving(1)
    assert scheduler.report("t0000", 3, 0.5) is WAIT
    assert decided(scheduler) == {"t0000": GO}
    assert scheduler.report("t0000", 4, 0.5) is WAIT  # its next rung, which is the second


def test_without_rungs_nobody_waits() -> None:
    scheduler = halving(2, rungs=[])
    assert scheduler.report("t0000", 9, 0.1) is GO
    assert decided(scheduler) == {}


def test_trial_that_has_ended_or_never_began_is_told_to_stop() -> None:
    scheduler = halving(1)
    scheduler.end("t0000", Status.COMPLETED)
    assert scheduler.report("t0000", 1, 0.9) is STOP
    assert scheduler.report("t0007", 1, 0.9) is STOP


def test_trial_that_an_earlier_session_let_on_takes_a_place_though_it_has_no_score_here() -> None:
    scheduler = halving(4, reduction_factor=2)  # of four two go on
    assert scheduler.report("t0000", 1, None) is WAIT
    scheduler.let_on("t0000")
    for number, score in enumerate([0.9, 0.8, 0.7], start=1):
        scheduler.report(f"t{number:04d}", 1, score)
    assert decided(scheduler) == {"t0001": GO, "t0002": STOP, "t0003": STOP}
    assert [rung.promoted for rung in rungs(scheduler)] == [2, 0, 0]


def test_trial_that_was_let_on_without_a_score_and_diverges_leaves_nothing_behind() -> None:
    scheduler = halving(3, reduction_factor=2)
    scheduler.report("t0000", 1, None)
    scheduler.let_on("t0000")
    scheduler.report("t0000", 2, 0.9)
    scheduler.end("t0000", Status.DIVERGED)
    assert [(rung.promoted, rung.under_way, rung.recorded) for rung in rungs(scheduler)] == [
        (0, 2, []),
        (0, 0, []),
        (0, 0, []),
    ]


def test_diverged_trial_is_forgotten_everywhere_though_its_last_score_was_no_number() -> None:
    scheduler = halving(1)
    scheduler.report("t0000", 1, 0.9)
    assert decided(scheduler) == {"t0000": GO}
    assert scheduler.report("t0000", 2, math.nan) is STOP
    assert scheduler.report("t0000", 2, 0.9) is STOP
    scheduler.end("t0000", Status.DIVERGED)
    assert all(rung == HalvingRung(rung.epochs) for rung in rungs(scheduler))


def rungs(scheduler: Halving) -> list[HalvingRung]:
    return scheduler._rungs


@dataclass
class Book:
    """What is true of the trials, kept by hand.

    Args:
        level: how many rungs each has passed.
        scored: those with a score at the rung that they wait at.
        out: those whose score was no number.
        forgotten: those that ended without a result.
    """

    level: dict[str, int]
    alive: set[str]
    scored: set[str] = field(default_factory=set)
    out: set[str] = field(default_factory=set)
    forgotten: set[str] = field(default_factory=set)

    def at_rung(self, name: str) -> bool:
        return name in self.alive - self.out and self.level[name] < len(RUNGS)

    def reported(self, name: str, value: float | None) -> None:
        if value is not None and self.at_rung(name):
            (self.out if math.isnan(value) else self.scored).add(name)

    def ended(self, name: str, status: Status) -> None:
        if name in self.alive and not status.has_result:
            self.forgotten.add(name)
        self.alive.discard(name)

    def went_on(self, name: str) -> None:
        self.level[name] += 1
        self.scored.discard(name)

    def agrees(self, index: int, rung: HalvingRung) -> None:
        passed = {name for name, level in self.level.items() if level > index} - self.forgotten
        here = {name for name, level in self.level.items() if level == index}
        recorded = {name for _, name in rung.recorded}
        assert rung.promoted == len(passed)
        assert rung.under_way == len((here & self.alive) - self.out - self.scored)
        assert recorded == passed | ((here & self.scored) - self.forgotten)
        assert {name for _, name in rung.waiting} <= recorded & self.alive


def test_trial_that_jumps_over_a_rung_takes_no_place_there_from_those_that_came_on_time() -> None:
    scheduler = halving(2, reduction_factor=2)
    scheduler.report("t0000", 3, 0.9)
    scheduler.report("t0001", 1, 0.1)
    assert decided(scheduler) == {"t0001": GO}  # alone at the first rung
    scheduler.report("t0001", 2, 0.2)
    assert decided(scheduler) == {"t0000": GO, "t0001": STOP}
    scheduler.end("t0000", Status.DIVERGED)
    assert [len(rung.recorded) for rung in rungs(scheduler)] == [1, 1, 0]


@given(st.data())
def test_whatever_is_called_each_rung_counts_those_that_are_there(data: st.DataObject) -> None:
    names = [f"t{number:04d}" for number in range(data.draw(st.integers(1, 8)))]
    scheduler = halving(len(names), reduction_factor=data.draw(st.integers(2, 3)))
    book = Book(dict.fromkeys(names, 0), set(names))
    for _ in range(data.draw(st.integers(0, 40))):
        name = data.draw(st.sampled_from(names))
        at_rung = book.at_rung(name)
        match data.draw(st.sampled_from(["report", "report", "end", "let_on"])):
            case "report":
                value = data.draw(st.sampled_from([None, math.nan, 0.1, 0.2, 0.3]))
                scheduler.report(name, RUNGS[book.level[name]] if at_rung else 9, value)
                book.reported(name, value)
            case "end":
                status = data.draw(st.sampled_from([Status.PRUNED, Status.DIVERGED]))
                scheduler.end(name, status)
                book.ended(name, status)
            case _ if at_rung:
                scheduler.let_on(name)
                book.went_on(name)
        for other, decision in scheduler.decided():
            if decision is GO:
                book.went_on(other)
        for index, rung in enumerate(rungs(scheduler)):
            book.agrees(index, rung)
