"""How many trials share a GPU: the rule, what it makes of noise, and what it says."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.engine.packs.pack_sizes import (
    MOST,
    RESERVE,
    SECONDS_OF_A_WINDOW,
    WINDOWS,
    Choice,
    Packing,
    PackSizes,
    choose,
)
from sweep.store.packing import CardPacking, Measurement
from sweep.store.store import Store
from sweep.vocabulary.errors import ResultsError

GIB = 2**30
CARD = "a card"
NUMBERS = (1, 2, 4, 8, 16, 32)


def probed(
    rates: Callable[[int], Sequence[float]], need: Callable[[int], int], memory: int
) -> Choice:
    """The choice, if every number that the rule asks for is measured."""
    measured: list[Measurement] = []
    choice = choose(measured, memory)
    while choice.following is not None:
        number = choice.following
        measured.append(Measurement(number, tuple(rates(number)), need(number)))
        choice = choose(measured, memory)
    return choice


curves = st.lists(st.floats(0.01, 1e4), min_size=len(NUMBERS), max_size=len(NUMBERS))


@given(curves, st.integers(0, 4 * GIB), st.integers(0, GIB), st.integers(1, 200 * GIB))
def test_choice_is_a_number_that_was_measured_and_never_below_one(
    curve: list[float], base: int, each: int, memory: int
) -> None:
    rate = dict(zip(NUMBERS, curve, strict=True))
    choice = probed(lambda n: [rate[n]] * WINDOWS, lambda n: base + n * each, memory)
    assert choice.trials in NUMBERS
    assert rate[choice.trials] >= rate[1]  # never slower than one after the other


@given(curves, st.integers(0, 4 * GIB), st.integers(0, GIB), st.integers(1, 200 * GIB))
def test_more_memory_never_makes_fewer_trials(
    curve: list[float], base: int, each: int, memory: int
) -> None:
    rate = dict(zip(NUMBERS, curve, strict=True))

    def chosen(memory: int) -> int:
        return probed(lambda n: [rate[n]] * WINDOWS, lambda n: base + n * each, memory).trials

    assert chosen(memory) <= chosen(2 * memory)


@given(st.integers(0, 4 * GIB), st.integers(1, GIB), st.integers(1, 200 * GIB))
def test_what_is_chosen_leaves_the_reserve_free_where_each_trial_needs_the_same(
    base: int, each: int, memory: int
) -> None:
    choice = probed(lambda n: [float(n)] * WINDOWS, lambda n: base + n * each, memory)
    assert choice.trials == 1 or base + choice.trials * each <= (1 - RESERVE) * memory


@pytest.mark.parametrize(
    ("knee", "chosen"), [(1, 1), (2, 2), (3, 4), (4, 4), (8, 8), (20, 32), (100, MOST)]
)
def test_it_stops_at_the_knee(knee: int, chosen: int) -> None:
    choice = probed(lambda n: [min(n, knee)] * WINDOWS, lambda n: n, 10**6)
    assert choice.trials == chosen


@given(
    st.permutations([100.0, 101.0]),
    st.floats(0, 1e9),
    st.sampled_from([1.01, 1.3, 2.0]),
    st.integers(0, WINDOWS - 1),
)
def test_one_window_that_was_disturbed_decides_nothing(
    rates: list[float], disturbed: float, gain: float, place: int
) -> None:
    doubled = [gain * rate for rate in rates]
    doubled.insert(place, disturbed)
    one, two = Measurement(1, (100.0, 100.0, 101.0), 1), Measurement(2, tuple(doubled), 2)
    assert (choose([one, two], 10**6).following == 4) is (gain > 1.1)


@pytest.mark.parametrize(("gain", "least", "most"), [(1.0, 0.12, 0.16), (1.25, 0.999, 1.0)])
def test_noise_of_five_percent_misleads_as_often_as_is_said(
    gain: float, least: float, most: float
) -> None:
    draws = np.random.default_rng(0)
    taken = []
    for _ in range(10_000):
        one, two = 1 + 0.05 * draws.standard_normal((2, WINDOWS))
        measured = [Measurement(1, tuple(one), 1), Measurement(2, tuple(gain * two), 2)]
        taken.append(choose(measured, 10**6).following == 4)
    assert least <= float(np.mean(taken)) <= most


# The measurements that a sweep makes with its own trials.


class Sweep:
    """Packs whose trials finish an epoch of 10 steps in every step; the cards are alike."""

    def __init__(self, rate: Callable[[int], float], known: dict[str, CardPacking] | None = None):
        self.said: list[str] = []
        self.saved: list[dict[str, CardPacking]] = []
        packing = Packing(
            known or {}, lambda found: self.saved.append(dict(found)), self.said.append
        )
        self.sizes = PackSizes("auto", packing)
        self._rate = rate

    def train(self, count: int, steps: int = 1, name: str = "pack") -> None:
        for _ in range(steps):
            seconds = 10 * count / self._rate(count)
            memory = (GIB + count * GIB // 2, 16 * GIB)
            self.sizes.observe(name, CARD, count, [10] * count, seconds, memory)


def test_probe_takes_as_many_windows_as_it_says_and_tells_the_user_once() -> None:
    running = Sweep(lambda n: min(n, 4) * 10 / SECONDS_OF_A_WINDOW)
    reached = []
    while not running.said:
        reached.append(running.sizes.of(CARD))
        running.train(running.sizes.of(CARD))
    # The first window of each number of trials is not measured. Beyond the knee, windows are longer
    # than they must be.
    assert [(n, len([*run])) for n, run in itertools.groupby(reached)] == [
        (number, WINDOWS + 1) for number in (1, 2, 4, 8)
    ]
    assert running.said == [
        f"4 trials per GPU ({CARD}): 8 gave 1.00 times the steps of 4; 4 need 3.0 of 16.0 GiB."
    ]
    running.train(4, 20)
    assert (len(running.said), running.sizes.of(CARD), running.sizes.largest) == (1, 4, 4)


def test_only_packs_with_the_number_that_is_measured_count() -> None:
    running = Sweep(lambda n: n)
    running.train(1, WINDOWS + 1)
    assert running.sizes.of(CARD) == 2
    running.train(1, 50)  # no second trial is there yet
    assert running.sizes.of(CARD) == 2
    running.train(2, WINDOWS, name="one GPU")
    running.train(2, WINDOWS, name="another")
    assert running.sizes.of(CARD) == 4


def test_number_that_ran_out_of_memory_is_not_tried_again() -> None:
    running = Sweep(lambda n: n)
    running.train(1, WINDOWS + 1)
    running.train(2, WINDOWS + 1)
    assert running.sizes.of(CARD) == 4
    running.sizes.too_many(CARD, 4)
    assert running.sizes.of(CARD) == 2
    assert running.said == [
        f"2 trials per GPU ({CARD}): one of 4 ran out of memory; 2 need 2.0 of 16.0 GiB."
    ]


def test_number_of_the_file_sinks_where_memory_does_not_suffice_and_never_below_one() -> None:
    said: list[str] = []
    sizes = PackSizes(3, Packing(say=said.append))
    assert sizes.of(None) == sizes.of(CARD) == sizes.largest == 3
    sizes.too_many(CARD, 3)
    assert (sizes.of(CARD), sizes.of("another card")) == (2, 3)
    sizes.too_many(CARD, 3)  # of a pack that had three meanwhile
    assert len(said) == 1
    sizes.too_many(CARD, 2)
    sizes.too_many(CARD, 1)
    assert sizes.of(CARD) == 1


def test_resumed_session_on_the_same_card_probes_nothing(tmp_path: Path) -> None:
    running = Sweep(lambda n: min(n, 4))
    while not running.said:
        running.train(running.sizes.of(CARD))
    with Store.create(tmp_path / "sweep", "") as store:
        assert store.packing() == {}
        store.record_packing(running.saved[-1])
    with Store.open(tmp_path / "sweep") as store:
        resumed = Sweep(lambda n: n, store.packing())
        assert store.packing() == running.saved[-1]
        store.layout.packing.write_text("{]")
        with pytest.raises(ResultsError, match=r"packing\.json"):
            store.packing()
    resumed.train(4, 20)
    assert (resumed.sizes.of(CARD), resumed.said) == (4, [])
    assert resumed.sizes.of("another card") == 1
