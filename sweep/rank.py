"""``python -m sweep.rank RESULTS``: the ranking of a finished, interrupted or running sweep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from sweep.command_line.command_options import listed
from sweep.command_line.exit_codes import exit_codes, run_alone
from sweep.command_line.rare_collections import rare_collections
from sweep.vocabulary.errors import InputError

if TYPE_CHECKING:
    from sweep.analysis.ranked_table import RankedTable
    from sweep.console.sweep_summary import Summary


Format = Literal["table", "csv", "json", "markdown", "latex"]


def command(
    results: Annotated[
        list[str],
        typer.Argument(
            metavar="RESULTS...",
            help="A results folder, or the URI of one; several are ranked together.",
        ),
    ],
    output: Annotated[Format, typer.Option("--format", help="How the rows are printed.")] = "table",
    as_json: Annotated[bool, typer.Option("--json", help="Short for --format json.")] = False,
    where: Annotated[
        list[str] | None,
        typer.Option(
            "--where",
            metavar="'COLUMN OP VALUE'",
            help="Only rows such as 'val_dice > 0.9' or 'status == completed'; all must hold.",
        ),
    ] = None,
    sort: Annotated[
        list[str] | None,
        typer.Option(
            "--sort",
            metavar="COLUMN",
            help="Sort by a column, the best first, or as COLUMN:asc or COLUMN:desc.",
        ),
    ] = None,
    pareto: Annotated[
        bool,
        typer.Option(
            "--pareto",
            help="Only trials that no other beats in objective, Dice, HD95, epochs; none pruned.",
        ),
    ] = False,
    columns: Annotated[
        list[str] | None,
        typer.Option("--columns", metavar="A,B,…", help="Print only these columns."),
    ] = None,
    per_class: Annotated[
        bool,
        typer.Option("--per-class", help="Add columns for each class, such as val_dice[liver]."),
    ] = False,
    notes: Annotated[
        bool, typer.Option("--notes", help="Show what users noted on trials (sweep.note).")
    ] = False,
    top: Annotated[
        int | None, typer.Option("--top", min=1, help="Print only the first rows.")
    ] = None,
) -> None:
    """Rank the trials of results folders by their objective, by default validation Dice.

    Diverged and failed trials come last.
    """
    with exit_codes(), rare_collections():
        from sweep.analysis.ranking.row_selection import Condition, only, sorted_by
        from sweep.analysis.ranking.row_selection import pareto as not_beaten
        from sweep.analysis.ranking.row_selection import where as rows_where
        from sweep.machine.user_paths import results_argument

        conditions = [Condition.of(text) for text in where or []]  # reading may take long
        places = [results_argument(one) for one in results]
        if as_json and output not in ("table", "json"):
            raise InputError.single(f"contradicts --format {output}", key="--json")
        form = "json" if as_json else output
        is_table = form == "table"
        found = whole = read(places, per_class=per_class, notes=notes, conclusions=is_table)
        rows = rows_where(found.rows, conditions)
        rows = not_beaten(rows, found.objective) if pareto else rows
        if len(rows) < len(found.rows):
            found = narrowed(found, rows)
        rows = sorted_by(rows, sort or [], found.objective).head(top)
        names = listed(columns)
        show(found, only(rows, names) if names else rows, form)
        if is_table and len(places) == 1:
            tell_changes(places[0], whole.rows)


def tell_changes(place: str, rows: RankedTable) -> None:
    """Print what changed since the user's last look at a sweep that runs, on a terminal only.

    Args:
        place: its results folder, or URI.
        rows: its whole ranking.
    """
    from sweep.console.console_words import make_console, print_sentence

    console = make_console()
    if not console.is_terminal:
        return
    from sweep.analysis.ranking.ranking_frame import with_result
    from sweep.console.last_look import since_last_look
    from sweep.store.at_uri.remote_folder import is_uri
    from sweep.store.layout import Layout
    from sweep.store.lock import is_locked

    if is_uri(place) or not is_locked(Layout(Path(place))):
        return
    if sentence := since_last_look(Path(place), with_result(rows), len(rows)):
        print_sentence(console, sentence)


def narrowed(found: Summary, rows: RankedTable) -> Summary:
    """``found`` for some rows of the ranking, without conclusions about all trials."""
    from sweep.vocabulary.record import searched

    # The trials of several sweeps have the same ids.
    shown = set() if "sweep" in rows else set(rows["trial_id"])
    records = [record for record in searched(found.records) if record.trial_id in shown]
    return replace(
        found, records=[replace(record, test=()) for record in records], patience={}, outlook=()
    )


def read(
    results: Sequence[str],
    *,
    per_class: bool = False,
    notes: bool = False,
    conclusions: bool = True,
) -> Summary:
    """Read results folders, and warn if the Dice of several is not comparable.

    Args:
        results: folders, or URIs.
        per_class: with the columns of `sweep.analysis.ranking.per_class`.
        notes: with the notes on trials.
        conclusions: with what only a table is followed by: what patience costs, and how likely
            further trials would be better.

    Raises:
        ResultsError: one is not a results folder, or is broken.
    """
    from sweep.analysis.ranking.several_sweeps import common_objective, incomparable, together
    from sweep.console.console_words import print_warnings
    from sweep.console.sweep_summary import Summary
    from sweep.vocabulary.record import searched

    names = _names(results)
    every = {
        name: _read_one(name, place, per_class=per_class, notes=notes, conclusions=conclusions)
        for name, place in zip(names, results, strict=True)
    }
    found = {name: one for name, (one, _) in every.items()}
    objective = common_objective({name: one.objective for name, one in found.items()})
    print_warnings(incomparable({name: values for name, (_, values) in every.items()}, objective))
    if len(found) == 1:
        return found[names[0]]
    each = found.values()
    return Summary(
        title=", ".join(names),
        rows=together({name: one.rows for name, one in found.items()}, objective),
        # Replicates of several sweeps are left out, because finalists can have the same id.
        records=[record for one in each for record in searched(one.records)],
        parameters=list(dict.fromkeys(name for one in each for name in one.parameters)),
        objective=objective,
        own=list(dict.fromkeys(name for one in each for name in one.own)),
        kinds=[kind for one in each for kind in one.kinds],
        patience={name: cost for one in each for name, cost in one.patience.items()},
        edited=[f"{one.title}: {words}" for one in each for words in one.edited],
        notes={name: lines for one in each for name, lines in one.notes.items()},
    )


def _read_one(
    name: str, place: str, *, per_class: bool, notes: bool, conclusions: bool
) -> tuple[Summary, Mapping[str, Any]]:
    """One sweep, and the values of its ``sweep.yaml``."""
    from sweep.analysis.effective_settings import read_known_spec
    from sweep.analysis.own_texts import own_texts, with_texts
    from sweep.analysis.patience.patience_replay import tradeoff
    from sweep.analysis.ranking.further_improvement import outlook_words
    from sweep.analysis.ranking.per_class import with_classes
    from sweep.analysis.ranking.ranking_columns import own_metrics
    from sweep.analysis.ranking.ranking_frame import ranking, winner
    from sweep.analysis.ranking.ranking_notes import note_lines, with_notes
    from sweep.console.console_words import print_warnings
    from sweep.console.sweep_summary import Summary
    from sweep.store.at_uri.local_results import reached
    from sweep.store.read_results import (
        read_objective,
        read_parameter_names,
        read_records,
        read_sweep,
    )

    with reached(place) as found:
        print_warnings(found.doubts)
        folder = found.folder
        records, parameters = read_records(folder), read_parameter_names(folder)
        known, values = read_known_spec(folder), read_sweep(folder)
        texts = own_texts(folder)
        rows = with_texts(ranking(records, parameters, known), texts)
        if notes:
            rows = with_notes(rows, folder)
        if per_class:
            rows = with_classes(rows, folder)
        trainer = values.get("trainer")
        kind = trainer.get("kind") if isinstance(trainer, dict) else None
        cost = tradeoff(known, records) if conclusions and known and known.replayed else None
        summary = Summary(
            title=name,
            rows=rows,
            records=records,
            parameters=list(parameters),
            objective=read_objective(folder),
            own=own_metrics(values, records),
            kinds=[kind] if isinstance(kind, str) else [],
            spec=known,
            patience={} if cost is None else {name: cost},
            outlook=outlook_words(folder, known, records) if conclusions else (),
            edited=[words] if (words := texts.words(winner(rows))) else (),
            notes={name: list(note_lines(folder))} if notes else {},
        )
        return summary, values


def _names(results: Sequence[str]) -> list[str]:
    """Names of the folders, or the paths as given if two names are the same."""
    names = [Path(place).absolute().name for place in results]
    if len(set(names)) == len(names):
        return names
    if repeated := [place for place in results if results.count(place) > 1]:
        raise InputError.single("is given twice", file=repeated[0])
    return list(results)


def show(found: Summary, rows: RankedTable, form: Format) -> None:
    """Print ``rows``, some rows and columns of the ranking, on stdout."""
    from sweep.analysis.ranking.ranking_columns import COLUMNS
    from sweep.analysis.ranking.ranking_frame import csv_text, ranking_json, ranking_markdown

    match form:
        case "json":
            typer.echo(ranking_json(rows))
        case "csv":
            typer.echo(csv_text(rows.frame()), nl=False)
        case "markdown":
            typer.echo(ranking_markdown(rows))
        case "latex":
            typer.echo(as_latex(found, rows), nl=False)
        case "table":
            from sweep.analysis.ranking.per_class import class_columns
            from sweep.console.console_words import make_console
            from sweep.console.ranking_table import plain_table
            from sweep.console.sweep_summary import print_results

            if len(rows) == 0 and len(found.rows) > 0:
                typer.echo("No trial matches.")
            elif set(COLUMNS) <= set(rows):
                print_results(make_console(), replace(found, rows=rows))
                if (of_classes := class_columns(rows)) and len(rows) > 0:
                    named = [name for name in ("sweep", "trial_id") if name in rows]
                    make_console().print(plain_table(rows.only([*named, *of_classes])))
            else:
                make_console().print(plain_table(rows, title=found.title))


def as_latex(found: Summary, rows: RankedTable) -> str:
    """``rows`` as a LaTeX table; with chosen columns under their own names."""
    from sweep.analysis.ranking.finalists import confirmation_of
    from sweep.analysis.ranking.ranking_columns import COLUMNS
    from sweep.report.takeaway.latex_ranking import latex_ranking, latex_table

    if not set(COLUMNS) <= set(rows):
        return latex_table(rows)
    return latex_ranking(
        rows,
        found.records,
        found.parameters,
        objective=found.objective,
        spec=found.spec,
        confirmed=None if "sweep" in rows else confirmation_of(found.records, found.spec),
        title=found.title,
        of=len(found.rows),
    )


if __name__ == "__main__":
    run_alone(command)
