"""The notebooks of the examples: executed, in order, without an error, and still true.

Two of them are run here. `docs/tools/run_notebooks.py --check` runs all.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import sweep

ROOT = Path(sweep.__file__).parent.parent
NOTEBOOKS = sorted(ROOT.glob("examples/notebooks/*.ipynb"))
QUICKSTART = ROOT / "examples" / "notebooks" / "quickstart.ipynb"
SHORTER = {
    '"trials": 10': '"trials": 2',
    '"epochs": 16': '"epochs": 4',
    '"count": 40': '"count": 12',
    '"size": 48': '"size": 32',
    '"channels": [8, 16, 32]': '"channels": [4, 8, 16]',
    '"randint": [2, 6]': '"randint": [1, 3]',
}


def code_cells(notebook: Path) -> list[dict[str, Any]]:
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return [cell for cell in cells if cell["cell_type"] == "code"]


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda file: file.stem)
def test_notebook_was_executed_from_top_to_bottom_without_an_error(notebook: Path) -> None:
    cells = code_cells(notebook)
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell["outputs"]]
    assert len(outputs) >= 3
    assert "error" not in {output["output_type"] for output in outputs}


def test_notebook_on_trainers_runs() -> None:
    script = [sys.executable, ROOT / "docs" / "tools" / "run_notebooks.py", "--check"]
    subprocess.run([*script, "own_trainer.ipynb"], check=True, cwd=ROOT)


def test_cells_of_the_quickstart_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = "\n".join("".join(cell["source"]) for cell in code_cells(QUICKSTART))
    for long, short in SHORTER.items():
        assert text.count(long) == 1
        text = text.replace(long, short)
    names: dict[str, Any] = {}
    exec(compile(text, "notebook", "exec"), names)
    assert len(names["results"]) == 4
    assert sweep.open("results/notebook").best.trial_id == names["results"].best.trial_id
