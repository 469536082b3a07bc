"""The console script ``sweep``: every command as a sub-command."""

from __future__ import annotations

from typing import Annotated

import typer

from sweep import __version__
from sweep.check import command as check
from sweep.enqueue import command as enqueue
from sweep.export import command as export
from sweep.init import command as init
from sweep.note import command as note
from sweep.pictures import command as pictures
from sweep.predict import command as predict
from sweep.rank import command as rank
from sweep.run import command as run
from sweep.schema import command as schema
from sweep.serve import command as serve
from sweep.shapes import command as shapes
from sweep.slurm import command as slurm
from sweep.stop import command as stop
from sweep.train import command as train
from sweep.watch import command as watch

app = typer.Typer(
    help="Hyperparameter sweeps for medical segmentation that know what divergence is.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.command("init")(init)
app.command("run")(run)
app.command("check")(check)
app.command("rank")(rank)
app.command("export")(export)
app.command("train")(train)
app.command("schema")(schema)
app.command("shapes")(shapes)
app.command("watch")(watch)
app.command("predict")(predict)
app.command("pictures")(pictures)
app.command("stop")(stop)
app.command("enqueue")(enqueue)
app.command("note")(note)
app.command("serve")(serve)
app.command("slurm")(slurm)


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
