"""The columns of a ranking on a screen: which of them fit, and their rows below each other.

The less important columns are dropped, and no value is cut. The rows look as those of
`rich.table.Table`, which takes much longer: it lays out every cell by itself, and a sweep may have
thousands of rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import repeat, zip_longest
from typing import Literal

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from sweep.analysis.shown_columns import LEFT_OUT_ON_SCREEN

BETWEEN, EDGE = 2, 1
"""Screen columns between two columns of a table, and before the first."""
RULE = "─"


@dataclass(frozen=True)
class Column:
    """One column of a ranking as it is printed.

    Args:
        name: as in `sweep.analysis.shown_columns`, or that of a searched parameter.
        heading: may have several lines.
        cells: one per row, each a line.
        justify: alignment.
        short: name of a searched parameter without its group; None for other columns.
        spare: whether it is left out before columns that distinguish trials, the last one first.
        styles: text of a cell → its style.
    """

    name: str
    heading: str
    cells: tuple[str, ...]
    justify: Literal["left", "right"] = "right"
    short: str | None = None
    spare: bool = False
    styles: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def width(self) -> int:
        """Width of the longest line, in screen columns."""
        lines = [*self.heading.splitlines(), *self.cells]
        return max(map(len if self.is_ascii else width_of, lines), default=0)

    @cached_property
    def is_ascii(self) -> bool:
        """Whether each character of it takes one screen column."""
        return self.heading.isascii() and "".join(self.cells).isascii()

    @property
    def is_constant(self) -> bool:
        """Whether it is a parameter with the same value in all of several rows."""
        several = len(self.cells) > 1 and self.short is not None
        return several and len({*self.cells}) == 1


def width_of(text: str) -> int:
    """Screen columns of a line."""
    return len(text) if text.isascii() else cell_len(text)


def fitted(
    columns: Sequence[Column], width: int, *, kept: Iterable[str] = ()
) -> tuple[list[Column], bool]:
    """As many of the columns as fit into ``width``.

    Args:
        columns: all columns, in order.
        width: number of screen columns.
        kept: names of columns that are always shown.

    Returns:
        the shown columns, and whether the parameters must share one column because they do not
        fit even alone.
    """
    if _total(columns) <= width:
        return list(columns), False
    columns = [replace(column, heading=column.heading.replace(" ", "\n")) for column in columns]
    constant = [column.name for column in columns if column.is_constant]
    spare = [column.name for column in reversed(columns) if column.spare]
    order = [name for name in (*constant, *spare, *LEFT_OUT_ON_SCREEN) if name not in kept]
    for count in range(len(order) + 1):
        shown = [column for column in columns if column.name not in order[:count]]
        if _total(shown) <= width:
            return shown, False
    left = [one for one in columns if one.name == "epochs" or one.name not in order]
    return _with_room_for_parameters(left, width), True


def _with_room_for_parameters(columns: list[Column], width: int) -> list[Column]:
    """Without the number of epochs where a ``name=value`` beside it would be broken."""
    beside = [one for one in columns if one.short is None]
    pairs = (f"{one.short}={cell}" for one in columns if one.short for cell in one.cells)
    if _total(beside) + max(map(width_of, pairs), default=0) + BETWEEN <= width:
        return columns
    return [one for one in columns if one.name != "epochs"]


def _total(columns: Iterable[Column]) -> int:
    return EDGE + sum(column.width + BETWEEN for column in columns)


@dataclass(frozen=True, kw_only=True)
class AlignedRows:
    """Rows under headings, for `Console.print`.

    Args:
        columns: each as wide as its widest cell.
        beside: a text for each row that fills the space to the right of them, in as many lines as
            it takes; None: there is none.
        heading: of these texts.
        rule: number of rows above a rule; None: there is none.
        title: above the table.
        caption: below the table.
    """

    columns: Sequence[Column]
    beside: Sequence[str] | None = None
    heading: str = ""
    rule: int | None = None
    title: str = ""
    caption: Text | None = None

    def fits(self, width: int) -> bool:
        """Whether no line is longer than this many screen columns."""
        used = _total(self.columns)
        return used - EDGE <= width if self.beside is None else used + BETWEEN < width

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> Iterator[RenderableType | Segment]:
        widths = [column.width for column in self.columns]
        used = _total(self.columns)
        room = max(options.max_width - used - BETWEEN, 1) if self.beside is not None else -BETWEEN
        whole = used + room
        if self.title:
            yield Text(f"{' ' * EDGE}{self.title.center(whole)}".rstrip(), style="bold")
        yield Segment("\n")
        for line in self._headings(widths):
            yield from (Segment(line, console.get_style("bold")), Segment("\n"))
        yield Segment(f" {RULE * whole}\n")
        styled = [*self._with_styles(console)]
        rows = zip(*map(_padded_cells, self.columns), strict=True)
        for number, (cells, text) in enumerate(zip_longest(rows, self.beside or ())):
            if number == self.rule:
                yield Segment(f"{self._line([RULE * width for width in widths])}\n")
            first, *more = _wrapped(text, room) if text is not None else [""]
            styles = [(place, of[number]) for place, of in styled if of[number]]
            yield from self._row(console, cells, styles, first)
            yield from (Segment(f"{' ' * used}{line}\n") for line in more)
        yield Segment("\n")
        if self.caption is not None:
            yield Text.assemble(self.caption, style="table.caption")

    def _with_styles(self, console: Console) -> Iterator[tuple[int, list[str]]]:
        """The place of each column with styles, and the style of its cells, which may be empty."""
        if console.color_system is None:  # to divide the rows would take as long as to print them
            return
        for place, column in enumerate(self.columns):
            if column.styles:
                yield place, [column.styles.get(cell, "") for cell in column.cells]

    def _headings(self, widths: Sequence[int]) -> Iterator[str]:
        """Their last lines stand above the rows."""
        headings = [column.heading.split("\n") for column in self.columns]
        most = max(map(len, headings), default=1)
        for line in range(most):
            texts = [
                "" if (at := line - most + len(lines)) < 0 else lines[at] for lines in headings
            ]
            yield self._line(
                texts, self.heading if line == most - 1 and self.beside is not None else ""
            )

    def _line(self, cells: Sequence[str], text: str = "") -> str:
        padded = [_padded(cell, column) for cell, column in zip(cells, self.columns, strict=True)]
        return f" {'  '.join([*padded, text])}".rstrip()

    @staticmethod
    def _row(
        console: Console, cells: Sequence[str], styles: Iterable[tuple[int, str]], text: str
    ) -> Iterator[Segment]:
        """A row; a cell with a style is a segment of its own. Args: styles: place and style."""
        line, start = " ", 0
        for place, style in styles:
            yield Segment(f"{line}{'  '.join([*cells[start:place], ''])}")
            yield Segment(cells[place], console.get_style(style))
            line, start = "  ", place + 1
        yield Segment(f"{line}{'  '.join([*cells[start:], text])}".rstrip() + "\n")


def _padded_cells(column: Column) -> Iterator[str]:
    if column.is_ascii:
        pad = str.ljust if column.justify == "left" else str.rjust
        return map(pad, column.cells, repeat(column.width))
    return map(_padded, column.cells, repeat(column))


def _padded(cell: str, column: Column) -> str:
    if cell.isascii():
        return cell.ljust(column.width) if column.justify == "left" else cell.rjust(column.width)
    space = " " * (column.width - width_of(cell))
    return cell + space if column.justify == "left" else space + cell


def _wrapped(text: str, width: int) -> list[str]:
    """Lines of at most this width, broken at spaces or after ``name=`` where that is possible."""
    if text.isascii() and len(text) > width:
        lines, line = [], ""
        words = (
            part
            for word in text.split(" ")
            for part in ([word] if len(word) <= width else word.replace("=", "= ").split())
        )
        for word in words:
            joined = f"{line} {word}" if line else word
            if len(joined) <= width:
                line = joined
                continue
            lines += [line] if line else []
            *full, line = [word[at : at + width] for at in range(0, len(word), width)]
            lines += full
        return [*lines, line]
    if width_of(text) <= width:
        return [text]
    wrapped = Text(text).wrap(Console(width=width), width, overflow="fold")
    return [line.plain.rstrip() for line in wrapped]
