"""The rows of a ranking as they are printed."""

from __future__ import annotations

import io
import re

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from sweep.console.fitting_columns import AlignedRows, Column

CELLS = st.text("ab –界", max_size=6)
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


@st.composite
def tables(draw: st.DrawFn) -> AlignedRows:
    count = draw(st.integers(0, 4))
    columns = [
        Column(
            name=f"c{place}",
            heading=draw(st.sampled_from(["a", "best\nat", "界 x"])),
            cells=tuple(draw(st.lists(CELLS, min_size=count, max_size=count))),
            justify=draw(st.sampled_from(["left", "right"])),
            styles=draw(st.sampled_from([{}, {"a": "red", "b": "green"}])),
        )
        for place in range(draw(st.integers(1, 5)))
    ]
    beside = draw(st.none() | st.lists(CELLS, min_size=count, max_size=count))
    return AlignedRows(columns=columns, beside=beside, rule=draw(st.none() | st.integers(0, 3)))


def printed(table: AlignedRows, width: int, *, colour: bool = False) -> str:
    system = "truecolor" if colour else None
    console = Console(
        file=io.StringIO(), width=width, color_system=system, force_terminal=colour, emoji=False
    )
    console.print(table, crop=False)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@given(tables(), st.integers(3, 60))
def test_table_that_fits_has_no_line_longer_than_the_screen(table: AlignedRows, width: int) -> None:
    lines = printed(table, width).splitlines()
    is_short = max(map(cell_len, lines)) <= width
    assert is_short or not table.fits(width)
    if table.beside is None:  # else the text beside the columns needs room of its own
        assert table.fits(width) == is_short


@given(tables())
def test_colours_change_nothing_but_the_colours(table: AlignedRows) -> None:
    coloured = printed(table, 80, colour=True)
    plain = printed(table, 80).splitlines()
    assert [one.rstrip() for one in COLOUR.sub("", coloured).splitlines()] == plain
    styled = [
        style for one in table.columns for cell in one.cells if (style := one.styles.get(cell))
    ]
    assert len(re.findall(r"\x1b\[3[12]m", coloured)) == len(styled)


@given(tables())
def test_each_cell_stands_below_its_heading(table: AlignedRows) -> None:
    lines = printed(table, 200).splitlines()
    [first, *_] = [n for n, line in enumerate(lines) if line.startswith(" ─")]
    rows = lines[first + 1 :]
    if table.rule is not None and table.rule < len(table.columns[0].cells):
        assert set(rows.pop(table.rule)) <= {" ", "─"}
    beside = table.beside or [""] * len(table.columns[0].cells)
    cells = zip(*(one.cells for one in table.columns), strict=True)
    for line, row, text in zip(rows, cells, beside, strict=False):
        at = 1
        for cell, column in zip(row, table.columns, strict=True):
            space = " " * (column.width - cell_len(cell))
            padded = cell + space if column.justify == "left" else space + cell
            assert _part(line, at, column.width) == padded
            at += column.width + 2
        assert _part(line, at, 200).rstrip() == text.rstrip()


def _part(line: str, start: int, width: int) -> str:
    """The characters of a line in these columns of the screen."""
    line += " " * (start + width)
    head = next(n for n in range(len(line)) if cell_len(line[:n]) == start)
    tail = next(n for n in range(head, len(line) + 1) if cell_len(line[head:n]) == width)
    return line[head:tail]
