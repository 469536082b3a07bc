"""The ranking as a table for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from sweep.analysis.replay import Tradeoff
from sweep.console.words import STYLES, dice_words, status_words
from sweep.errors import one_line
from sweep.record import Status
from sweep.spec.naming import short_names

if TYPE_CHECKING:
    import pandas as pd


WIDE = 120
"""Columns of a terminal from which each searched parameter gets a column of its own."""
MEASURED = {
    "hd95": "HD95",
    "delta_baseline": "Δ baseline",
    "mean_dice": "mean",
    "dice_low": "from",
    "dice_high": "to",
    "p_best": "P(best)",
    "group": "group",
    "test_dice": "test Dice",
}
"""What a wide table shows beside Dice, where a ranking has it."""


def ranking_table(
    frame: pd.DataFrame, parameters: list[str], *, title: str = "", width: int = WIDE
) -> Table:
    """The rows of a ranking, for a console of ``width`` columns.

    Args:
        frame: from `sweep.analysis.ranking.ranking_frame`, all rows or some.
        parameters: names of its parameter columns; shown without their group.
        title: above the table.
    """
    wide = width >= WIDE
    table = Table(
        title=Text(one_line(title)) if title else None,
        title_style="bold",
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    named = [name for name in ("sweep", "preset") if name in frame]
    for heading in ("#", "trial", *named, "status"):
        table.add_column(heading, no_wrap=True)
    measured = {name: heading for name, heading in MEASURED.items() if name in frame and wide}
    for heading in ("val Dice", "best at", "epochs", *measured.values()):
        table.add_column(heading, justify="right", no_wrap=True)
    names = short_names(parameters)
    if wide:
        for name in names.values():
            heading = one_line(name).replace("_", "\n")
            table.add_column(Text(heading), justify="right", vertical="bottom")
    else:
        table.add_column("parameters", ratio=1)
    for row in frame.to_dict("records"):
        values = [_parameter(row[name]) for name in names]
        pairs = zip(names.values(), values, strict=True)
        joined = Text(" ").join(Text.assemble(f"{short}=", value) for short, value in pairs)
        numbers = [_parameter(row[name]) for name in measured]
        table.add_row(*_fixed_cells(row), *numbers, *(values if wide else [joined]))
    return table


def plain_table(frame: pd.DataFrame, *, title: str = "") -> Table:
    """Any rows and columns of a ranking, under the columns' own names."""
    table = Table(
        title=Text(one_line(title)) if title else None,
        title_style="bold",
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    for name, kind in frame.dtypes.items():
        is_text = str(kind) in ("string", "object")
        table.add_column(Text(one_line(str(name))), justify="left" if is_text else "right")
    for row in frame.to_dict("records"):
        table.add_row(*(_parameter(cell) for cell in row.values()))
    return table


def patience_table(found: Tradeoff, *, title: str = "") -> Table:
    """What each replayed early stopping would have cost, the cheapest first."""
    table = Table(
        title=Text(one_line(title)) if title else None,
        title_style="bold",
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    for heading in (found.heading, "Dice lost on average", "at most", "best Dice", "epochs spent"):
        table.add_column(heading, justify="right")
    table.add_column()
    for step in found.front:
        chosen = step is found.enough
        table.add_row(
            step.label,
            f"{step.lost:.4f}",
            f"{step.most_lost:.4f}",
            dice_words(step.best),
            str(step.epochs),
            "enough" if chosen else "",
            style="bold" if chosen else None,
        )
    return table


def causes(frame: pd.DataFrame) -> list[Text]:
    """One line for each trial whose end needs explaining: the diverged and the failed."""
    rows = [row for row in frame.to_dict("records") if not Status(row["status"]).has_result]
    return [
        Text.assemble(
            (f"{row['trial_id']} {status_words(Status(row['status']))}", STYLES[row["status"]]),
            f": {one_line(row['cause'])}",
        )
        for row in rows
    ]


def _fixed_cells(row: dict[Any, Any]) -> list[str | Text]:
    import pandas as pd

    status = Status(row["status"])
    dice = None if pd.isna(row["val_dice"]) else float(row["val_dice"])
    return [
        str(row["rank"]),
        str(row["trial_id"]),
        *("–" if pd.isna(row[n]) else one_line(row[n]) for n in ("sweep", "preset") if n in row),
        Text(status_words(status), style=STYLES[status]),
        dice_words(dice),
        "–" if pd.isna(row["best_epoch"]) else str(row["best_epoch"]),
        str(row["epochs"]),
    ]


def _parameter(value: Any) -> Text:
    import pandas as pd

    if pd.isna(value):
        return Text("–")
    return Text(f"{value:.3g}" if isinstance(value, float) else one_line(str(value)))
