"""``python -m sweep.watch RESULTS``: watch a running sweep from another terminal."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from sweep.command_line.command_options import ResultsFolder
from sweep.command_line.exit_codes import exit_codes, run_alone
from sweep.command_line.output_stream import is_read
from sweep.machine.interrupted import forget_interruption


def command(
    results: ResultsFolder,
    once: Annotated[bool, typer.Option("--once", help="Show the current state and exit.")] = False,
    interval: Annotated[
        float, typer.Option("--interval", min=0.1, help="Seconds between two updates.")
    ] = 1.0,
) -> None:
    """Watch a sweep until it ends, by reading its results folder. Ctrl-C only ends the watching."""
    with exit_codes():
        from sweep.console.console_words import make_console, print_line, print_warnings
        from sweep.console.watch_view import Watching
        from sweep.machine.user_paths import results_argument
        from sweep.store.at_uri.local_results import reached

        try:
            console = make_console()
            with (
                reached(results_argument(results)) as found,
                found.following(lambda warning: print_warnings([warning])),
            ):
                watching = Watching(found.folder, found.uri)
                watching.look()
                print_warnings(found.doubts)
                if once or watching.over:
                    console.print(watching.view(console))
                elif console.is_terminal:  # redraw the view
                    with watching.view(console):
                        while not watching.over:
                            time.sleep(interval)
                            watching.look()
                else:  # a line for each trial that ends
                    console.print(watching.view(console))
                    while not watching.over and is_read():
                        time.sleep(interval)
                        watching.look(console)
                for line in watching.last_words():
                    print_line(console, line)
        except KeyboardInterrupt:
            forget_interruption()  # and exit with 0: the sweep itself continues


if __name__ == "__main__":
    run_alone(command)
