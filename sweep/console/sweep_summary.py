"""What a sweep came to, for people: the ranking, why trials died, and what cures it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from sweep.analysis.confirm.conclusions import caution, on_test_split, reservations, verdict
from sweep.analysis.confirm.confirmation import confirmation
from sweep.analysis.confirm.test_scores import held_out
from sweep.analysis.patience.patience_replay import Tradeoff
from sweep.analysis.ranking.divergence_causes import explained
from sweep.analysis.ranking.ranking_frame import unfinished
from sweep.analysis.report_words import trials
from sweep.console.console_words import STYLES
from sweep.console.ranking_table import causes, patience_table, ranking_table
from sweep.spec.words.phrases import counted
from sweep.vocabulary.errors import one_line
from sweep.vocabulary.objective import DICE, Objective
from sweep.vocabulary.record import Status, TrialRecord, searched

if TYPE_CHECKING:
    import pandas as pd


def print_results(
    console: Console,
    frame: pd.DataFrame,
    records: Sequence[TrialRecord],
    parameters: list[str],
    *,
    title: str,
    objective: Objective = DICE,
    own: Sequence[str] = (),
    kinds: Iterable[str] = (),
) -> None:
    """Print a ranking with the causes and likely cures of what has none.

    Args:
        frame: from `sweep.analysis.ranking.ranking_frame.ranking_frame`, all rows or some.
        records: all trials.
        parameters: names of the parameter columns.
        title: name of the sweep.
        objective: what the trials are ranked by.
        own: columns of the metrics that only this sweep's trainer has.
        kinds: of its trainers.
    """
    table = ranking_table(
        frame, parameters, title=title, width=console.width, objective=objective, own=own
    )
    console.print(table)
    narrow = [Text(sentence)] if (sentence := caution(kinds)) else []
    for line in [*causes(frame), *cures(searched(records)), *confirmed(frame, records), *narrow]:
        console.print(line, soft_wrap=not console.is_terminal)  # a file has no width
    if left_out := unfinished(records):
        console.print(f"Not ranked: {counted(left_out, 'unfinished trial')}.")


def print_patience(console: Console, found: Tradeoff, *, title: str = "") -> None:
    """Print what each replayed patience would have cost, and which is enough if any."""
    console.print(patience_table(found, title=title))
    tolerance = f"{found.tolerance:.3g} {found.objective.short}"
    sentence = (
        f"{found.heading} {found.enough.label} is enough: the cheapest that costs"
        f" {found.average} at most {tolerance}."
    )
    if not found.is_telling:
        sentence = found.too_few
    elif found.enough is found.steps[-1]:
        sentence = (
            f"No {found.heading} under {found.enough.label} is enough: each costs"
            f" {found.average} more than {tolerance}."
        )
    console.print(sentence, soft_wrap=not console.is_terminal, highlight=False, markup=False)


def confirmed(frame: pd.DataFrame, records: Sequence[TrialRecord]) -> list[Text]:
    """What replicates and test say of the finalists; nothing where there are none."""
    sentences = []
    if (found := confirmation(records)) is not None:
        sentences.append(Text.assemble((f"{verdict(found)} ", "bold"), reservations(found)))
    ranked = list(frame["trial_id"]) if "trial_id" in frame else []
    if (on_test := held_out(records, ranked)) is not None:
        sentences.append(Text(on_test_split(on_test)))
    return sentences


def cures(records: Iterable[TrialRecord]) -> list[Text]:
    """A paragraph for each likely cause of divergence, with the trials it fits and what to set."""
    return [
        Text.assemble(
            (f"Why {trials(group.records)} diverged: ", STYLES[Status.DIVERGED]),
            f"{one_line(group.likely_cause)} ",
            (one_line(group.advice), "bold"),
        )
        for group in explained(records)
    ]
