"""``python -m sweep.rank RESULTS``: the ranking of a finished, interrupted or running sweep."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from sweep.console.exits import exit_codes, run_alone


class Format(StrEnum):
    TABLE = "table"
    CSV = "csv"
    JSON = "json"
    MARKDOWN = "markdown"


def command(
    results: Annotated[
        str, typer.Argument(metavar="RESULTS", help="A results folder, or the URI of one.")
    ],
    output: Annotated[
        Format, typer.Option("--format", help="How the rows are printed.")
    ] = Format.TABLE,
    as_json: Annotated[bool, typer.Option("--json", help="Short for --format json.")] = False,
    top: Annotated[
        int | None, typer.Option("--top", min=1, help="Print only the first rows.")
    ] = None,
) -> None:
    """Rank the trials of a results folder by validation Dice; the diverged and failed last."""
    with exit_codes():
        from sweep.analysis.effective import read_replaying_spec
        from sweep.analysis.ranking import (
            ranking_frame,
            ranking_json,
            ranking_markdown,
        )
        from sweep.analysis.replay import tradeoff
        from sweep.store.mirrored import local_results
        from sweep.store.read import read_parameter_names, read_records

        with local_results(results) as folder:
            records = read_records(folder)
            parameters = read_parameter_names(folder)
            spec = read_replaying_spec(folder)
        frame = ranking_frame(records, parameters, spec)
        frame = frame if top is None else frame.head(top)
        match Format.JSON if as_json else output:
            case Format.JSON:
                typer.echo(ranking_json(frame))
            case Format.CSV:
                typer.echo(frame.to_csv(index=False, lineterminator="\n"), nl=False)
            case Format.MARKDOWN:
                typer.echo(ranking_markdown(frame))
            case Format.TABLE:
                from sweep.console.results import print_patience, print_results
                from sweep.console.words import make_console

                console, title = make_console(), Path(results).absolute().name
                print_results(console, frame, records, parameters, title=title)
                print_patience(console, tradeoff(spec, records) if spec else None)


def main() -> None:
    run_alone(command)


if __name__ == "__main__":
    main()
