"""A real sweep of somebody else's trainer, whose every trial is wrong in another way."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

from tests.trainer.foreign import TRAINER

BAD = """\

    def validate(self, epoch):
        mode = self.options["mode"]
        if mode == "exits":
            sys.exit("no data here")
        if mode == "raises":
            raise KeyError("mask\\udcff")
        return {
            "float": 0.83,
            "percent": Validation(dice=87.3),
            "nan": Validation(dice=float("nan")),
            "numpy": Validation(dice=np.float32(0.75), metrics={"own": torch.tensor(2.0)}),
            "tensor": Validation(dice=torch.tensor(0.625)),
        }[mode]
"""
SPACE = """\
name: foreign
searcher: grid
scheduler: none
max_concurrent: 1
trainer:
  {kind: custom, entry: mine.py:Mine, epochs: 2, device: cpu, options: {mode: float}}
loss: {weights: {compactness: 0, boundary: 0, aspect: 0}}
resources: {cpu: 1, gpu: 0}
space:
  trainer.options.mode: {grid: [float, percent, nan, exits, raises, numpy, tensor]}
"""
CAUSES = {
    "float": "Mine.validate returned 0.83, a float, but must return Validation(dice=…), of",
    "percent": "Mine.validate returned a Dice of 87.3, but it must lie in [0, 1]: 0.873, if it is",
    "nan": "Mine.validate gave no validation Dice in any of the 2 epochs, only None or NaN",
    "exits": "SystemExit: no data here",
    "raises": r"KeyError: 'mask\udcff'",
}


def test_each_trial_fails_by_itself_with_its_cause_and_the_others_are_ranked(
    tmp_path: Path,
) -> None:
    (tmp_path / "mine.py").write_text("import sys\n" + TRAINER.rstrip() + "\n" + BAD)
    (tmp_path / "foreign.yaml").write_text(SPACE)
    done = subprocess.run(
        [sys.executable, "-m", "sweep.run", "foreign.yaml"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    with (tmp_path / "results" / "foreign" / "ranking.csv").open() as file:
        rows = {row["trainer.options.mode"]: row for row in csv.DictReader(file)}
    assert {mode: float(rows[mode]["val_dice"]) for mode in ("numpy", "tensor")} == {
        "numpy": 0.75,
        "tensor": 0.625,
    }
    for mode, cause in CAUSES.items():
        assert rows[mode]["status"] == "failed"
        assert cause in rows[mode]["cause"]
