"""The result of a sweep: the ranking, why trials diverged, and the likely cures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from rich.console import Console
from rich.text import Text

from sweep.analysis.confirm.conclusions import caution, on_test_split, reservations, verdict
from sweep.analysis.confirm.real_validations import on_whole_cases
from sweep.analysis.confirm.test_scores import held_out
from sweep.analysis.patience.patience_replay import Tradeoff
from sweep.analysis.ranked_table import RankedTable
from sweep.analysis.ranking.divergence_causes import explained
from sweep.analysis.ranking.finalists import confirmation_of
from sweep.analysis.ranking.ranking_frame import unfinished, winner
from sweep.analysis.report_words import trials
from sweep.analysis.shown_columns import unit_of
from sweep.console.console_words import STYLES, print_line, print_sentence, print_sentences
from sweep.console.ranking_table import causes, patience_table, ranking_table
from sweep.spec.search.sweep_spec import SweepSpec
from sweep.spec.words.phrases import counted
from sweep.vocabulary.errors import one_line
from sweep.vocabulary.objective import DICE, Objective
from sweep.vocabulary.record import Status, TrialRecord, searched


@dataclass(frozen=True, eq=False, kw_only=True)
class Summary:
    """One or several sweeps, as they are printed.

    Args:
        title: names of the sweeps.
        rows: from `sweep.analysis.ranking.ranking_frame.ranking`, all rows or some.
        records: all trials.
        parameters: dotted names of the settings searched in any of the sweeps.
        objective: the objective that trials are ranked by.
        own: columns of the metrics that only these sweeps' trainers have.
        kinds: kinds of the trainers.
        spec: of a single sweep, if it is known.
        patience: cost of each replayed patience, by sweep name; only of sweeps that replay it.
        outlook: how likely further trials would be better; of sweeps with `stop_when`.
        edited: which trials ran with which text of the user's own files, where these differ.
        notes: lines with what users noted on trials, by sweep name, if they are to be shown.
    """

    title: str
    rows: RankedTable
    records: Sequence[TrialRecord]
    parameters: Sequence[str] = ()
    objective: Objective = DICE
    own: Sequence[str] = ()
    kinds: Iterable[str] = ()
    spec: SweepSpec | None = None
    patience: Mapping[str, Tradeoff] = field(default_factory=dict)
    outlook: Sequence[str] = ()
    edited: Sequence[str] = ()
    notes: Mapping[str, Sequence[str]] = field(default_factory=dict)


def print_results(console: Console, found: Summary) -> None:
    """Print a ranking, why trials diverged and the likely cures, and what patience would cost."""
    rows, records = found.rows, found.records
    table = ranking_table(
        rows,
        found.parameters,
        title=found.title,
        width=console.width,
        objective=found.objective,
        own=found.own,
        unit=unit_of(records),
    )
    console.print(table, crop=not table.fits(console.width))  # to crop 10,000 rows takes 0.1 s
    is_one = "sweep" not in rows
    sentence = caution(found.kinds, records, winner(rows) if is_one else None)
    narrow = [Text(sentence)] if sentence else []
    shown = set(rows["trial_id"]) if is_one else set()
    runs = [one for one in records if one.replicate and one.replicate.of in shown]
    broken = [*searched(records), *runs]
    sentences = [*causes(rows, runs), *cures(broken), *confirmed(found), *narrow]
    print_sentences(console, sentences)
    for sentence in (*found.edited, *found.outlook):
        print_sentence(console, sentence)
    if left_out := unfinished(records):
        print_sentence(console, f"Not ranked: {counted(left_out, 'unfinished trial')}.")
    for name, lines in found.notes.items():
        place = "" if is_one else f" of {name}"
        for text in [f"Notes{place}:", *lines] if lines else [f"No notes{place}."]:
            print_line(console, one_line(text))
    for name, cost in found.patience.items():
        print_patience(console, cost, title="" if is_one else name)


def print_patience(console: Console, found: Tradeoff, *, title: str = "") -> None:
    """Print what each replayed patience would have cost, and which one is enough."""
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
    print_sentence(console, sentence)


def confirmed(of: Summary) -> list[Text]:
    """The conclusions from replicates and test scores; empty without any."""
    records = of.records
    sentences = []
    if (found := confirmation_of(records, of.spec)) is not None:
        sentences.append(Text.assemble((f"{verdict(found)} ", "bold"), reservations(found)))
    if sentence := on_whole_cases(records):
        sentences.append(Text(sentence, "bold"))
    if (on_test := held_out(records, of.rows["trial_id"])) is not None:
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
