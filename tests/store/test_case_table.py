"""The table of cases is read back as it was written, and a broken one is told by its line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.store.case_table import read_cases, write_cases
from sweep.vocabulary.class_scores import (
    ClassScore,
    mean_over_classes,
    means_of_classes,
    without_class,
)
from sweep.vocabulary.errors import ResultsError

NAMES = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=8)
NUMBERS = st.none() | st.floats(0, 1e6)
OWN = ("dice", "iou", "hd95", "nsd", "of_a_plugin")


@st.composite
def scores(draw: st.DrawFn) -> ClassScore:
    return ClassScore(
        case=draw(NAMES),
        label=draw(NAMES),
        n_reference=draw(st.integers(0, 10**9)),
        n_prediction=draw(st.integers(0, 10**9)),
        values={name: draw(NUMBERS) for name in OWN},
        group=draw(st.none() | NAMES),
    )


@given(rows=st.lists(scores(), min_size=1, max_size=4))
def test_rows_come_back_bit_for_bit(
    rows: list[ClassScore], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("table") / "cases.csv"
    write_cases(path, rows)
    assert list(read_cases(path)) == rows


def test_columns_have_a_fixed_order_and_what_was_not_measured_is_empty(tmp_path: Path) -> None:
    score = ClassScore(
        case="a", label="liver", n_reference=3, n_prediction=0, values={"mine": 2.5, "dice": 0.0}
    )
    write_cases(tmp_path / "cases.csv", [score])
    assert (tmp_path / "cases.csv").read_text() == (
        "case,class,dice,iou,hd95,nsd,n_reference,n_prediction,mine\n" + "a,liver,0.0,,,,3,0,2.5\n"
    )
    assert read_cases(tmp_path / "none.csv") == ()
    write_cases(tmp_path / "cases.csv", [replace(score, group="patient7")])
    assert (tmp_path / "cases.csv").read_text().splitlines() == [
        "case,group,class,dice,iou,hd95,nsd,n_reference,n_prediction,mine",
        "a,patient7,liver,0.0,,,,3,0,2.5",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "case,class,n_reference,n_prediction\na,b,1,many\n",
        "case,n_reference,n_prediction\na,1,2\n",
        "case,class,n_reference,n_prediction,dice\na,b,1,2,0.5,7\n",
        "case,class,n_reference,n_prediction,dice\na,b\n",
    ],
)
def test_broken_table_is_told_by_its_line(text: str, tmp_path: Path) -> None:
    (tmp_path / "cases.csv").write_text(text)
    with pytest.raises(ResultsError, match=r"cases\.csv:2: broken"):
        read_cases(tmp_path / "cases.csv")


def test_means_are_over_cases_then_classes_without_empty_ones() -> None:
    def row(case: str, label: str, dice: float | None) -> ClassScore:
        return ClassScore(
            case=case, label=label, n_reference=0, n_prediction=0, values={"dice": dice}
        )

    rows = [row("a", "x", 1.0), row("b", "x", 0.5), row("a", "y", 0.25), row("b", "y", None)]
    assert means_of_classes(rows, "dice") == {"x": 0.75, "y": 0.25}
    assert mean_over_classes(rows, "dice") == 0.5
    assert mean_over_classes(rows, "hd95") is None


@pytest.mark.parametrize("name", ["val_dice", "loss.weights.x", "a[b]c", "]", "[x"])
def test_other_columns_are_of_no_class(name: str) -> None:
    assert without_class(name) == name
