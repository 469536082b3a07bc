"""``python -m sweep.stop RESULTS t0007``: stop trials of a running sweep."""

from __future__ import annotations

from typing import Annotated

import typer

from sweep.command_line.command_options import ResultsFolder
from sweep.command_line.exit_codes import exit_codes, run_alone


def command(
    results: ResultsFolder,
    trials: Annotated[list[str], typer.Argument(metavar="TRIAL…", help="Ids, such as t0007.")],
) -> None:
    """Stop trials. Each ends as pruned at its next report; the sweep goes on with others."""
    with exit_codes():
        from sweep.api.user_requests import ask_to_stop
        from sweep.machine.user_paths import results_argument

        for asked in ask_to_stop(results_argument(results), trials):
            typer.echo(asked)


if __name__ == "__main__":
    run_alone(command)
