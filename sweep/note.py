"""``python -m sweep.note RESULTS t0007 "text"``: note something on a trial."""

from __future__ import annotations

from typing import Annotated

import typer

from sweep.command_line.command_options import ResultsFolder
from sweep.command_line.exit_codes import exit_codes, run_alone


def command(
    results: ResultsFolder,
    trial: Annotated[str, typer.Argument(metavar="TRIAL", help="Its id, such as t0007.")],
    text: Annotated[str, typer.Argument(metavar="TEXT", help="The note.")],
) -> None:
    """Note something on a trial, running or ended. The report and `sweep.rank --notes` show it."""
    with exit_codes():
        from sweep.api.user_requests import ask_to_note
        from sweep.machine.user_paths import results_argument

        typer.echo(ask_to_note(results_argument(results), trial, text))


if __name__ == "__main__":
    run_alone(command)
