"""The report as an executed notebook, which can be run again on the results folder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from sweep.analysis.figures.sweep_results import Results
from sweep.analysis.ranking.ranking_columns import divider
from sweep.machine.codebase import PACKAGE
from sweep.report.report_figures import REPORT_FIGURES
from sweep.vocabulary.errors import SweepFailed

TIMEOUT = 600
"""Seconds that one cell may take."""

ARGUMENTS = [
    "--log-level=ERROR",  # it warns of its own loopback connection
    "--InteractiveShellApp.ignore_cwd=True",  # no plotly.py that lies there is imported
]
"""Of the process that runs the cells."""

SETUP = """\
import warnings
from pathlib import Path

warnings.filterwarnings("ignore", message="IProgress")  # of progress bars that are not used here

import plotly.io

from sweep.analysis.ranking.divergence_causes import explained
from sweep.analysis.figures.figure import say
from sweep.report.report_figures import *
from sweep.report.headline import caveat, headline, state
from sweep.analysis.figures.sweep_results import read_results
from sweep.analysis.report_words import trials

plotly.io.renderers.default = "plotly_mimetype+notebook_connected"
results = read_results(Path({folder!r}))"""

SUMMARY = """\
say(headline(results), strong=True)
say(f"{caveat(results)} ({state(results)})")"""

CAUSES = """\
for group in explained(results.diverged):
    say(f"{trials(group.records)}: {group.likely_cause} {group.advice}")
results.frame[results.frame["best_epoch"].isna()][["trial_id", "status", "epochs", "cause"]]"""


def notebook(results: Results, beside: Path) -> str:
    """The notebook's text with the output of every cell.

    Args:
        results: the sweep.
        beside: folder in which the notebook will lie; it names the results folder from there.

    Raises:
        SweepFailed: a cell failed, or its process died.
    """
    cells = _cells(results, os.path.relpath(results.folder, beside))
    draft = new_notebook(cells=cells, metadata=_metadata())
    client = NotebookClient(
        draft,
        timeout=TIMEOUT,
        resources={"metadata": {"path": str(beside)}},
        shutdown_kernel="immediate",  # after a Ctrl-C too, in the middle of a cell
        extra_arguments=ARGUMENTS,
    )
    try:
        _run(client)
    except (CellExecutionError, DeadKernelError) as error:
        raise SweepFailed(f"the notebook of {results.folder} fails: {error}") from error
    return str(nbformat.writes(draft))


def _run(client: NotebookClient) -> None:
    """Every cell in order. Its own `execute` takes Ctrl-C for itself and fails over it."""
    with client.setup_kernel(env=os.environ | _environment()):
        for index, cell in enumerate(client.nb.cells):
            client.execute_cell(cell, index)


def _environment() -> dict[str, str]:
    """The very code that exports, also where it is not installed; nothing that lies in the folder.

    The folder may come from anybody, and the cells run in it: see `ARGUMENTS` too.
    """
    given = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    paths = [str(PACKAGE.parent), *(str(Path(path).absolute()) for path in given if path)]
    return {"PYTHONPATH": os.pathsep.join(paths), "PYTHONSAFEPATH": "1"}


def _cells(results: Results, folder: str) -> list[Any]:
    cells = [
        new_markdown_cell(
            f"# {results.spec.name}\n\nWhat this sweep shows. Every sentence below is computed "
            "from the results folder when its cell runs: run all cells again after more trials."
        ),
        new_code_cell(SETUP.format(folder=folder)),
        new_code_cell(SUMMARY),
        *_ranking(results),
        new_markdown_cell("## Trials without a result"),
        new_code_cell(CAUSES),
    ]
    for show in REPORT_FIGURES:
        title = (show.__doc__ or "").rstrip(".")
        cells += [new_markdown_cell(f"## {title}"), new_code_cell(f"{show.__name__}(results)")]
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number}"  # random otherwise: the same folder, the same notebook
    return cells


def _ranking(results: Results) -> list[Any]:
    others = "By best validation Dice; diverged and failed trials last."
    again = "Leaders that were trained again, by the mean of those runs."
    if divider(results.frame) is None:
        order = others if results.confirmation is None else again
        return [
            new_markdown_cell(f"## Ranking\n\n{order}"),
            new_code_cell("results.frame.head(20)"),
        ]
    return [
        new_markdown_cell(f"## Ranking: trained again\n\n{again}"),
        new_code_cell('results.frame[results.frame["confirmed"]]'),
        new_markdown_cell(
            "## Ranking: trained once\n\nOne run each. Nobody has compared these with those above:"
            f" whoever stands here is not thereby worse. {others}"
        ),
        new_code_cell('results.frame[~results.frame["confirmed"]].head(20)'),
    ]


def _metadata() -> dict[str, Any]:
    return {
        "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
        "language_info": {"name": "python"},
    }
