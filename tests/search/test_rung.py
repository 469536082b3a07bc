from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sweep.search.schedulers.rung import Rung

scores = st.floats(allow_nan=False, allow_infinity=False)


def filled(values: list[float]) -> Rung:
    rung = Rung(epochs=8)
    for number, value in enumerate(values):
        rung.record(f"t{number:04d}", value)
    return rung


@given(st.lists(scores, min_size=1))
def test_rank_counts_the_strictly_better(values: list[float]) -> None:
    rung = filled(values)
    for value in values:
        assert rung.rank(value) == 1 + sum(other > value for other in values)


@given(st.lists(scores), scores, st.lists(scores))
def test_removed_trial_leaves_no_trace(
    before: list[float], removed: float, after: list[float]
) -> None:
    rung = filled(before)
    rung.record("removed", removed)
    for number, value in enumerate(after):
        rung.record(f"a{number:04d}", value)
    rung.remove("removed")

    assert "removed" not in rung
    assert len(rung) == len(before) + len(after)
    for value in (*before, removed, *after):
        assert rung.rank(value) == 1 + sum(other > value for other in before + after)


def test_removing_a_trial_that_never_came_changes_nothing() -> None:
    rung = filled([0.5])
    rung.remove("stranger")
    assert len(rung) == 1
