"""Fit the columns of a ranking on a screen: drop the less important ones, cut no value."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from rich.cells import cell_len
from rich.text import Text

BETWEEN, EDGE = 2, 1
"""Screen columns between two columns of a table, and before the first."""

DROPPED = (
    "preset",
    "delta_baseline",
    "best_epoch",
    "dice_low",
    "dice_high",
    "p_best",
    "dropped",
    "hd95",
    "test_dice",
    "group",
    "epochs",
    "mean_dice",
)
"""Columns that are left out in this order, after the parameters that are the same in all rows.
Columns that are not named here are always shown."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a ranking as it is printed.

    Args:
        name: name of the ranking's column.
        heading: may have several lines.
        cells: one per row.
        justify: alignment.
        short: name of a searched parameter without its group; None for other columns.
        spare: whether it is left out before columns that distinguish trials, the last one first.
    """

    name: str
    heading: str
    cells: tuple[Text, ...]
    justify: Literal["left", "right"] = "right"
    short: str | None = None
    spare: bool = False

    @property
    def width(self) -> int:
        """Width of the longest line, in screen columns."""
        lines = [*self.heading.splitlines(), *(cell.plain for cell in self.cells)]
        return max(map(cell_len, lines), default=0)

    @property
    def is_constant(self) -> bool:
        """Whether it is a parameter with the same value in all of several rows."""
        several = len(self.cells) > 1 and self.short is not None
        return several and len({cell.plain for cell in self.cells}) == 1


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
    order = [name for name in (*constant, *spare, *DROPPED) if name not in kept]
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
    if _total(beside) + max(map(cell_len, pairs), default=0) + BETWEEN <= width:
        return columns
    return [one for one in columns if one.name != "epochs"]


def _total(columns: Iterable[Column]) -> int:
    return EDGE + sum(column.width + BETWEEN for column in columns)
