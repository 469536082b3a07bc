"""What a sweep came to, for people: the ranking, why trials died, and what cures it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from sweep.analysis.ranking import unfinished
from sweep.console.tables import causes, ranking_table
from sweep.console.words import STYLES
from sweep.errors import one_line
from sweep.record import Status, TrialRecord
from sweep.spec.wording import counted

if TYPE_CHECKING:
    import pandas as pd

NAMED = 5
"""Trials that share a cure and are listed by name; of more, the number is told."""


def print_results(
    console: Console,
    frame: pd.DataFrame,
    records: Sequence[TrialRecord],
    parameters: list[str],
    *,
    title: str,
) -> None:
    """Print a ranking with the causes and likely cures of what has none.

    Args:
        frame: from `sweep.analysis.ranking.ranking_frame`, all rows or some.
        records: all trials.
        parameters: names of the parameter columns.
        title: name of the sweep.
    """
    console.print(ranking_table(frame, parameters, title=title, width=console.width))
    for line in [*causes(frame), *cures(records)]:
        console.print(line, soft_wrap=not console.is_terminal)  # a file has no width
    if left_out := unfinished(records):
        console.print(f"Not ranked: {counted(left_out, 'unfinished trial')}.")


def cures(records: Iterable[TrialRecord]) -> list[Text]:
    """A paragraph for each likely cause of divergence, with the trials it fits and what to set."""
    fits: dict[tuple[str, str], list[str]] = {}
    for record in records:
        verdict = record.outcome.divergence if record.outcome else None
        if verdict is not None and verdict.diagnosis is not None:
            diagnosis = verdict.diagnosis
            fits.setdefault((diagnosis.likely_cause, diagnosis.advice), []).append(record.trial_id)
    return [
        Text.assemble(
            (f"Why {_named(trials)} diverged: ", STYLES[Status.DIVERGED]),
            f"{one_line(cause)} ",
            (one_line(advice), "bold"),
        )
        for (cause, advice), trials in fits.items()
    ]


def _named(trials: Sequence[str]) -> str:
    if len(trials) > NAMED:
        return f"{trials[0]} and {len(trials) - 1} more"
    return ", ".join(trials)
