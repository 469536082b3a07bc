"""The console script ``sweep``: every command as a sub-command."""

from __future__ import annotations

import typer

from sweep import check, export, rank, run, schema, shapes, train, watch

app = typer.Typer(
    help="Hyperparameter sweeps for medical segmentation that know what divergence is.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
for module in (run, check, rank, export, train, schema, shapes, watch):
    app.command(name=module.__name__.rpartition(".")[2])(module.command)


def main() -> None:
    app()
