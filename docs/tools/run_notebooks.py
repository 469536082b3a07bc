"""Run the notebooks of examples/notebooks and store what they show.

    python docs/tools/run_notebooks.py [NAME.ipynb …] [--check]

With ``--check`` nothing is stored: a cell that raises ends the script with exit code 1.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import nbformat
from nbclient import NotebookClient
from notebook_page import PLOTLY

NOTEBOOKS = Path(__file__).parents[2] / "examples" / "notebooks"
IN_NOTEBOOKS = {
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    "PLOTLY_RENDERER": "plotly_mimetype",  # figures as data, without plotly itself
}
NOT_DRAWN = ("geo", "map", "mapbox", "polar", "scene", "ternary")
"""Parts of a template that no figure of ours uses."""


def run(notebook: Path) -> nbformat.NotebookNode:
    """The notebook with the outputs of a run in an empty folder."""
    content = nbformat.read(notebook, as_version=4)
    with TemporaryDirectory() as folder:
        client = NotebookClient(
            content,
            timeout=600,
            kernel_name="python3",
            resources={"metadata": {"path": folder}},
            coalesce_streams=True,
        )
        client.execute(env={**os.environ, **IN_NOTEBOOKS})
        # As if the reader had run it where they are.
        content = nbformat.reads(nbformat.writes(content).replace(f"{folder}/", ""), as_version=4)
    for cell in content.cells:
        cell.metadata.pop("execution", None)  # the times of this run
    return content


def without_ballast(figure: dict[str, Any]) -> None:
    """Remove from a stored figure what its template has for other kinds of figures."""
    template = figure["layout"].get("template", {})
    kinds = {trace.get("type", "scatter") for trace in figure["data"]}
    template["data"] = {k: v for k, v in template.get("data", {}).items() if k in kinds}
    for name in NOT_DRAWN:
        template.get("layout", {}).pop(name, None)


def as_text(content: nbformat.NotebookNode) -> str:
    """The file of a notebook, with each figure on one line: nobody reads its numbers."""
    figures: list[str] = []
    for cell in content.cells:
        for output in cell.get("outputs", []):
            if PLOTLY in output.get("data", {}):
                without_ballast(output.data[PLOTLY])
                figures.append(json.dumps(output.data[PLOTLY], ensure_ascii=False))
                output.data[PLOTLY] = "<figure>"
    return re.sub('"<figure>"', lambda _: figures.pop(0), nbformat.writes(content)) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*")
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    for notebook in sorted(NOTEBOOKS.glob("*.ipynb")):
        if not arguments.names or notebook.name in arguments.names:
            content = run(notebook)
            if not arguments.check:
                notebook.write_text(as_text(content), encoding="utf-8")
            sys.stdout.write(f"{notebook.name}: ran\n")


if __name__ == "__main__":
    main()
