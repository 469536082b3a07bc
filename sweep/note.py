"""``python -m sweep.note RESULTS t0007 "text"``: note something on a trial, or on the sweep."""

from __future__ import annotations

from typing import Annotated

import typer

from sweep.command_line.command_options import ResultsFolder
from sweep.command_line.exit_codes import exit_codes, run_alone


def command(
    results: ResultsFolder,
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="[TRIAL] TEXT",
            help="The id of a trial, such as t0007, and the note on it; the note alone: it is on"
            " the sweep, in Markdown.",
        ),
    ],
) -> None:
    """Note something on a trial, running or ended, or on the sweep.

    The report and `sweep.rank --notes` show it.
    """
    with exit_codes():
        from sweep.api.user_requests import ask_to_note
        from sweep.machine.user_paths import results_argument
        from sweep.store.layout import TRIAL_ID
        from sweep.vocabulary.errors import InputError

        *trial, text = words
        if len(trial) > 1:
            raise InputError.single("must be one text: put it in quotes", key="TEXT")
        if not trial and TRIAL_ID.fullmatch(text):
            raise InputError.single(f"is missing: what is to be noted on {text}?", key="TEXT")
        typer.echo(ask_to_note(results_argument(results), trial[0] if trial else None, text))


if __name__ == "__main__":
    run_alone(command)
