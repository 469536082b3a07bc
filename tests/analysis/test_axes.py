from __future__ import annotations

import pytest

from sweep.analysis.axes import OFF_SCALE, Axis, make_axis, short_names, words
from sweep.record import ParameterValue
from sweep.spec.searched import parse_distribution


def axis(form: object, *used: ParameterValue) -> Axis:
    return make_axis("p", parse_distribution(form), used)


def test_orders_of_magnitude_are_evenly_spaced_on_a_logarithmic_axis() -> None:
    places = [axis({"loguniform": [1e-3, 1]}).position(v) for v in (1e-3, 1e-2, 1e-1, 1)]
    assert places == pytest.approx([0, 1 / 3, 2 / 3, 1])


@pytest.mark.parametrize("value", [0, 0.0, None])
def test_what_a_logarithmic_axis_cannot_hold_lies_beside_it(value: ParameterValue) -> None:
    scale = axis({"loguniform": [1e-3, 1]}, value, 0.1)
    assert scale.position(value) == OFF_SCALE
    assert scale.ticks[0] == (OFF_SCALE, words(value))
    assert scale.span[0] < OFF_SCALE


def test_value_of_a_preset_outside_the_space_widens_the_axis() -> None:
    assert axis({"randint": [2, 8]}, 20).position(20) == 1
    assert axis({"uniform": [0, 1]}, -1.0).position(0.0) == 0.5


def test_listed_numbers_are_ascending_and_other_values_follow() -> None:
    listed = axis({"choice": [True, 1e-4, "a", 0, None]}, 1e-6)
    assert [text for _, text in listed.ticks] == ["0", "1e-6", "0.0001", "true", "a", "null"]


def test_values_that_python_takes_for_equal_have_places_of_their_own() -> None:
    listed = axis({"choice": [0, False, "0"]})
    assert len({listed.position(value) for value in (0, False, "0")}) == 3


def test_whole_numbers_are_cut_into_cells_that_share_them_evenly() -> None:
    cells = axis({"randint": [2, 8]}).cells(3)
    assert cells.labels == ("2 – 3", "4 – 5", "6 – 7")
    assert [cells.index(n) for n in range(2, 8)] == [0, 0, 1, 1, 2, 2]


def test_fewer_whole_numbers_than_cells_get_a_cell_each() -> None:
    cells = axis({"randint": [1, 4]}).cells(8)
    assert cells.labels == ("1", "2", "3")
    assert [cells.place(n) for n in (1, 2, 3)] == [0, 1, 2]


def test_logarithmic_axis_is_cut_by_orders_of_magnitude_with_zero_apart() -> None:
    cells = axis({"loguniform": [1e-3, 1]}, 0.0).cells(3)
    assert cells.labels == ("0", "0.001 – 0.01", "0.01 – 0.1", "0.1 – 1")
    assert [cells.index(v) for v in (0.0, 1e-3, 5e-2, 1.0)] == [0, 1, 2, 3]


def test_few_listed_values_have_a_cell_each_and_many_share() -> None:
    assert axis({"choice": [3, 5, 8]}).cells(2).labels == ("3", "5", "8")
    assert axis({"choice": list(range(20))}).cells(2).labels == ("0 – 9", "10 – 19")


def test_space_of_a_single_value_is_an_axis_too() -> None:
    assert axis({"randint": [3, 4]}, 3).position(3) == 0
    assert axis({"choice": ["only"]}, "only").cells(3).labels == ("only",)


def test_names_are_short_where_that_is_unique() -> None:
    assert short_names(["loss.a", "optimizer.lr", "other.lr"]) == {
        "loss.a": "a",
        "optimizer.lr": "optimizer.lr",
        "other.lr": "other.lr",
    }
