"""Which columns of a ranking fit on a screen: the less important go first, no value is cut."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from rich.cells import cell_len
from rich.text import Text

BETWEEN, EDGE = 2, 1
"""Columns of the screen that a table spends beside each of its columns, and before the first."""

DROPPED = (
    "preset",
    "delta_baseline",
    "best_epoch",
    "dice_low",
    "dice_high",
    "p_best",
    "hd95",
    "test_dice",
    "group",
    "epochs",
    "mean_dice",
)
"""What a table leaves out where there is no room, in this order, after the parameters that are the
same in all rows. What is not named here is always shown."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a ranking as it is printed.

    Args:
        name: of the ranking's column.
        heading: in lines.
        cells: one a row.
        justify: its side.
        short: name of a searched parameter without its group; None for all other columns.
        spare: whether it is left out before all that sets trials apart, the last first.
    """

    name: str
    heading: str
    cells: tuple[Text, ...]
    justify: Literal["left", "right"] = "right"
    short: str | None = None
    spare: bool = False

    @property
    def width(self) -> int:
        """Of its longest line, in columns of the screen."""
        lines = [*self.heading.splitlines(), *(cell.plain for cell in self.cells)]
        return max(map(cell_len, lines), default=0)

    @property
    def is_constant(self) -> bool:
        """Whether it is a parameter that sets no row apart."""
        several = len(self.cells) > 1 and self.short is not None
        return several and len({cell.plain for cell in self.cells}) == 1


@dataclass(frozen=True, slots=True)
class Fitted:
    """Args:
    columns: those that are shown.
    left_out: the others.
    gathered: whether the parameters share one column, because they do not fit even alone.
    """

    columns: tuple[Column, ...]
    left_out: tuple[Column, ...] = ()
    gathered: bool = False


def fitted(columns: Sequence[Column], width: int, *, kept: Iterable[str] = ()) -> Fitted:
    """As many of the columns as fit into ``width``.

    Args:
        columns: of the whole table, in order.
        width: columns of the screen.
        kept: names of columns that are shown in any case.
    """
    if _total(columns) <= width:
        return Fitted(tuple(columns))
    columns = [replace(column, heading=column.heading.replace(" ", "\n")) for column in columns]
    constant = [column.name for column in columns if column.is_constant]
    spare = [column.name for column in reversed(columns) if column.spare]
    order = [name for name in (*constant, *spare, *DROPPED) if name not in kept]
    for count in range(len(order) + 1):
        shown = [column for column in columns if column.name not in order[:count]]
        if _total(shown) <= width:
            return _without(columns, order[:count])
    # Beside gathered parameters there is room for how long a trial trained.
    found = _without(columns, [name for name in order if name != "epochs"])
    return replace(found, gathered=True)


def _without(columns: Sequence[Column], names: Sequence[str]) -> Fitted:
    return Fitted(
        tuple(column for column in columns if column.name not in names),
        tuple(column for column in columns if column.name in names),
    )


def _total(columns: Iterable[Column]) -> int:
    return EDGE + sum(column.width + BETWEEN for column in columns)
