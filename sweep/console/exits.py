"""What the user sees when something is wrong: a message and an exit code, never a traceback."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import typer

from sweep.errors import SweepError

INTERRUPTED = 130


def run_alone(command: Callable[..., None]) -> None:
    """Run one command as its own program (``python -m sweep.run``)."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(command)
    app()


@contextmanager
def exit_codes() -> Iterator[None]:
    """Turn the package's own errors into messages and exit codes (see `sweep.errors`)."""
    try:
        yield
    except SweepError as error:
        typer.echo(f"error: {error}" if "\n" not in str(error) else f"errors:\n{error}", err=True)
        raise typer.Exit(error.exit_code) from None
    except KeyboardInterrupt:
        typer.echo("interrupted", err=True)
        raise typer.Exit(INTERRUPTED) from None
