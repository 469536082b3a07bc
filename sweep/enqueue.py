"""``python -m sweep.enqueue RESULTS KEY=VALUE …``: add a trial to a sweep."""

from __future__ import annotations

from typing import Annotated

import typer

from sweep.command_line.command_options import ResultsFolder
from sweep.command_line.exit_codes import exit_codes, run_alone


def command(
    results: ResultsFolder,
    values: Annotated[
        list[str],
        typer.Argument(
            metavar="KEY=VALUE…",
            help="Values of searched parameters, such as optimizer.lr=0.01; the searcher draws"
            " those that are left out.",
        ),
    ],
) -> None:
    """Add a trial of a configuration. It starts before the searcher's next proposal."""
    with exit_codes():
        from sweep.api.user_requests import ask_for_trial
        from sweep.console.console_words import print_warnings
        from sweep.machine.user_paths import results_argument

        asked = ask_for_trial(results_argument(results), values)
        print_warnings(asked.warnings)
        typer.echo(asked)


if __name__ == "__main__":
    run_alone(command)
