from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.search.schedulers.asha import Asha
from sweep.search.schedulers.decision import Decision
from sweep.search.schedulers.hyperband import Hyperband

IDS = [f"t{number:04d}" for number in range(400)]


def hyperband(brackets: int = 3) -> Hyperband:
    return Hyperband(rungs=[1, 3, 9], reduction_factor=3, brackets=brackets)


@pytest.mark.parametrize(
    ("brackets", "shares"),
    # ceil(K · 3^s / (s + 1)) for s = K - 1 … 0
    [(1, [1]), (2, [3, 2]), (3, [9, 5, 3]), (5, [81, 34, 15, 8, 5])],
)
def test_brackets_get_the_shares_of_the_paper(brackets: int, shares: list[int]) -> None:
    scheduler = hyperband(brackets)
    counts = Counter(scheduler.bracket_of(f"t{number:04d}") for number in range(20_000))
    for bracket, share in enumerate(shares):
        assert counts[bracket] / 20_000 == pytest.approx(share / sum(shares), abs=0.01)


def test_bracket_of_a_trial_is_the_same_for_ever() -> None:
    # zlib.crc32 of the ids modulo 17: 3, 3, 11, 10, 0, 5, 0, 15, against shares of 9, 5 and 3.
    assert [hyperband().bracket_of(name) for name in IDS[:8]] == [0, 0, 1, 1, 0, 0, 0, 2]


@pytest.mark.parametrize(("bracket", "first_rung"), [(0, 1), (1, 3), (2, 9)])
def test_trial_is_first_judged_at_the_first_rung_of_its_bracket(
    bracket: int, first_rung: int
) -> None:
    scheduler = hyperband()
    good, poor = [name for name in IDS if scheduler.bracket_of(name) == bracket][:2]
    for epochs in range(1, 10):
        scheduler.report(good, epochs, 0.9)
    decisions = [scheduler.report(poor, epochs, 0.1) for epochs in range(1, 10)]
    assert decisions.index(Decision.STOP) + 1 == first_rung


def test_trials_compete_within_their_bracket_only() -> None:
    scheduler = hyperband()
    of_bracket = {n: [i for i in IDS if scheduler.bracket_of(i) == n] for n in range(3)}
    scheduler.report(of_bracket[0][0], 1, 0.9)
    assert scheduler.report(of_bracket[1][0], 1, 0.1) is Decision.CONTINUE
    assert scheduler.report(of_bracket[1][0], 3, 0.1) is Decision.CONTINUE
    assert scheduler.report(of_bracket[0][1], 1, 0.1) is Decision.STOP


@given(st.lists(st.tuples(st.sampled_from(IDS[:9]), st.integers(1, 12), st.floats(0, 1))))
def test_one_bracket_is_asha(reports: list[tuple[str, int, float]]) -> None:
    asha = Asha(rungs=[1, 3, 9], reduction_factor=3)
    one = hyperband(brackets=1)
    assert [one.report(*report) for report in reports] == [asha.report(*r) for r in reports]
