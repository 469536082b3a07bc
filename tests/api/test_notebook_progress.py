"""The progress of a sweep in a notebook: one output of the cell, replaced in place."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

from sweep.report.notebook import ARGUMENTS

TRAINER = """\
def train(config, trial):
    for epoch in range(trial.epochs):
        if epoch == 3:
            print(f"the trainer's own line {trial.seed}", flush=True)
        trial.report(epoch, dice=0.5 + 0.01 * epoch + config["level"])
"""

CELL = """\
import sweep

results = sweep.run(
    {{
        "name": "toy-with-a-name-that-is-as-long-as-that-of-a-sweep-which-says-what-it-is-about",
        "trials": 2,
        "max_concurrent": 1,
        "searcher": {{"name": "grid"}},
        "scheduler": "none",
        "early_stopping": {{"patience": 50}},
        "trainer": {{
            "kind": "custom", "entry": "mine.py:train", "epochs": 4, "options": {{"level": 0}},
        }},
        "space": {{"trainer.options.level": {{"choice": [0.1, 0.2]}}}},
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
    (tmp_path / "mine.py").write_text(TRAINER)
    source = CELL.format(executor=executor)
    draft = new_notebook(cells=[new_code_cell(source)])
    client = Noting(
        draft, resources={"metadata": {"path": str(tmp_path)}}, extra_arguments=ARGUMENTS
    )
    client.execute()
    outputs = draft.cells[0].outputs
    [live] = [output for output in outputs if output.output_type == "display_data"]
    text = " ".join(re.sub(r"\x1b\[[0-9;]*m", "", live.data["text/plain"]).split())
    assert text.startswith("toy")
    lines = re.sub(r"<[^>]*>", "", live.data["text/html"]).splitlines()
    assert max(map(len, lines)) <= 80  # a cell of a window with a side bar shows no more
    assert "2/2 trials" in text
    assert "0 running · 2 completed" in text
    assert "best so far: validation Dice 0.7300 t0001 at epoch 3" in text
    assert "0.7300" in live.data["text/html"]
    assert client.kinds.count("update_display_data") > 0
    printed = "".join(output.text for output in outputs if output.output_type == "stream")
    assert printed.count("the trainer's own line") == (2 if executor == "local" else 0)
    assert "never stops a trial" in printed  # a warning from before the trials
    assert "Ranking: " in printed
    assert "IProgress" not in printed  # says tqdm, of bars that nobody draws
    assert "Missing packages" not in printed  # says Ray, of its own outputs
    assert "[1/2]" not in printed
