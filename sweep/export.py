"""``python -m sweep.export RESULTS``: a report of a finished, interrupted or running sweep."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sweep.command_line.exit_codes import exit_codes, run_alone

if TYPE_CHECKING:
    from sweep.analysis.figures.sweep_results import Results

FORMATS = ("html", "ipynb", "yaml")


def command(
    results: Annotated[Path, typer.Argument(metavar="RESULTS", help="A results folder.")],
    formats: Annotated[
        str,
        typer.Option(
            "--format",
            metavar=",".join(FORMATS),
            help="Files to write: some or all of report.html, report.ipynb and best.yaml.",
        ),
    ] = ",".join(FORMATS),
    output: Annotated[
        Path | None,
        typer.Option("--output", metavar="DIR", help="Output folder; default: the results folder."),
    ] = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Refresh the files until the sweep has ended.")
    ] = False,
    interval: Annotated[
        float, typer.Option("--interval", min=1, help="Seconds between two refreshes of --watch.")
    ] = 30,
) -> None:
    """Export a report: a page, an executed notebook, and the best configuration."""
    with exit_codes():
        from sweep.analysis.figures.sweep_results import read_results
        from sweep.machine.user_paths import argument
        from sweep.spec.words.phrases import must_be, one_of
        from sweep.vocabulary.errors import InputError, Mistake

        names = [name.strip() for name in formats.split(",")]
        if wrong := [name for name in names if name not in FORMATS]:
            right = one_of(list(FORMATS))
            raise InputError(
                [Mistake(must_be(right, name, FORMATS), file="--format") for name in wrong]
            )
        results = argument(results, "RESULTS")
        folder = argument(output, "--output") if output else results
        while True:
            read = read_results(results)
            continues = watch and not read.is_over
            export(read, names, folder, reload=interval if continues else None)
            if not continues:
                return
            time.sleep(interval)


def export(
    results: Results, formats: Sequence[str], folder: Path, *, reload: float | None = None
) -> None:
    """Write the files, each atomically, and print where they are.

    Args:
        results: the sweep.
        formats: some of `FORMATS`; they are written in the order of `FORMATS`.
        folder: output folder, created if missing.
        reload: seconds after which an open page reloads itself; None: never.

    Raises:
        SweepFailed: a file cannot be written, or the notebook does not run.
    """
    from sweep.analysis.ranking.ranking_frame import best_yaml
    from sweep.store.files import atomic_write_text, writing
    from sweep.store.layout import Layout

    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    layout = Layout(folder)
    for kind in (kind for kind in FORMATS if kind in formats):
        text: str | None
        match kind:
            case "html":
                from sweep.report.page import page

                path, text = layout.report_html, page(results, reload=reload)
            case "ipynb":
                from sweep.report.notebook import notebook

                path, text = layout.report_ipynb, notebook(results, folder)
            case _:
                path = layout.best_yaml
                text = best_yaml(results.folder, results.frame, path)
        if text is None:
            typer.echo(f"{path}: not written, no trial has a result")
            continue
        atomic_write_text(path, text)
        typer.echo(path)


if __name__ == "__main__":
    run_alone(command)
