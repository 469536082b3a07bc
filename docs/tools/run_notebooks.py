"""Run the notebooks of examples/notebooks and store what they show.

    python docs/tools/run_notebooks.py [NAME.ipynb …] [--check]

With ``--check`` nothing is stored: a cell that raises ends the script with exit code 1.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import nbformat
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).parents[2] / "examples" / "notebooks"
IN_NOTEBOOKS = {
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    "PLOTLY_RENDERER": "plotly_mimetype",  # figures as data, without plotly itself
    "PYTHONWARNINGS": "ignore:IProgress not found",  # of progress bars that are not used
}


def run(notebook: Path) -> nbformat.NotebookNode:
    """The notebook with the outputs of a run in an empty folder."""
    content = nbformat.read(notebook, as_version=4)
    with TemporaryDirectory() as folder:
        client = NotebookClient(
            content, timeout=600, kernel_name="python3", resources={"metadata": {"path": folder}}
        )
        client.execute(env={**os.environ, **IN_NOTEBOOKS})
    for cell in content.cells:
        cell.metadata.pop("execution", None)  # the times of this run
    return content


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*")
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    for notebook in sorted(NOTEBOOKS.glob("*.ipynb")):
        if not arguments.names or notebook.name in arguments.names:
            content = run(notebook)
            if not arguments.check:
                nbformat.write(content, notebook)
            sys.stdout.write(f"{notebook.name}: ran\n")


if __name__ == "__main__":
    main()
