"""The ranking as a table for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from sweep.console.words import STYLES, dice_words, duration_words, status_words
from sweep.record import Status

if TYPE_CHECKING:
    import pandas as pd


def ranking_table(frame: pd.DataFrame, parameters: list[str], *, title: str = "") -> Table:
    """The rows of a ranking; what all searched names have in common is left out of the header.

    Args:
        frame: from `sweep.analysis.ranking.ranking_frame`, all rows or some.
        parameters: names of its parameter columns.
        title: above the table.
    """
    import pandas as pd

    table = Table(title=title or None, title_style="bold", header_style="bold", pad_edge=False)
    for heading in ("#", "trial"):
        table.add_column(heading, no_wrap=True)
    table.add_column("status", no_wrap=True)
    for heading in ("val Dice", "best at", "epochs", "time"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name in parameters:
        table.add_column(name.rpartition(".")[2], justify="right", overflow="fold")
    with_cause = bool((frame["cause"].fillna("") != "").any())
    if with_cause:
        table.add_column("cause", overflow="fold")
    for row in frame.to_dict("records"):
        status = Status(row["status"])
        cells: list[Any] = [
            str(row["rank"]),
            row["trial_id"],
            Text(status_words(status), style=STYLES[status]),
            dice_words(None if pd.isna(row["val_dice"]) else float(row["val_dice"])),
            "–" if pd.isna(row["best_epoch"]) else str(row["best_epoch"]),
            str(row["epochs"]),
            duration_words(float(row["seconds"])),
            *(_parameter(row[name]) for name in parameters),
        ]
        table.add_row(*cells, *([row["cause"]] if with_cause else []))
    return table


def _parameter(value: Any) -> str:
    import pandas as pd

    if pd.isna(value):
        return "–"
    return f"{value:.3g}" if isinstance(value, float) else str(value)
