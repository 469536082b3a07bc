"""The report as an executed notebook, which can be run again on the results folder."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from sweep.analysis.figures.sweep_results import Results
from sweep.analysis.ranking.ranking_columns import (
    CONFIRMED,
    NOT_COMPARED,
    divided_by,
    divider,
    halves,
)
from sweep.analysis.shown_columns import REAL
from sweep.machine.codebase import PACKAGE
from sweep.report.page_table import order_of
from sweep.report.report_figures import REPORT_FIGURES
from sweep.vocabulary.errors import SweepFailed

TIMEOUT = 600
"""Most seconds for one cell."""

ARGUMENTS = [
    "--log-level=ERROR",  # hides a warning about its own loopback connection
    "--InteractiveShellApp.ignore_cwd=True",  # imports no plotly.py from the folder
]
"""Arguments of the process that runs the cells."""

SETUP = """\
from pathlib import Path

import plotly.io
from IPython.display import HTML

from sweep.analysis.ranking.divergence_causes import explained
from sweep.analysis.figures.figure import say
from sweep.report.report_figures import *
from sweep.report.headline import caveat, headline, state
from sweep.report.notebook_pictures import show_segmentations
from sweep.report.sections.notes_section import sweep_notes_section
from sweep.report.takeaway.methods import methods
from sweep.report.takeaway.winner_use import winner_use
from sweep.analysis.figures.sweep_results import read_results
from sweep.analysis.report_words import trials

plotly.io.renderers.default = "plotly_mimetype+notebook_connected"
"""
READ = "results = read_results(Path({folder!r}))"
READ_URI = """\
from contextlib import ExitStack
from sweep.store.at_uri.local_results import local_results

copies = ExitStack()  # of the results, without weights, as long as this notebook runs
results = read_results(copies.enter_context(local_results({uri!r})), {uri!r})"""

SUMMARY = """\
say(headline(results), strong=True)
say(f"{caveat(results)} ({state(results)})".strip())"""

NO_RESULT = 'say("No trial has a result.")'

CAUSES = """\
for group in explained(results.diverged):
    say(f"{trials(group.records)}: {group.likely_cause} {group.advice}")
results.frame[results.frame["best_epoch"].isna()][["trial_id", "status", "epochs", "cause"]]"""


def notebook(results: Results, beside: Path) -> str:
    """The notebook's text with the output of every cell.

    Args:
        results: the sweep.
        beside: folder of the notebook, to which its path of the results folder is relative.

    Raises:
        SweepFailed: a cell failed, or its process died.
    """
    draft = new_notebook(
        cells=_cells(results, beside),
        metadata={
            "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
            "language_info": {"name": "python"},
        },
    )
    client = NotebookClient(
        draft,
        timeout=TIMEOUT,
        resources={"metadata": {"path": str(beside)}},
        shutdown_kernel="immediate",  # also after a Ctrl-C within a cell
        extra_arguments=ARGUMENTS,
    )
    # The cells import the code that exports, even if it is not installed, and nothing from the
    # folder in which they run: it may come from anywhere. See `ARGUMENTS` too.
    given = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    paths = [str(PACKAGE.parent), *(str(Path(path).absolute()) for path in given if path)]
    safe = {"PYTHONPATH": os.pathsep.join(paths), "PYTHONSAFEPATH": "1"}
    try:
        with (
            # Its process is killed, and would leave its copy of results at a URI.
            TemporaryDirectory(prefix="sweep-") as scratch,
            # Not its own `execute`, which handles Ctrl-C itself and fails.
            client.setup_kernel(env=os.environ | safe | {"TMPDIR": scratch}),
        ):
            for index, cell in enumerate(draft.cells):
                client.execute_cell(cell, index)
    except (CellExecutionError, DeadKernelError) as error:
        raise SweepFailed(f"the notebook of {results.named()} fails: {error}") from error
    return str(nbformat.writes(draft))


def _cells(results: Results, beside: Path) -> list[Any]:
    if results.uri is not None:
        read = READ_URI.format(uri=results.uri)
    else:
        read = READ.format(folder=os.path.relpath(results.folder, beside))
    cells = [
        new_markdown_cell(
            f"# {results.spec.name}\n\nWhat this sweep shows. Every sentence below is computed "
            "from the results folder when its cell runs: run all cells again after more trials.\n\n"
            "Figures stay empty in a front end without plotly's extension, unless it has a network "
            "and trusts this notebook. The page of `sweep.export` needs none of these."
        ),
        new_code_cell(SETUP + read),
        new_code_cell(SUMMARY),
        *_notes(results),
        *_ranking(results),
        new_markdown_cell("## How to use the winner"),
        new_code_cell(f"winner_use(results) or {NO_RESULT}"),
        *_segmentations(results),
        new_markdown_cell("## Trials without a result"),
        new_code_cell(CAUSES),
    ]
    for show in REPORT_FIGURES:
        title = (show.__doc__ or "").rstrip(".")
        cells += [new_markdown_cell(f"## {title}"), new_code_cell(f"{show.__name__}(results)")]
    cells += [
        new_markdown_cell(
            "## For a paper\n\nThe methods section, written from this sweep's file and records"
            " alone. `print(methods(results).latex)` prints it as LaTeX."
        ),
        new_code_cell(f"methods(results) or {NO_RESULT}"),
    ]
    for number, cell in enumerate(cells):
        cell["id"] = (
            f"cell-{number}"  # instead of a random id: the same folder gives the same notebook
        )
    return cells


def _notes(results: Results) -> list[Any]:
    if None not in results.notes:
        return []
    return [
        new_markdown_cell("## Notes on the sweep"),
        new_code_cell("HTML(sweep_notes_section(results).html)"),
    ]


def _segmentations(results: Results) -> list[Any]:
    if not results.pictures:
        return []
    explained = '`show_segmentations(results, "t0003")` shows those of another trial.'
    return [
        new_markdown_cell(f"## Segmentations\n\n{explained}"),
        new_code_cell("show_segmentations(results)"),
    ]


def _ranking(results: Results) -> list[Any]:
    last = "Diverged and failed trials are last."
    if divider(results.table) is None:
        return [
            new_markdown_cell(f"## Ranking\n\n{order_of(results)}. {last}"),
            new_code_cell("results.frame.head(20)"),
        ]
    title, order, other, rest = halves(results.table)
    is_first = f'results.frame["{REAL}"].notna()'
    if divided_by(results.table) == CONFIRMED:
        is_first = f'results.frame["{CONFIRMED}"]'
    return [
        new_markdown_cell(f"## Ranking: {title.lower()}\n\n{order}."),
        new_code_cell(f"results.frame[{is_first}]"),
        new_markdown_cell(f"## Ranking: {other.lower()}\n\n{rest}. {NOT_COMPARED}. {last}"),
        new_code_cell(f"results.frame[~{is_first}].head(20)"),
    ]
