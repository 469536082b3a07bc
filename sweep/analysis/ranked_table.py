"""A ranking as columns of plain values.

To load pandas takes as long as to read thousands of trials, so only who asks for a frame gets one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from sweep.vocabulary.record import ParameterValue

if TYPE_CHECKING:
    import pandas as pd


class Column(NamedTuple):
    """The cells of a column from the first row on, None where one is empty, and their type in
    pandas."""

    cells: Sequence[Any]
    kind: str


@dataclass(frozen=True, slots=True, eq=False)
class RankedTable:
    """Rows of a ranking. It is used as a frame is: ``name in table``, ``table[name]``, ``len``.

    Args:
        columns: by their names, each with as many cells.
    """

    columns: Mapping[str, Column]

    def __len__(self) -> int:
        """Number of rows."""
        return len(next(iter(self.columns.values())).cells) if self.columns else 0

    def __iter__(self) -> Iterator[str]:
        return iter(self.columns)

    def __contains__(self, name: object) -> bool:
        return name in self.columns

    def __getitem__(self, name: str) -> Sequence[Any]:
        """The cells of a column."""
        return self.columns[name].cells

    def known(self, name: str) -> list[Any]:
        """The cells of a column that are not empty; none where there is no such column."""
        return [cell for cell in self[name] if cell is not None] if name in self else []

    @property
    def in_order(self) -> bool:
        """Whether the rows are in the order of their ranks."""
        return all(one <= other for one, other in pairwise(self["rank"]))

    def rows(self) -> list[dict[str, Any]]:
        """Column → cell, of each row."""
        every = zip(*(column.cells for column in self.columns.values()), strict=True)
        return [dict(zip(self.columns, row, strict=True)) for row in every]

    def at(self, places: Iterable[int]) -> RankedTable:
        """The rows at these places, from 0, in this order."""
        places = list(places)
        if places == [*range(len(self))]:
            return self
        return RankedTable(
            {n: Column([cells[at] for at in places], kind) for n, (cells, kind) in self._items}
        )

    def head(self, most: int | None) -> RankedTable:
        """The first rows; None: all."""
        return self.at(range(len(self))[:most])

    def only(self, names: Iterable[str]) -> RankedTable:
        """These columns, in this order."""
        return RankedTable({name: self.columns[name] for name in names})

    def beside(self, columns: Mapping[str, Column]) -> RankedTable:
        """With further columns, of the same rows, at the end."""
        return RankedTable({**self.columns, **columns})

    def frame(self) -> pd.DataFrame:
        """The same as a frame of pandas."""
        import pandas as pd

        cells: dict[str, Any] = {n: pd.Series([*own], dtype=kind) for n, (own, kind) in self._items}
        return pd.DataFrame(cells)

    @property
    def _items(self) -> Iterable[tuple[str, Column]]:
        return self.columns.items()


def number_column(values: Iterable[float | None]) -> Column:
    """A column of floats. A value that is not a number is an empty cell."""
    return Column([None if v is None or v != v else float(v) for v in values], "Float64")


def text_column(values: Iterable[str | None]) -> Column:
    return Column([*values], "string")


def setting_column(values: Sequence[ParameterValue]) -> Column:
    """A column of the narrowest type that holds every value as it is."""
    kinds = {*map(type, values)} - {type(None)}
    kind = kinds.pop() if len(kinds) == 1 else object
    if kind is int and any(abs(value) >= 2**63 for value in values if isinstance(value, int)):
        kind = object
    return Column(values, {bool: "boolean", float: "Float64", int: "Int64"}.get(kind, "object"))


def typed(columns: Mapping[str, Sequence[Any]], kinds: Mapping[str, str]) -> dict[str, Column]:
    """Columns of these names with these types."""
    return {
        name: number_column(columns[name]) if kind == "Float64" else Column(columns[name], kind)
        for name, kind in kinds.items()
    }


def typed_rows(rows: Sequence[Mapping[str, Any]], kinds: Mapping[str, str]) -> dict[str, Column]:
    """`typed` of columns that only few rows fill; a cell that a row lacks is empty."""
    return typed({name: [row.get(name) for row in rows] for name in kinds}, kinds)
