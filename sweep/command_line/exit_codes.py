"""Errors of a command as a message and an exit code, without a traceback."""

from __future__ import annotations

import errno
import io
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import typer

from sweep.command_line.output_stream import tolerant_output
from sweep.machine.codebase import replaced_package
from sweep.machine.interrupted import INTERRUPTED, forget_interruption
from sweep.machine.user_identity import settle_user
from sweep.vocabulary.errors import InputError, SweepError, one_line

UNUSABLE = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENAMETOOLONG, errno.ELOOP}
"""Why a path cannot be used, wherever a command tries to."""


def run_alone(command: Callable[..., None]) -> None:
    """Run one command as its own program (``python -m sweep.run``)."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(command)
    app()


@contextmanager
def exit_codes(*, continues: bool = False) -> Iterator[None]:
    """Turn the package's own errors into messages and exit codes (see `sweep.vocabulary.errors`).

    Args:
        continues: whether the command should continue if its output cannot be written.
    """
    settle_user()
    if (why := replaced_package()) is not None:
        typer.echo(f"error: {why}", err=True)
        raise typer.Exit(1)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # As stderr does by default: a character that the terminal cannot show must not raise.
        sys.stdout.reconfigure(errors="backslashreplace")
    with tolerant_output(warn=continues):
        try:
            yield
        except SweepError as error:
            lines = [one_line(line) for line in str(error).split("\n")]
            text = ["errors:", *lines] if lines[1:] else [f"error: {lines[0]}"]
            typer.echo("\n".join(text), err=True)
            raise typer.Exit(error.exit_code) from None
        except OSError as error:
            if error.errno not in UNUSABLE or error.filename is None:
                raise
            typer.echo(f"error: {one_line(f'{error.filename}: {error.strerror}')}", err=True)
            raise typer.Exit(InputError.exit_code) from None
        except KeyboardInterrupt:
            forget_interruption()
            typer.echo("interrupted", err=True)
            raise typer.Exit(INTERRUPTED) from None
