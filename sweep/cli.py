"""The console script ``sweep``: every command as a sub-command."""

from __future__ import annotations

from importlib import import_module
from typing import Annotated

import typer

from sweep import __version__

COMMANDS = (
    "init", "run", "check", "rank", "export", "train", "schema", "shapes", "watch", "predict",
    "pictures", "stop", "enqueue", "note", "serve", "slurm",
)  # fmt: skip
"""Each is a module of this package, whose function `command` is it."""

app = typer.Typer(
    help="Hyperparameter sweeps for medical segmentation that know what divergence is.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
for name in COMMANDS:
    app.command(name)(import_module(f"sweep.{name}").command)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"medical-sweep {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None: ...


def main() -> None:
    app()
