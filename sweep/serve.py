"""``python -m sweep.serve RESULTS``: the report in a browser, new while the sweep runs."""

from __future__ import annotations

from typing import Annotated

import typer

from sweep.command_line.command_options import OwnFigures
from sweep.command_line.exit_codes import exit_codes, run_alone
from sweep.machine.interrupted import forget_interruption


def command(
    results: Annotated[
        str,
        typer.Argument(
            metavar="RESULTS",
            help="A results folder or its URI, or a folder that holds results folders.",
        ),
    ] = "results",
    control: Annotated[
        bool,
        typer.Option(
            "--control", help="Let the page stop trials, enqueue configurations and write notes."
        ),
    ] = False,
    figures: OwnFigures = None,
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="Port on this machine; default: 8275, or a free one."),
    ] = None,
) -> None:
    """Serve the report as a page that follows the sweep. Ctrl-C ends the page, not the sweep."""
    with exit_codes():
        from sweep.console.console_words import print_warnings
        from sweep.machine.user_paths import not_there, results_argument
        from sweep.page_server.loopback import address_words, listen, new_token, require_server
        from sweep.store.at_uri.local_results import reached
        from sweep.vocabulary.errors import ResultsError

        where = results_argument(results)
        require_server()
        from sweep.api.own_figures import figures_named
        from sweep.api.results import SweepResults

        own = figures_named(figures or (), SweepResults.of)
        try:
            with reached(where) as found:
                folder = found.folder
                if not folder.is_dir():
                    there = "is a file" if folder.exists() else not_there(folder)
                    raise ResultsError(f"{folder} {there}")
                print_warnings(found.doubts)
                token = new_token()
                listener = listen(port)  # before the slow imports: a browser may come meanwhile
                for line in address_words(listener, token):
                    typer.echo(line)
                from sweep.page_server.listening import answer
                from sweep.page_server.page_app import page_app
                from sweep.page_server.sweep_list import SweepList

                sweeps = SweepList(folder, figures=own, uri=found.uri)
                with found.following(lambda warning: print_warnings([warning])):
                    answer(page_app(sweeps, token, control=control), listener)
        except KeyboardInterrupt:
            forget_interruption()  # and exit with 0: a sweep continues without its page


if __name__ == "__main__":
    run_alone(command)
