"""``python -m sweep.export RESULTS``: a report of a finished, interrupted or running sweep."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sweep.command_line.command_options import OwnFigures, listed
from sweep.command_line.exit_codes import exit_codes, run_alone
from sweep.command_line.rare_collections import rare_collections
from sweep.report.takeaway.figure_files import FILES

if TYPE_CHECKING:
    from sweep.analysis.figures.sweep_results import Results
    from sweep.report.report_figures import DrawFigure
    from sweep.store.layout import Layout

FORMATS = ("html", "ipynb", "yaml")
"""What is written by default: a report and the winner's configuration."""
FOR_A_PAPER = ("csv", "latex", "methods")
"""Texts and tables that are written if they are asked for."""
ALL = (*FORMATS, *FOR_A_PAPER, *FILES)


def command(
    results: Annotated[
        str, typer.Argument(metavar="RESULTS", help="A results folder, or the URI of one.")
    ],
    formats: Annotated[
        list[str] | None,
        typer.Option(
            "--format",
            metavar=",".join(FORMATS),
            help="Files to write: report.html, report.ipynb, best.yaml. For a paper also"
            f" {', '.join((*FOR_A_PAPER, *FILES))}. Default: {','.join(FORMATS)}.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="DIR", help="Output folder; default: the results folder."
        ),
    ] = None,
    figures: OwnFigures = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Refresh the files until the sweep has ended.")
    ] = False,
    interval: Annotated[
        float, typer.Option("--interval", min=1, help="Seconds between two refreshes of --watch.")
    ] = 30,
) -> None:
    """Export a report: a page, an executed notebook, and the best configuration."""
    with exit_codes(), rare_collections():
        from sweep.analysis.figures.sweep_results import read_results
        from sweep.api.own_figures import figures_named
        from sweep.api.results import SweepResults
        from sweep.machine.user_paths import argument, results_argument
        from sweep.spec.words.phrases import must_be, one_of
        from sweep.store.at_uri.local_results import local_results
        from sweep.store.at_uri.remote_folder import is_uri
        from sweep.vocabulary.errors import InputError, Mistake

        names = [*FORMATS] if formats is None else listed(formats)
        if wrong := [name for name in names if name not in ALL]:
            right = one_of(list(ALL))
            raise InputError(
                [Mistake(must_be(right, name, ALL), file="--format") for name in wrong]
            )
        place = results_argument(results)
        uri = place if is_uri(place) else None
        if uri is not None and output is None:
            message = "must name a folder on this machine, since the results are at a URI"
            raise InputError.single(message, key="--output")
        folder = argument(output, "--output") if output else Path(place)
        own = figures_named(figures or (), SweepResults.of)
        while True:
            with local_results(place) as copy:
                read = read_results(copy, uri)
                continues = watch and not read.is_over
                export(read, names, folder, own, reload=interval if continues else None)
            if not continues:
                return
            time.sleep(interval)


def export(
    results: Results,
    formats: Sequence[str],
    folder: Path,
    figures: Sequence[DrawFigure] = (),
    *,
    reload: float | None = None,
) -> None:
    """Write the files, each atomically, and print where they are.

    Args:
        results: the sweep.
        formats: some of `ALL`; they are written in the order of `ALL`.
        folder: output folder, created if missing.
        figures: those that its user programmed; in the page, and as files.
        reload: seconds after which an open page reloads itself; None: never.

    Raises:
        InputError: figures are asked for, and what draws them is missing.
        SweepFailed: a file cannot be written, or the notebook does not run.
    """
    from sweep.report.report_figures import figures_of
    from sweep.report.takeaway.figure_files import write_figures
    from sweep.store.files import atomic_write_text, make_folder, writing
    from sweep.store.layout import Layout

    make_folder(folder)
    layout = Layout(folder)
    for kind in (kind for kind in (*FORMATS, *FOR_A_PAPER) if kind in formats):
        for path, text in _texts(kind, results, layout, figures, reload).items():
            if text is None:
                typer.echo(f"{path}: not written, no trial has a result")
                continue
            atomic_write_text(path, text)
            typer.echo(path)
    if kinds := [kind for kind in FILES if kind in formats]:
        with writing(layout.figures):
            layout.figures.mkdir(exist_ok=True)
        for path in write_figures(figures_of(results, figures), layout.figures, kinds):
            typer.echo(path)


def _texts(
    kind: str,
    results: Results,
    layout: Layout,
    figures: Sequence[DrawFigure],
    reload: float | None,
) -> dict[Path, str | None]:
    """The files of a format and their texts; None where no trial has a result."""
    from sweep.analysis.ranking.ranking_frame import best_yaml, csv_text

    match kind:
        case "html":
            from sweep.report.page import page

            is_beside = layout.folder.resolve() == results.folder.resolve()
            text = page(results, reload=reload, is_beside=is_beside, figures=figures)
            return {layout.report_html: text}
        case "ipynb":
            from sweep.report.notebook import notebook

            return {layout.report_ipynb: notebook(results, layout.folder)}
        case "csv":
            return {layout.ranking_csv: csv_text(results.frame)}
        case "latex":
            from sweep.report.takeaway.latex_ranking import top_of_ranking

            return {layout.ranking_tex: top_of_ranking(results)}
        case "methods":
            from sweep.report.takeaway.methods import methods

            found = methods(results)
            paths = layout.methods_txt, layout.methods_tex, layout.methods_bib
            if found is None:
                return dict.fromkeys(paths)
            return dict(zip(paths, (found.plain, found.latex, found.bibtex), strict=True))
        case _:
            path = layout.best_yaml
            return {
                path: best_yaml(results.folder, results.table, results.texts, path, results.uri)
            }


if __name__ == "__main__":
    run_alone(command)
