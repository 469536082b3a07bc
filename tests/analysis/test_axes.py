from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sweep.analysis.parameter_axes import Axis, make_axis, round_numbers
from sweep.spec.space.distribution_yaml import parse_distribution


def axis(form: object) -> Axis:
    return make_axis("p", parse_distribution(form))


def test_orders_of_magnitude_are_evenly_spaced_on_a_logarithmic_axis() -> None:
    places = [axis({"loguniform": [1e-3, 1]}).position(v) for v in (1e-3, 1e-2, 1e-1, 1)]
    assert places == pytest.approx([0, 1 / 3, 2 / 3, 1])


def test_listed_numbers_are_ascending_and_other_values_follow() -> None:
    listed = axis({"choice": [True, 1e-4, "a", 0, None, 1e-6]})
    assert [text for _, text in listed.ticks] == ["0", "1e-6", "1e-4", "true", "a", "null"]


def test_lists_are_categories_under_their_own_text() -> None:
    listed = axis({"choice": [[16, 32, 64], 8, [0.5, 0.25], [[1, 2], [2, 2]]]})
    texts = [text for _, text in listed.ticks]
    assert texts == ["8", "[16, 32, 64]", "[0.5, 0.25]", "[[1, 2], [2, 2]]"]
    assert listed.position((16, 32, 64)) < listed.position((0.5, 0.25))


def test_values_that_python_takes_for_equal_have_places_of_their_own() -> None:
    listed = axis({"choice": [0, False, "0"]})
    assert len({listed.position(value) for value in (0, False, "0")}) == 3


def test_whole_numbers_are_cut_into_cells_that_share_them_evenly() -> None:
    cells = axis({"randint": [2, 8]}).cells(3)
    assert cells.labels == ("2 – 3", "4 – 5", "6 – 7")
    assert [cells.index(n) for n in range(2, 8)] == [0, 0, 1, 1, 2, 2]


def test_whole_numbers_with_a_step_get_a_cell_each_and_none_between_them() -> None:
    cells = axis({"qrandint": [3, 9, 2]}).cells(3)
    assert cells.labels == ("3", "5", "7", "9")
    assert [cells.place(n) for n in (3, 5, 7, 9)] == [0, 1, 2, 3]
    assert [text for _, text in cells.axis.ticks] == ["3", "5", "7", "9"]


def test_many_whole_numbers_with_a_step_share_cells_that_all_hold_some() -> None:
    stepped = parse_distribution({"qrandint": [10, 100, 10]})
    cells = make_axis("p", stepped).cells(8)
    assert {cells.index(n) for n in range(10, 101, 10)} == set(range(8))


def test_fewer_whole_numbers_than_cells_get_a_cell_each() -> None:
    cells = axis({"randint": [1, 4]}).cells(8)
    assert cells.labels == ("1", "2", "3")
    assert [cells.place(n) for n in (1, 2, 3)] == [0, 1, 2]


def test_logarithmic_axis_is_cut_by_orders_of_magnitude() -> None:
    cells = axis({"loguniform": [1e-3, 1]}).cells(3)
    assert cells.labels == ("0.001 – 0.01", "0.01 – 0.1", "0.1 – 1")
    assert [cells.index(v) for v in (1e-3, 5e-2, 1.0)] == [0, 1, 2]


def test_whole_numbers_on_a_logarithmic_axis_lie_in_the_cells_that_name_them() -> None:
    cells = axis({"lograndint": [1, 65]}).cells(3)
    assert cells.labels == ("1 – 3", "4 – 15", "16 – 64")
    assert [cells.index(n) for n in (1, 3, 4, 15, 16, 64)] == [0, 0, 1, 1, 2, 2]


def test_cells_of_a_space_of_any_size_are_counted_not_listed() -> None:
    assert axis({"randint": [0, 10**18]}).cells(2).labels == (
        "0 – 499999999999999999",
        "500000000000000000 – 999999999999999999",
    )


def test_few_listed_values_have_a_cell_each_and_many_share() -> None:
    assert axis({"choice": [3, 5, 8]}).cells(2).labels == ("3", "5", "8")
    assert axis({"choice": list(range(20))}).cells(2).labels == ("0 – 9", "10 – 19")


def test_space_of_a_single_value_is_an_axis_too() -> None:
    assert axis({"randint": [3, 4]}).position(3) == 0
    assert axis({"choice": ["only"]}).cells(3).labels == ("only",)


def test_whole_numbers_that_are_few_are_all_named() -> None:
    assert [text for _, text in axis({"randint": [2, 9]}).ticks] == [*"2345678"]
    assert [text for _, text in axis({"randint": [0, 101]}).ticks] == [
        "0",
        "20",
        "40",
        "60",
        "80",
        "100",
    ]


@pytest.mark.parametrize(
    ("decades", "texts"),
    [
        (3, ["0.001", "0.01", "0.1", "1"]),
        (5, ["1e-5", "0.001", "0.1"]),
        (12, ["1e-12", "1e-9", "1e-6", "0.001", "1"]),
    ],
)
def test_logarithmic_axis_names_no_more_powers_of_ten_than_a_phone_has_room_for(
    decades: int, texts: list[str]
) -> None:
    wide = axis({"loguniform": [float(f"1e-{decades}"), 1.0]})
    assert [text for _, text in wide.ticks] == texts


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6))
@example(0.0, 0.3)  # a third of it rounds to less than 0.1
def test_round_numbers_are_few_even_and_within(low: float, width: float) -> None:
    numbers = round_numbers(low, low + width)
    assert 3 <= len(numbers) <= 9
    steps = {f"{b - a:.6g}" for a, b in pairwise(numbers)}
    assert all(float(step) == pytest.approx(float(next(iter(steps))), rel=1e-4) for step in steps)
    assert all(low - 1e-6 * width <= n <= low + width + 1e-6 * width for n in numbers)


def test_cells_of_a_continuum_are_named_by_their_bounds() -> None:
    cells = axis({"loguniform": [1e-3, 1]}).cells(3)
    assert cells.ticks == [(-0.5, "0.001"), (0.5, "0.01"), (1.5, "0.1"), (2.5, "1")]
    assert axis({"choice": [3, 5]}).cells(3).ticks == [(0.0, "3"), (1.0, "5")]
