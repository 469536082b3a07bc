"""The progress of a sweep in a notebook: one output of the cell, replaced in place."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook
from scripted import write_scripted

from sweep.report.notebook import ARGUMENTS

VALIDATE = """\
if epoch == 3:
    print(f"the trainer's own line {self.settings.seed}", flush=True)
return Validation(dice=0.5 + 0.01 * epoch + self.settings.optimizer.lr)
"""

CELL = """\
import sweep

results = sweep.run(
    {{
        "name": "toy",
        "trials": 2,
        "searcher": {{"name": "grid"}},
        "scheduler": "none",
        "trainer": {{"kind": "custom", "entry": {entry!r}, "epochs": 4}},
        "loss": {{"warmup_epochs": 1}},
        "space": {{"optimizer.lr": {{"choice": [0.1, 0.2]}}}},
    }},
    executor={executor!r},
    dashboard=False,
)"""


class Noting(NotebookClient):
    """Executes cells, and keeps the type of each message that the front end of one would get."""

    def process_message(self, msg: Any, *arguments: Any) -> Any:
        self.__dict__.setdefault("kinds", []).append(msg["msg_type"])
        return super().process_message(msg, *arguments)


@pytest.mark.parametrize("executor", ["local", "ray"])
def test_cell_shows_the_last_state_in_one_output_and_keeps_what_is_printed(
    tmp_path: Path, executor: str
) -> None:
    source = CELL.format(entry=write_scripted(tmp_path, VALIDATE), executor=executor)
    draft = new_notebook(cells=[new_code_cell(source)])
    client = Noting(
        draft, resources={"metadata": {"path": str(tmp_path)}}, extra_arguments=ARGUMENTS
    )
    client.execute()
    outputs = draft.cells[0].outputs
    [live] = [output for output in outputs if output.output_type == "display_data"]
    text = " ".join(re.sub(r"\x1b\[[0-9;]*m", "", live.data["text/plain"]).split())
    assert text.startswith("toy")
    assert "2/2 trials" in text
    assert "0 running · 2 completed" in text
    assert "best so far: validation Dice 0.7300 t0001 at epoch 3" in text
    assert "0.7300" in live.data["text/html"]
    assert client.kinds.count("update_display_data") > 0
    printed = "".join(output.text for output in outputs if output.output_type == "stream")
    assert printed.count("the trainer's own line") == (2 if executor == "local" else 0)
    assert "never stops a trial" in printed  # a warning from before the trials
    assert "Ranking: " in printed
    assert "Missing packages" not in printed  # says Ray, of its own outputs
    assert "[1/2]" not in printed
