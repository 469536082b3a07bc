"""``python -m sweep.rank RESULTS``: the ranking of a finished, interrupted or running sweep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sweep.command_line.exit_codes import exit_codes, run_alone

if TYPE_CHECKING:
    import pandas as pd

    from sweep.analysis.patience.patience_replay import Tradeoff
    from sweep.vocabulary.objective import Objective
    from sweep.vocabulary.record import TrialRecord


class Format(StrEnum):
    TABLE = "table"
    CSV = "csv"
    JSON = "json"
    MARKDOWN = "markdown"


def command(
    results: Annotated[
        list[str],
        typer.Argument(
            metavar="RESULTS...",
            help="A results folder, or the URI of one; several are ranked together.",
        ),
    ],
    output: Annotated[
        Format, typer.Option("--format", help="How the rows are printed.")
    ] = Format.TABLE,
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
        str | None, typer.Option("--columns", metavar="A,B,…", help="Print only these columns.")
    ] = None,
    top: Annotated[
        int | None, typer.Option("--top", min=1, help="Print only the first rows.")
    ] = None,
) -> None:
    """Rank the trials of results folders by their objective, by default validation Dice.

    Diverged and failed trials come last.
    """
    with exit_codes():
        from sweep.analysis.ranking.row_selection import Condition, only, sorted_by
        from sweep.analysis.ranking.row_selection import pareto as not_beaten
        from sweep.analysis.ranking.row_selection import where as rows_where
        from sweep.machine.user_paths import results_argument

        conditions = [Condition.of(text) for text in where or []]  # reading may take long
        found = read([results_argument(one) for one in results])
        frame = rows_where(found.frame, conditions)
        frame = not_beaten(frame, found.objective) if pareto else frame
        found = found.narrowed(frame)
        frame = sorted_by(frame, sort or [], found.objective)
        frame = frame if top is None else frame.head(top)
        names = [name.strip() for name in columns.split(",")] if columns is not None else []
        show(found, only(frame, names) if names else frame, Format.JSON if as_json else output)


@dataclass(frozen=True, eq=False)
class Found:
    """The content of the results folders.

    Args:
        title: names of the sweeps.
        frame: all rows of the ranking.
        records: all trials.
        parameters: dotted names of the settings searched in any of them.
        patience: cost of each replayed patience, by sweep name; only of sweeps that replay it.
        objective: the objective that trials are ranked by.
        own: columns of a custom trainer's metrics.
        kinds: kinds of the trainers.
    """

    title: str
    frame: pd.DataFrame
    records: list[TrialRecord]
    parameters: list[str]
    patience: dict[str, Tradeoff]
    objective: Objective
    own: list[str]
    kinds: tuple[str, ...] = ()

    def narrowed(self, frame: pd.DataFrame) -> Found:
        """The part for the rows of ``frame``, a part of the ranking, without conclusions on all
        trials."""
        from sweep.vocabulary.record import searched as of_the_search

        if len(frame) == len(self.frame):
            return self
        # The trials of several sweeps have the same ids.
        shown = set() if "sweep" in frame else set(frame["trial_id"])
        records = [record for record in of_the_search(self.records) if record.trial_id in shown]
        return replace(self, records=[replace(record, test=()) for record in records], patience={})


def read(results: Sequence[str]) -> Found:
    """Read results folders, and warn if the Dice of several is not comparable.

    Raises:
        ResultsError: one is not a results folder, or is broken.
    """
    from sweep.analysis.ranking.ranking_columns import own_metrics
    from sweep.analysis.ranking.several_sweeps import common_objective, incomparable, together
    from sweep.console.console_words import print_warnings
    from sweep.store.at_uri.mirrored_results import local_results
    from sweep.store.read_results import read_objective, read_sweep
    from sweep.vocabulary.record import searched as of_the_search

    frames: dict[str, pd.DataFrame] = {}
    specs: dict[str, Any] = {}
    every: list[TrialRecord] = []
    searched: dict[str, None] = {}
    patience: dict[str, Tradeoff] = {}
    objectives: dict[str, Objective] = {}
    own: dict[str, None] = {}
    for name, place in zip(_names(results), results, strict=True):
        with local_results(place) as folder:
            frames[name], records, parameters, cost = _read_one(folder)
            specs[name], objectives[name] = read_sweep(folder), read_objective(folder)
        own |= dict.fromkeys(own_metrics(specs[name], records))
        # Replicates of several sweeps are left out, because finalists can have the same id.
        every += of_the_search(records) if len(results) > 1 else records
        searched |= dict.fromkeys(parameters)
        patience |= {name: cost} if cost is not None else {}
    objective = common_objective(objectives)
    print_warnings(incomparable(specs, objective))
    frame = together(frames, objective) if len(frames) > 1 else next(iter(frames.values()))
    return Found(
        title=", ".join(frames),
        frame=frame,
        records=every,
        parameters=list(searched),
        patience=patience,
        objective=objective,
        own=list(own),
        kinds=tuple(kind for spec in specs.values() if (kind := trainer_kind(spec))),
    )


def _read_one(
    folder: Path,
) -> tuple[pd.DataFrame, list[TrialRecord], list[str], Tradeoff | None]:
    from sweep.analysis.effective_settings import read_known_spec
    from sweep.analysis.patience.patience_replay import tradeoff
    from sweep.analysis.ranking.ranking_frame import ranking_frame
    from sweep.store.read_results import read_parameter_names, read_records

    records, parameters = read_records(folder), read_parameter_names(folder)
    spec = read_known_spec(folder)
    cost = tradeoff(spec, records) if spec is not None and spec.replayed else None
    return ranking_frame(records, parameters, spec), records, parameters, cost


def trainer_kind(spec: Mapping[str, Any]) -> str | None:
    """``trainer.kind`` of an effective spec."""
    trainer = spec.get("trainer")
    kind = trainer.get("kind") if isinstance(trainer, dict) else None
    return kind if isinstance(kind, str) else None


def _names(results: Sequence[str]) -> list[str]:
    """Names of the folders, or the paths as given if two names are the same."""
    names = [Path(place).absolute().name for place in results]
    if len(set(names)) < len(names):
        from sweep.vocabulary.errors import InputError

        if len(set(results)) < len(results):
            twice = next(place for place in results if list(results).count(place) > 1)
            raise InputError.single("is given twice", file=twice)
        return list(results)
    return names


def show(found: Found, frame: pd.DataFrame, form: Format) -> None:
    """Print rows on stdout."""
    from sweep.analysis.ranking.ranking_columns import COLUMNS
    from sweep.analysis.ranking.ranking_frame import ranking_json, ranking_markdown

    match form:
        case Format.JSON:
            typer.echo(ranking_json(frame))
        case Format.CSV:
            typer.echo(frame.to_csv(index=False, lineterminator="\n"), nl=False)
        case Format.MARKDOWN:
            typer.echo(ranking_markdown(frame))
        case Format.TABLE:
            from sweep.console.console_words import make_console
            from sweep.console.ranking_table import plain_table
            from sweep.console.sweep_summary import print_patience, print_results

            if frame.empty and not found.frame.empty:
                typer.echo("No trial matches.")
            elif set(COLUMNS) <= set(frame.columns):
                console, title = make_console(), found.title
                print_results(
                    console,
                    frame,
                    found.records,
                    found.parameters,
                    title=title,
                    objective=found.objective,
                    own=found.own,
                    kinds=found.kinds,
                )
                for name, cost in found.patience.items():
                    print_patience(console, cost, title=name if "sweep" in frame else "")
            else:
                make_console().print(plain_table(frame, title=found.title))


def main() -> None:
    run_alone(command)


if __name__ == "__main__":
    main()
