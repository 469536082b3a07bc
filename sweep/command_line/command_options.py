"""Arguments and options that several commands share."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import typer


def listed(values: Sequence[str] | None) -> list[str]:
    """The names in an option that takes several, by commas (``A,B``) or by repetition."""
    return [name.strip() for value in values or () for name in value.split(",")]


Space = Annotated[Path, typer.Argument(metavar="SPACE.yaml", help="The search space.")]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override a key of the file; can be repeated."),
]
Device = Literal["auto", "cpu", "cuda"] | None
Results = Annotated[Path, typer.Option("--results", help="Folder that holds all results folders.")]
ResultsFolder = Annotated[
    str, typer.Argument(metavar="RESULTS", help="A results folder, or its URI.")
]
ResultsRoot = Annotated[
    str,
    typer.Option(
        "--results",
        help="Folder that holds all results folders, or a URI such as s3://bucket/prefix.",
    ),
]
Address = Annotated[
    str | None,
    typer.Option("--address", help="Run on the Ray cluster there: auto, or HOST:PORT."),
]
OwnFigures = Annotated[
    list[str] | None,
    typer.Option(
        "--figure",
        metavar="FILE.py:FUNCTION",
        help="A figure of your own for the page; may be repeated.",
    ),
]
