"""``python -m sweep.schema``: JSON Schemas of the YAML files, and the reference of all settings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from sweep.command_line.exit_codes import exit_codes, run_alone

What = Literal["sweep", "trial", "settings"]
FILES: dict[What, Path] = {
    "sweep": Path("schema", "sweep.schema.json"),
    "trial": Path("schema", "trial.schema.json"),
    "settings": Path("reference", "settings.md"),
}
"""Path of each below the documentation folder."""


def command(
    what: Annotated[
        What,
        typer.Argument(help="Schema of a sweep file or a trial file, or the page of settings."),
    ] = "sweep",
    write: Annotated[
        Path | None,
        typer.Option("--write", metavar="DOCS", help="Write all of them below this folder."),
    ] = None,
) -> None:
    """Print the JSON Schema of a sweep file, for completion in an editor."""
    with exit_codes():
        from sweep.machine.user_paths import argument
        from sweep.store.files import atomic_write_text, writing

        if write is None:
            typer.echo(text_of(what), nl=False)
            return
        write = argument(write, "--write")
        for one, file in FILES.items():
            path = write / file
            with writing(path):
                path.parent.mkdir(parents=True, exist_ok=True)
            atomic_write_text(path, text_of(one))
            typer.echo(path)


def text_of(what: What) -> str:
    """The whole text of a schema or of the page."""
    import json

    from sweep.spec.reference.json_schema import sweep_schema, trial_schema
    from sweep.spec.reference.settings_page import reference

    if what == "settings":
        return reference()
    schema = trial_schema() if what == "trial" else sweep_schema()
    return json.dumps(schema, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    run_alone(command)
