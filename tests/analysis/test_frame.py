"""The frame of a figure's axis: it fits the leaders, and says what it leaves out."""

from __future__ import annotations

import pytest

from sweep.analysis.figures.figure_style import LEAST_FRAMED, frame, outside

CLOSE = [0.80, 0.81, 0.82, 0.83, 0.84, 0.85, 0.86, 0.87]


def test_value_far_from_the_rest_does_not_squash_them() -> None:
    # By hand: the frame goes from 0.80 to 0.87, with a margin of 5 % of 0.07.
    assert frame([*CLOSE, 0.05, None], CLOSE[-2:]) == pytest.approx([0.7965, 0.8735])


def test_leader_is_in_the_frame_wherever_it_lies() -> None:
    low, high = frame([*CLOSE, 0.05, 0.99], [0.99]) or (0, 0)
    assert 0.7 < low < 0.8
    assert high > 0.99


def test_frame_that_would_leave_nothing_out_is_plotlys_own() -> None:
    assert frame(CLOSE, CLOSE[:1]) is None
    assert frame([0.8] * 20, [0.8]) is None
    assert frame([*CLOSE[: LEAST_FRAMED - 2], 0.05], CLOSE[:1]) is None
    assert frame([float("nan"), None], []) is None


def test_what_lies_outside_is_counted_in_words() -> None:
    values = [*CLOSE, 0.05, 0.06]
    seen = frame(values, CLOSE[-1:])
    assert outside(values, seen, "trial").startswith("2 trials lie outside the frame")
    assert outside([*CLOSE, 0.05], seen, "curve").startswith("1 curve lies outside")
    assert outside(CLOSE, seen, "trial") == ""
    assert outside(values, None, "trial") == ""
